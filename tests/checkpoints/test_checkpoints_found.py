"""How checkpoints are found: by path, by name, in the package, from the command line."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from toy_model import Toy, same, toy, trained  # noqa: F401

import pcsr_zoo
from pcsr_zoo import list_models, load, upsample
from pcsr_zoo.cards.measured import best_row
from pcsr_zoo.checkpoints.folder import folder as checkpoints
from pcsr_zoo.checkpoints.folder import load_checkpoint, read_config, save_checkpoint
from pcsr_zoo.cli import main
from pcsr_zoo.cli.models import _table
from pcsr_zoo.errors import FileError, OptionError
from pcsr_zoo.models import registry
from pcsr_zoo.zoo import describe_model, model_class, model_info

POINTS = np.random.default_rng(0).normal(size=(50, 3))

pytestmark = pytest.mark.usefixtures("toy")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return save_checkpoint(tmp_path / "runs" / "mine", trained(), seed=7, data=["a", "b"])


# -- names and paths ----------------------------------------------------------------------------------------------


def test_load_takes_paths(folder, monkeypatch):
    monkeypatch.chdir(folder.parent)
    for path in (folder, str(folder), "mine", "./mine", Path("mine")):
        assert same(load(path), trained())
    for missing in ("runs/other", "./jet", Path("jet")):
        with pytest.raises(FileError, match="no such folder"):
            load(missing)
    os.mkdir("empty")
    with pytest.raises(FileError, match="empty is no checkpoint"):
        load("empty")
    with pytest.raises(OptionError, match="did you mean jet"):
        load("jeet")
    assert load("jet").name == "jet"
    assert model_info("mine")["tasks"] == ["upsample", "recover"]


@pytest.fixture
def configs(tmp_path, monkeypatch) -> Path:
    """Checkpoints that came with the package, in place of its own; and the toy's class as one of the package."""
    root = tmp_path / "hub_configs"
    save_checkpoint(root / "toy", trained(1), summary="a better toy")
    save_checkpoint(root / "toy-x8", trained(2, width=4), name="toy-x8")
    monkeypatch.setattr(checkpoints, "package_folder", lambda: root)
    monkeypatch.setitem(registry._registered, "toy", "toy_model:Toy")
    return root


def test_a_bundled_checkpoint_goes_before_its_class(configs):
    assert same(load("toy"), trained(1))
    assert load("toy-x8").name == "toy-x8"
    assert model_class("toy") is model_class("toy-x8") is Toy
    assert list_models("toy-x*") == ["toy-x8"]
    assert "toy" in list_models()
    config = read_config(configs / "toy")
    assert model_info("toy") == {
        "name": "toy",
        "tasks": ["upsample", "recover"],
        "summary": "a better toy",
        "source": "nobody, 2000",
        "parameters": 75,
        "weights": f"sha256:{config['sha256']}",
    }
    assert "weights" not in model_info("jet")
    with pytest.raises(OptionError, match="did you mean toy-x8"):
        load("toy-x9")


def test_no_two_loaded_models_share_weights(configs):
    first, second = load("toy"), load("toy")
    with torch.no_grad():
        first.network[0].weight.fill_(0)
    assert same(second, trained(1))
    assert same(load("toy"), trained(1))


def test_a_class_without_weights_says_so(caplog):
    with caplog.at_level("WARNING", "pcsr_zoo"):
        load("toy")
        load("jet")
    assert [record.getMessage() for record in caplog.records] == [caplog.records[0].getMessage()]
    assert "'toy' has untrained weights" in caplog.text


def test_the_packages_own_checkpoints():
    assert "jetnet" in checkpoints.bundled()
    for name, path in checkpoints.bundled().items():
        model = load_checkpoint(path)
        config = read_config(path)
        assert config["name"] == name == model.name
        assert config["parameters"] == sum(p.numel() for p in model.network.parameters())
        assert (path / "README.md").is_file()
        assert not (path / "config.pending.json").exists()


def test_together_they_are_small():
    """The wheel carries all of hub_configs; what does not fit stays on the Hub, see hub_configs/README.md."""
    root = checkpoints.package_folder()
    assert root is not None
    assert sum(path.stat().st_size for path in root.rglob("*") if path.is_file()) < 40e6


def test_they_are_found_in_a_wheel_and_in_a_checkout(tmp_path, monkeypatch):
    package = tmp_path / "pcsr_zoo"
    package.mkdir()
    monkeypatch.setattr(checkpoints, "__file__", str(package / "checkpoints.py"))
    assert checkpoints.bundled() == {}
    save_checkpoint(tmp_path / "hub_configs" / "a", trained())
    assert checkpoints.bundled() == {}  # site-packages/hub_configs would be somebody else's
    (tmp_path / "pyproject.toml").write_text("")
    assert list(checkpoints.bundled()) == ["a"]
    save_checkpoint(package / "hub_configs" / "b", trained())
    (save_checkpoint(package / "hub_configs" / "c", trained()) / "model.safetensors").unlink()  # only on the Hub
    (package / "hub_configs" / "README.md").write_text("no checkpoint")
    assert list(checkpoints.bundled()) == ["b"]


