"""A model that is not part of the package, on the command line; no code is imported that the user did not name."""

from __future__ import annotations

import json
import sys
from importlib import metadata
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from click.testing import CliRunner
from toy_training import write_toy_data

from pcsr_zoo import Cloud, list_models, load, write
from pcsr_zoo.cli import main
from pcsr_zoo.datasets import TrainingSet
from pcsr_zoo.errors import OptionError
from pcsr_zoo.models import registry
from pcsr_zoo.models.midpoint.model import Midpoint

MODULE = """
import toy_training
from pcsr_zoo.models.registry import register_model

@register_model
class Own(toy_training.ToyPatches):
    name = "own"
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A module, a configuration and data in `models`; the current folder is above it, and nothing is imported yet."""
    monkeypatch.setattr("pcsr_zoo.models.registry._registered", dict(registry._registered))
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name in ("own_model", "broken_model"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.chdir(tmp_path)
    Path("models").mkdir()
    Path("models/own_model.py").write_text(MODULE)
    Path("models/own.yml").write_text(
        "model: own\nimport: own_model\ndata: d.npz\ntraining: {steps: 1, batch: 2, workers: 0}\n"
    )
    write_toy_data(tmp_path / "models/d.npz")
    points = TrainingSet.load("models/d.npz").points(0)[:60]
    write(Cloud(points), "a.ply")
    return tmp_path


def pcsr(*arguments: str, modules: str | None = None):
    return CliRunner(env={"PCSR_IMPORT": modules}).invoke(main, list(arguments))


def forget(monkeypatch):
    """As if a new process had begun."""
    registry._registered.pop("own")
    sys.modules.pop("own_model")
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if not entry.endswith("models")])


UPSAMPLE = ("upsample", "a.ply", "-x", "2", "-m", "runs/own", "--overwrite")


def test_a_model_of_ones_own_is_used_everywhere(folder, monkeypatch):
    done = pcsr("train", "models/own.yml")
    assert done.exit_code == 0, done.output
    forget(monkeypatch)
    unknown = pcsr(*UPSAMPLE)
    assert unknown.exit_code != 0
    assert "'own'" in unknown.output
    assert "PCSR_IMPORT=MODULE" in unknown.output
    for modules in ("models/own_model.py", " json , models/own_model.py,"):
        done = pcsr(*UPSAMPLE, modules=modules)
        assert done.exit_code == 0, done.output
        forget(monkeypatch)
    monkeypatch.chdir("models")  # the current folder is looked at
    done = pcsr("finetune", "../runs/own", "d.npz", "-o", "../runs/more", "--steps", "1", modules="own_model")
    assert done.exit_code == 0, done.output


def test_a_checkpoint_never_imports_code(folder, monkeypatch):
    """Whatever it says, and even where the module is at hand."""
    assert pcsr("train", "models/own.yml").exit_code == 0
    forget(monkeypatch)
    monkeypatch.syspath_prepend(str(folder / "models"))
    config = json.loads(Path("runs/own/config.json").read_text())
    for key in ("import", "module"):
        config[key] = config["about"][key] = "own_model"
    for model in ("own", "own_model", "own_model:Own"):
        Path("runs/own/config.json").write_text(json.dumps({**config, "model": model}))
        assert pcsr(*UPSAMPLE).exit_code != 0
        assert "own_model" not in sys.modules


def test_a_file_whose_name_another_module_has(folder):
    """It would never be run, and its model would be looked for in vain."""
    Path("models/json.py").write_text(MODULE)
    done = pcsr("models", modules="models/json.py")
    assert done.exit_code == 1
    assert "'json'" in done.output
    assert "models/json.py" in done.output
    Path("broken_model.py").write_text("raise SystemExit(0)\n")
    done = pcsr("models", modules="broken_model.py")
    assert done.exit_code == 1
    assert "'broken_model.py' cannot be imported: SystemExit" in done.output


@pytest.mark.parametrize(
    ("modules", "message"),
    [
        ("no_such_module_x", "PCSR_IMPORT: 'no_such_module_x' cannot be imported: No module named"),
        ("broken_model.py", "PCSR_IMPORT: 'broken_model.py' cannot be imported: ZeroDivisionError"),
    ],
)
def test_a_module_that_cannot_be_imported(folder, modules, message):
    Path("broken_model.py").write_text("1 / 0\n")
    done = pcsr("models", modules=modules)
    assert done.exit_code == 1
    assert message in done.output
    assert "Traceback" not in done.output
    assert pcsr("models", modules="").exit_code == 0


# -- classes that another installed package offers --------------------------------------------------------------------


class Offered(Midpoint):
    name = "offered"


@pytest.fixture
def offers(monkeypatch):
    """Entry points of the group, as if a package had them."""

    def offer(*entries: tuple[str, str]) -> None:
        found = {name: metadata.EntryPoint(name, value, registry.GROUP) for name, value in entries}
        monkeypatch.setattr(registry, "_offered", lambda: found)

    return offer


def test_an_offered_class_is_loaded_and_listed(offers, monkeypatch):
    module = ModuleType("somebody_elses")
    module.Offered = Offered
    monkeypatch.setitem(sys.modules, "somebody_elses", module)
    offers(("offered", "somebody_elses:Offered"))
    assert "offered" in list_models()
    assert len(load("offered").upsample(np.eye(3), 4)) == 12
    assert registry.model_classes()["offered"] is Offered


@pytest.mark.parametrize("value", ["no_such_module_y:Model", "json:loads", "json:nothing"])
def test_a_broken_offer_does_not_break_the_list(offers, caplog, value):
    offers(("broken", value))
    assert "jet" in registry.model_classes()
    assert "'broken'" in caplog.text
    with pytest.raises(OptionError, match="'broken'"):
        load("broken")


def test_only_models_with_names_are_registered():
    with pytest.raises(OptionError, match="dict"):
        registry.register_model(dict)
