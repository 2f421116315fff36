"""`validate`: the figures of a training, measured again from the checkpoint."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner
from toy_training import QUICK, one_thread, write_toy_data  # noqa: F401

from pcsr_zoo.checkpoints.folder import read_config
from pcsr_zoo.cli import main
from pcsr_zoo.errors import FileError, OptionError
from pcsr_zoo.training import train
from pcsr_zoo.training.validation import validate


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A training file and a checkpoint that was trained on it."""
    folder = tmp_path_factory.mktemp("validation")
    path = write_toy_data(folder / "toy.npz")
    train("toy-patches", path, folder / "run", settings={**QUICK, "steps": 6}, recipe={"jitter": 0.02}, device="cpu")
    return path, folder / "run"


def test_the_figures_are_those_of_the_training(run):
    path, folder = run
    figures = read_config(folder)["about"]["validation"]
    assert validate(folder, path, device="cpu") == pytest.approx(figures, rel=1e-5)


def test_other_shapes_give_other_figures(run, tmp_path):
    path, folder = run
    other = write_toy_data(tmp_path / "other.npz", shapes=6, held_out=2)
    assert validate(folder, other, device="cpu") != pytest.approx(validate(folder, path, device="cpu"), rel=1e-3)


def test_what_cannot_be_validated(run, tmp_path):
    path, folder = run
    with pytest.raises(OptionError, match="midpoint"):
        validate("midpoint", path)
    with pytest.raises(OptionError, match="pointlie-x8"):  # of several checkpoints, one must be named
        validate("pointlie", path)
    with pytest.raises(FileError, match=r"none\.npz"):
        validate(folder, tmp_path / "none.npz")
    (tmp_path / "text.npz").write_text("0 0 0")
    with pytest.raises(FileError, match=r"text\.npz.*pcsr data build"):
        validate(folder, tmp_path / "text.npz")


def test_a_card_keeps_the_figures_of_its_own_training_file(run, tmp_path):
    _, folder = run
    other = write_toy_data(tmp_path / "other.npz", shapes=6, held_out=2)
    before = (folder / "README.md").read_bytes(), (folder / "config.json").read_bytes()
    refused = CliRunner().invoke(main, ["validate", str(folder), str(other), "--device", "cpu", "--card"])
    assert refused.exit_code == 1
    assert "other.npz" in refused.output
    assert ((folder / "README.md").read_bytes(), (folder / "config.json").read_bytes()) == before


def test_command(run):
    path, folder = run
    figures = read_config(folder)["about"]["validation"]
    about = dict(read_config(folder)["about"], validation={"chamfer": 1.0})
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "about": about}))
    shown = CliRunner().invoke(main, ["validate", str(folder), str(path), "--device", "cpu", "--json"])
    assert json.loads(shown.stdout) == pytest.approx(figures)
    assert read_config(folder)["about"]["validation"] == {"chamfer": 1.0}
    stored = CliRunner().invoke(main, ["validate", str(folder), str(path), "--device", "cpu", "--card"])
    assert stored.exit_code == 0, stored.output
    assert read_config(folder)["about"]["validation"] == pytest.approx(figures)
    table = (folder / "README.md").read_text().partition("## Validation")[2].partition("## ")[0]
    assert f"| chamfer | {figures['chamfer']:.6g} |" in table
    assert "the 1 held-out" in table


def test_the_card_option_needs_a_folder(run):
    path, _ = run
    found = CliRunner().invoke(main, ["validate", "jetnet", str(path), "--card"])
    assert found.exit_code != 0
    assert "--card" in found.output
