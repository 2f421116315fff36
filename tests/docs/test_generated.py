"""What `python dev.py generate` writes is what is in the repository, and says what the classes and checkpoints say."""

from __future__ import annotations

import json
import re
from pathlib import Path

import yaml

from pcsr_zoo.models.base import is_learned
from pcsr_zoo.models.registry import families

ROOT = Path(__file__).resolve().parents[2]
CLASSES = [cls for classes in families().values() for cls in classes]


def configs() -> dict[str, dict]:
    """Of the folders of hub_configs, read without the package."""
    paths = (ROOT / "hub_configs").glob("*/config.json")
    return {path.parent.name: json.loads(path.read_text(encoding="utf-8")) for path in paths}


def test_generated_files_are_up_to_date(overview):
    """Otherwise: python dev.py generate."""
    stale = [path for path, text in overview.generated().items() if path.read_text(encoding="utf-8") != text]
    assert stale == []
    assert overview.leftovers() == []


def test_only_the_block_of_the_page_is_made(overview, monkeypatch, tmp_path):
    page = tmp_path / "models.md"
    monkeypatch.setattr(overview, "MODELS", page)
    monkeypatch.setattr(overview, "ROOT", tmp_path)
    monkeypatch.setattr(overview, "CONFIGS", tmp_path)
    page.write_text("before\n<!-- models -->\nold\n<!-- /models -->\nafter\n")
    (tmp_path / "gone.yml").write_text(f"{overview.MADE}\n")
    (tmp_path / "hand.yml").write_text("# made by hand\n")
    overview.main()
    text = page.read_text()
    assert text.startswith("before\n<!-- models -->\n| model |")
    assert text.endswith("|\n<!-- /models -->\nafter\n")
    assert not (tmp_path / "gone.yml").exists()
    assert (tmp_path / "hand.yml").read_text() == "# made by hand\n"
    assert {path.stem for path in tmp_path.glob("*.yml")} == {"hand", *(cls.name for cls in CLASSES)}


def test_the_table_has_every_class_and_every_checkpoint(overview):
    rows = overview.model_table().splitlines()[2:]
    assert len(rows) == len(CLASSES)
    named = {name: row for row in rows for name in names(row)}
    weights = configs()
    with_weights = {config["model"] for config in weights.values()}
    assert set(named) == {*weights, *(cls.name for cls in CLASSES if cls.name not in with_weights)}
    for name, config in weights.items():
        ratio = config["arguments"].get("ratio")
        assert ("any ratio" if ratio is None else f"x{ratio}") in named[name]
    for cls in CLASSES:
        (row,) = (row for row in rows if cls.summary in row)
        assert f" {cls.kind} " in row
        assert cls.source in row
        (page,) = re.findall(r"\((pcsr_zoo\S+)\)", row)
        assert (ROOT / page).is_file()
    assert [name for name, row in named.items() if "(default)" in row] == ["jetnet", "fps"]
    assert "https://arxiv.org/abs/2104.14769" in named["pointlie-x8"]


def names(row: str) -> list[str]:
    """The full names in the first cell: `a-x4`, `-x8` are a-x4 and a-x8."""
    first, *others = re.findall(r"`([^`]+)`", row.split("|")[1])
    return [first, *(re.sub(r"-x\d+$", other, first) if other.startswith("-") else other for other in others)]


def test_a_configuration_of_a_network_names_weights_of_its_class_and_ratio():
    weights = configs()
    for cls in CLASSES:
        text = (ROOT / "examples" / "open3d_ml" / f"{cls.name}.yml").read_text(encoding="utf-8")
        config = yaml.safe_load(text)
        assert config["model"]["name"] == cls.__name__
        assert ("ckpt_path" in config["model"]) == ("training" in config["pipeline"]) == is_learned(cls)
        if is_learned(cls) and any(found["model"] == cls.name for found in weights.values()):
            found = weights[config["model"]["ckpt_path"]]
            assert found["model"] == cls.name
            ratio = found["arguments"].get("ratio", 4)
            assert config["dataset"].get("ratio") == ratio or f" 1/{ratio} " in text
            assert all(isinstance(value, (int, float)) for value in config["pipeline"]["training"].values())


def test_navigation_has_the_page_of_every_family(overview):
    entries = {uri: title for entry in overview.navigation() for title, uri in entry.items()}
    assert set(entries) == {f"models/{family.replace('_', '-')}.md" for family in families()}
    assert entries["models/pointlie-geo.md"] == "pointlie-geo"
    assert entries["models/samplers.md"] == "Samplers"  # the heading of the page