def test_a_wheel_has_them_and_loads_them_without_a_network(tmp_path):
    """Built by the builder, unpacked as pip does, and used from there alone, offline and with no cache.

    Then once more, in the same process for the sake of torch, which takes its time to import, as on a machine without
    the client of the Hub, such as one that only trains may be: there, too, it loads and saves.
    """
    builder = pytest.importorskip("hatchling.builders.wheel")
    root = Path(pcsr_zoo.__file__).parents[1]
    (wheel,) = builder.WheelBuilder(str(root)).build(directory=str(tmp_path / "dist"), versions=["standard"])
    assert Path(wheel).stat().st_size < 40e6
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    code = """
import socket, sys, pcsr_zoo
def refuse(*_): raise OSError("no network")
socket.socket.connect = refuse
print(pcsr_zoo.__file__, *(pcsr_zoo.load(name).name for name in sys.argv[1:]))
for module in [module for module in sys.modules if module.split(".")[0] in ("pcsr_zoo", "huggingface_hub")]:
    del sys.modules[module]
sys.modules["huggingface_hub"] = None
import pcsr_zoo
from pcsr_zoo.checkpoints.folder import bundled, read_config
pcsr_zoo.load("jetnet").save_pretrained("saved")
print(read_config("saved") == read_config(bundled()["jetnet"]))
"""
    names = list(checkpoints.bundled())
    env = {**os.environ, "PYTHONPATH": str(tmp_path / "site"), "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "none")}
    command = [sys.executable, "-c", code, *names]
    done = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True)
    found = [str(tmp_path / "site" / "pcsr_zoo" / "__init__.py"), *names]
    assert done.stdout.split() == [*found, "True"], done.stderr


# -- from the command line ----------------------------------------------------------------------------------------


def pcsr(*arguments) -> tuple[int, str]:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    return result.exit_code, result.output


def test_commands_take_a_folder(folder, tmp_path):
    cloud = tmp_path / "a.xyz"
    np.savetxt(cloud, POINTS)
    code, said = pcsr("upsample", cloud, "-x", 3, "-m", folder, "-o", tmp_path / "b.npy")
    assert (code, "50 -> 150 points" in said) == (0, True), said
    np.testing.assert_array_equal(np.load(tmp_path / "b.npy"), upsample(np.loadtxt(cloud), 3, model=trained()))
    code, said = pcsr("sample", cloud, "-x", 3, "-m", folder)
    assert (code, "is a model for pcsr upsample" in said) == (2, True), said
    code, said = pcsr("upsample", cloud, "-x", 3, "-m", tmp_path / "nothing")
    assert (code, "no such" in said) == (1, True), said
    code, said = pcsr("benchmark", "--data", tmp_path, "--task", "up4", "--model", f"fps+{tmp_path / 'nothing'}")
    assert (code, "no such" in said) == (1, True), said
    code, said = pcsr("benchmark", "--data", tmp_path, "--task", "up4", "--model", folder)
    assert (code, "gt_8192" in said) == (1, True), said  # the test set is missing, the model is not


def test_models_lists_them(configs):
    code, said = pcsr("models")
    assert code == 0
    assert said.count("\ntoy ") == 1
    line = next(line for line in said.splitlines() if line.startswith("toy "))
    size = (configs / "toy" / "model.safetensors").stat().st_size
    assert line.split(None, 7) == [
        "toy",
        "upsample",
        "recover",
        "any",
        f"{size / 1e3:.1f}",
        "kB",
        "package",
        "a better toy",
    ]
    code, said = pcsr("models", "toy")
    assert code == 0
    config = read_config(configs / "toy")
    for words in ("a better toy", "parameters: 75", f"sha256: {config['sha256']}", "source: nobody, 2000"):
        assert words in said
    rows = {row["name"]: row for row in json.loads(pcsr("models", "--json")[1])}
    assert rows["toy-x8"]["parameters"] == 3 * 4 + 4 + 2 * 4 + 4 * 3 + 3


@pytest.mark.parametrize("columns", [80, 100, 200])
def test_the_table_has_all_of_its_columns_on_any_terminal(configs, monkeypatch, capsys, columns):
    rows = [describe_model(name) for name in list_models()]
    best = {"task": "pcsr16", "convention": "pugan-2019", "cd": 0.493, "jet": 0.458}
    rows = [{**row, "best": best, "license": "CC-BY-NC-4.0", "summary": "long " * 60} for row in rows]
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", str(columns))
    _table(rows)
    said = capsys.readouterr().out
    assert max(map(len, said.splitlines())) <= columns
    for row in rows:
        (line,) = re.findall(rf"^{re.escape(row['name'])} .*(?:\n  .*)?", said, re.MULTILINE)
        shown = {"any", "pcsr16 0.493 (0.458)", "long", *row["tasks"]}
        assert all(words in line for words in shown), line
        assert "weights" not in row or ("CC-BY-NC-4.0" in line and "kB" in line and "package" in line)


def test_the_best_row_is_one_with_samples_of_its_own():
    def row(model, task, cd):
        return {"task": task, "model": model, "convention": "pugan-2019", "cd": cd}

    rows = [row("toy-x8", "pcsr8", 0.337), row("fps+toy-x8", "pcsr8", 0.336), row("jet", "pcsr8", 0.4)]
    rows += [row("toy-x8", "up16", 0.3), row("jet", "up16", 0.29)]
    assert best_row(rows, "toy-x8") == {"task": "pcsr8", "convention": "pugan-2019", "cd": 0.337, "jet": 0.4}
    assert best_row(rows[1:3], "toy-x8")["cd"] == 0.336  # there is no other
    assert best_row(rows, "toy-x4") is None


def test_nothing_heavy_is_imported_for_nothing():
    code = (
        "import sys, pcsr_zoo.checkpoints.folder as c; from pcsr_zoo import list_models, load; "
        "list_models(); load('fps'); c.bundled(); "
        "assert not {'torch', 'open3d', 'huggingface_hub'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
