"""Python and commands in the README, CONTRIBUTING and docs/: they run, or at least have options that exist."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest

from pcsr_zoo import read, write
from pcsr_zoo.cli import main

ROOT = Path(__file__).resolve().parents[2]
if not (ROOT / "docs").is_dir():
    pytest.skip("the documentation comes with the checkout", allow_module_level=True)

FAMILIES = sorted((ROOT / "pcsr_zoo" / "models").glob("*/page.md"))
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "examples/README.md", "examples/plugin/README.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *FAMILIES,
]


def blocks(path: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", path.read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    """A folder with what snippets begin with, small."""
    few = read(ROOT / "examples" / "data" / "sculpture.ply")[:400]
    (tmp_path / "examples" / "data").mkdir(parents=True)
    write(few, tmp_path / "examples" / "data" / "sculpture.ply")
    write(few, tmp_path / "scan.ply")
    shutil.copytree(ROOT / "hub_configs" / "jetnet", tmp_path / "runs" / "mine")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_python_of_the_readme(place):
    names: dict[str, Any] = {}
    exec(blocks(ROOT / "README.md", "python")[0], names)
    assert [len(names[name]) for name in ("cloud", "dense", "small", "again", "fast")] == [400, 1600, 1000, 4000, 1000]
    assert len(names["mine"]) == 1600
    assert len(read("dense.ply")) == 1600


def test_python_of_sampling_and_recovery(place):
    names: dict[str, Any] = {}
    exec(blocks(ROOT / "docs" / "recovery.md", "python")[0], names)
    assert [len(names[name]) for name in ("few", "dense")] == [50, 400]


def test_python_of_models_and_their_weights(place):
    """Of the first block only what asks no server: names and folders."""
    first, second = blocks(ROOT / "docs" / "models.md", "python")
    names: dict[str, Any] = {}
    exec("\n".join(line for line in first.splitlines() if "hf:" not in line and "cuda" not in line), names)
    assert names["model"].name == "jetnet"
    names = {}
    exec("\n".join(line for line in second.splitlines() if ".push(" not in line), names)
    assert names["again"].weights == names["mine"].weights
    assert names["again"].config["about"]["license"] == "MIT"


@pytest.mark.parametrize("page", FAMILIES, ids=lambda page: page.parent.name)
def test_python_of_the_models_pages(page):
    (code,) = blocks(page, "python")
    names: dict[str, Any] = {"cloud": read(ROOT / "examples" / "data" / "sculpture.ply")[:200]}
    exec(code.replace("n=1000", "n=100"), names)
    if page.parent.name == "samplers":
        assert len(names["small"]) == 100
    elif "few" in names:  # sampled x8 and recovered
        assert [len(names[name]) for name in ("few", "dense")] == [25, 200]
    else:
        assert len(names["dense"]) == 800


def commands(path: Path) -> list[list[str]]:
    text = "\n".join(blocks(path, "bash")).replace("\\\n", " ")
    lines = [line.partition(" # ")[0] for line in re.split(r"\n|&&", text)]
    words = [shlex.split(line) for line in lines if "pcsr " in line]
    return [found[found.index("pcsr") + 1 :] for found in words if "pcsr" in found]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_have_options_that_exist(path):
    for words in commands(path):
        command: Any = main
        while hasattr(command, "commands") and words and words[0] in command.commands:
            command, words = command.commands[words[0]], words[1:]
        assert command is not main or words[0].startswith("-"), words
        known = {name for option in command.params for name in option.opts} | {"--help", "--version"}
        assert {word for word in words if word.startswith("-")} <= known, words


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_to_files_and_headings(path):
    """As in the repository; how the site turns them is tested by building it."""
    text = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]*))?\)", text):
        there = (path.parent / target).resolve() if target else path
        assert there.exists(), target
        if anchor and not anchor.startswith("pcsr_zoo."):  # the reference is made when the site is built
            headings = re.findall(r"^#+ (.+)$", there.read_text(encoding="utf-8"), re.MULTILINE)
            slugs = {re.sub(r"\s+", "-", re.sub(r"[^\w\s-]", "", heading).strip().lower()) for heading in headings}
            assert anchor in slugs, (target, anchor)
