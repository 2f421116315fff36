"""`train` in one process: what a run writes, reports and refuses."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from toy_training import QUICK, Net, PatchRecipe, ToyPatches, one_thread, same, weights, write_toy_data  # noqa: F401

import pcsr_zoo
from pcsr_zoo.checkpoints.folder import read_config
from pcsr_zoo.datasets import TrainingSet
from pcsr_zoo.errors import FileError, OptionError, TrainingError
from pcsr_zoo.training import train


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return write_toy_data(tmp_path_factory.mktemp("data") / "toy.npz")


def test_training_lowers_the_validation_figure_and_ships_the_best(path, tmp_path):
    lines = []
    settings = {**QUICK, "steps": 40, "lr": 2e-2, "validate_every": 5, "validate_first": True}
    outcome = train("toy-patches", path, tmp_path / "r", settings=settings, device="cpu", report=lines.append)
    figures = [json.loads(line) for line in (tmp_path / "r/logs/metrics.jsonl").read_text().splitlines()]
    validated = {entry["step"]: entry["validation/chamfer"] for entry in figures if "validation/chamfer" in entry}
    assert list(validated) == list(range(0, 41, 5))
    assert outcome.before["chamfer"] == validated[0]
    assert outcome.figures["chamfer"] == min(validated.values()) < 0.5 * validated[0]
    assert validated[outcome.step] == outcome.figures["chamfer"]
    # the checkpoint has just these weights
    loaded = pcsr_zoo.load(tmp_path / "r")
    model, data = loaded.model, TrainingSet.load(path)
    again = model.recipe().validate({"network": model.network}, data, 0, torch.device("cpu"))
    assert again["chamfer"] == pytest.approx(outcome.figures["chamfer"], rel=1e-6)
    assert sum("(best)" in line for line in lines) >= 1
    assert loaded.upsample(np.random.default_rng(0).normal(size=(50, 3)), 2).shape == (100, 3)


def test_facts_of_the_checkpoint(path, tmp_path):
    train("toy-patches", path, tmp_path / "r", settings={**QUICK, "steps": 5, "seed": 3}, recipe={"jitter": 0.02})
    about = read_config(tmp_path / "r")["about"]
    assert about["data_file"]["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert about["data_file"]["licenses"] == {"CC0-1.0": 2, "MIT": 2}
    assert (about["data_file"]["shapes"], about["data_file"]["held_out"]) == (4, 1)
    assert about["seed"] == about["settings"]["seed"] == 3
    assert about["steps"] == about["best_step"] == 5
    assert about["recipe"] == {"jitter": 0.02}
    assert about["hours"] > 0
    assert about["validation"].keys() == {"chamfer"}
    assert about["versions"]["torch"] == torch.__version__
    assert "cores" in about["hardware"]
    assert (tmp_path / "r/last/model.safetensors").exists()


def test_the_same_run_twice_and_whatever_draws_the_examples(path, tmp_path):
    first = train("toy-patches", path, tmp_path / "a", settings={**QUICK, "steps": 6})
    state = torch.random.get_rng_state()
    train("toy-patches", path, tmp_path / "b", settings={**QUICK, "steps": 6, "workers": 2})
    assert torch.equal(state, torch.random.get_rng_state())  # the caller's random numbers go on as they were
    train("toy-patches", path, tmp_path / "c", settings={**QUICK, "steps": 6, "seed": 1})
    assert first.steps == 6
    assert same(weights(tmp_path / "a"), weights(tmp_path / "b"))
    assert not same(weights(tmp_path / "a"), weights(tmp_path / "c"))


def test_figures_without_tensorboard(path, tmp_path, monkeypatch):
    lines = []
    train("toy-patches", path, tmp_path / "a", settings={**QUICK, "steps": 5}, report=lines.append)
    events = list((tmp_path / "a/logs").glob("events.out.tfevents*"))
    if not events:
        pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    scalars = EventAccumulator(str(tmp_path / "a/logs")).Reload()
    logged = [json.loads(line) for line in (tmp_path / "a/logs/metrics.jsonl").read_text().splitlines()]
    at_five = next(entry for entry in logged if "network/loss" in entry)
    assert scalars.Scalars("network/loss")[0].step == at_five["step"] == 5
    assert scalars.Scalars("network/loss")[0].value == pytest.approx(at_five["network/loss"])
    assert not any("TensorBoard" in line for line in lines)

    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    train("toy-patches", path, tmp_path / "b", settings={**QUICK, "steps": 5}, report=lines.append)
    assert sum("TensorBoard is not installed" in line for line in lines) == 1
    assert [entry.name for entry in (tmp_path / "b/logs").iterdir()] == ["metrics.jsonl"]


def test_a_model_with_weights_is_trained_on_and_not_changed(path, tmp_path):
    model = ToyPatches(8)
    before = {name: value.clone() for name, value in model.network.state_dict().items()}
    train(model, path, tmp_path / "r", settings={**QUICK, "steps": 3, "lr": 1e-6, "ema": 0})
    assert same(before, model.network.state_dict())
    after = weights(tmp_path / "r")
    assert torch.allclose(after["first.weight"], before["first.weight"], atol=1e-4)
    assert not torch.equal(after["first.weight"], before["first.weight"])


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        ({"model": "jet"}, OptionError, "'jet' has no network"),
        ({"model": "toy-patchs"}, OptionError, "did you mean toy-patches"),
        ({"arguments": {"depth": 3}}, OptionError, "arguments: .*depth"),
        ({"arguments": {"widht": 3}}, OptionError, "no argument 'widht'; did you mean width"),
        ({"recipe": {"color": 3}}, OptionError, "recipe: 'toy-patches' has no option 'color'"),
        ({"recipe": {"bad": 3}}, OptionError, "recipe: .* cannot be trained with these"),
        ({"settings": {"part_lr": {"tail": 1}}}, OptionError, "no part 'tail'.*: network"),
        ({"recipe": {"points": 999}}, OptionError, "cannot be drawn"),
        ({"device": "cuda:77"}, OptionError, "cuda:77"),
        ({"device": "gpu"}, OptionError, "'gpu'"),
        ({"data": "gone.npz"}, FileError, "gone.npz"),
    ],
)
def test_mistakes_are_named_before_training(path, tmp_path, change, kind, message):
    options = {"model": "toy-patches", "data": path, "settings": {"workers": 2}, **change}
    with pytest.raises(kind, match=message):
        train(output=tmp_path / "r", **options)


def test_without_held_out_shapes_it_says_so(tmp_path):
    lines = []
    data = write_toy_data(tmp_path / "one.npz", shapes=1, held_out=0)
    train("toy-patches", data, tmp_path / "r", settings={**QUICK, "steps": 2}, report=lines.append)
    assert any("one.npz" in line and "held out" in line for line in lines)
    data = write_toy_data(tmp_path / "none.npz", shapes=1, held_out=1)
    with pytest.raises(OptionError, match=r"none\.npz.*--held-out"):
        train("toy-patches", data, tmp_path / "s")


@pytest.mark.parametrize(("steps", "told"), [(3, True), (9, False)])
def test_a_warmup_longer_than_the_training_is_told(path, tmp_path, steps, told):
    lines = []
    settings = {**QUICK, "warmup": 6, "lr": 1e-2, "steps": steps, "log_every": 1}
    train("toy-patches", path, tmp_path / "r", settings=settings, report=lines.append)
    found = [line for line in lines if "training.warmup" in line]
    assert len(found) == told
    logged = [json.loads(line) for line in (tmp_path / "r/logs/metrics.jsonl").read_text().splitlines()]
    highest = max(value for line in logged for name, value in line.items() if name.endswith("/lr"))
    assert highest == pytest.approx(0.005 if told else 0.01)
    assert all("0.005" in line for line in found)  # the rate at the end


def test_a_checkpoint_of_others_is_not_overwritten(path, tmp_path):
    from pcsr_zoo.checkpoints.folder import save_checkpoint

    save_checkpoint(tmp_path / "r", ToyPatches(8))
    with pytest.raises(TrainingError, match="holds a checkpoint"):
        train("toy-patches", path, tmp_path / "r", settings={**QUICK, "steps": 2})
    train("toy-patches", path, tmp_path / "r", settings={**QUICK, "steps": 2}, restart=True)
    assert Path(tmp_path / "r/state/last.pt").exists()


def test_a_training_that_fails_at_once_leaves_nothing(path, tmp_path):
    (tmp_path / "mine").mkdir()
    for name, there in (("r", False), ("mine", True)):  # a folder of the user's own stays
        with pytest.raises(OptionError, match="cannot be drawn"):
            train("toy-patches", path, tmp_path / name, settings=QUICK, recipe={"points": 999})
        assert (tmp_path / name).exists() == there
        assert not there or not list((tmp_path / name).iterdir())
