"""A checkpoint is a folder: what is in it, that it comes back the same, and that a killed save harms nothing."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from toy_model import Toy, same, toy, trained  # noqa: F401

from pcsr_zoo import load
from pcsr_zoo.checkpoints import folder as checkpoints
from pcsr_zoo.checkpoints.folder import load_checkpoint, read_config, save_checkpoint, write_about
from pcsr_zoo.errors import FileError, OptionError

POINTS = np.random.default_rng(0).normal(size=(50, 3))

pytestmark = pytest.mark.usefixtures("toy")


def saved(folder: Path, model: Toy, **facts) -> Path:
    save_checkpoint(folder, model, **facts)
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return saved(tmp_path / "runs" / "mine", trained(), seed=7, data=["a", "b"])


# -- what is written, by other means of reading -------------------------------------------------------------------


def test_the_files_are_those_of_a_hub_repository(folder):
    assert sorted(os.listdir(folder)) == ["config.json", "model.safetensors"]
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    assert config == {
        "format": "pcsr-checkpoint-1",
        "name": "toy",
        "model": "toy",
        "arguments": {"width": 8, "layers": 1, "scale": 0.01},
        "parameters": 3 * 8 + 8 + 2 * 8 + 8 * 3 + 3,
        "sha256": hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest(),
        "about": {"seed": 7, "data": ["a", "b"]},
    }
    with safe_open(folder / "model.safetensors", "pt") as file:
        assert file.metadata() == {"format": "pt"}
        state = trained().network.state_dict()
        assert set(file.keys()) == set(state)
        for key in file.keys():  # noqa: SIM118 - it is no dictionary
            assert torch.equal(file.get_tensor(key), state[key])


def test_the_same_weights_are_the_same_bytes(folder, tmp_path):
    again = saved(tmp_path / "again" / "mine", trained(), seed=7, data=["a", "b"])
    for name in os.listdir(folder):
        assert (folder / name).read_bytes() == (again / name).read_bytes()


def test_it_comes_back_the_same(folder):
    before = trained()
    expected = load(before, allow_untrained=True).upsample(POINTS, 3)
    state = torch.random.get_rng_state()
    model = load_checkpoint(folder)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert same(model, before)
    assert not model.network.training
    assert model.arguments == before.arguments
    assert model.trained
    assert not before.trained
    np.testing.assert_array_equal(load(model).upsample(POINTS, 3), expected)


def test_arguments_name_and_facts(tmp_path):
    model = trained(width=5, layers=3)
    (tmp_path / "README.md").write_text("# mine\n")
    config = save_checkpoint(tmp_path, model, name="toy-x8", steps=np.int64(9), loss=np.float32(0.5))
    assert config == json.loads((tmp_path / "config.json").read_text()) == read_config(tmp_path)
    assert (config["name"], config["about"]) == ("toy-x8", {"steps": 9, "loss": 0.5})
    back = load_checkpoint(tmp_path)
    assert len(back.network) == 5
    assert back.name == "toy-x8"
    assert Toy.name == "toy"
    assert (tmp_path / "README.md").read_text() == "# mine\n"  # it is left alone
    assert save_checkpoint(tmp_path / "b", back)["name"] == "toy-x8"


def test_other_kinds_of_weights_are_saved_as_float32(tmp_path):
    model = trained()
    model.network.double()
    loaded = load_checkpoint(saved(tmp_path, model))
    assert {value.dtype for value in loaded.network.parameters()} == {torch.float32}
    assert loaded.network[1].num_batches_tracked.dtype == torch.int64
    assert same(loaded, trained())


def test_tied_weights(tmp_path):
    model = trained(layers=3)
    model.network[3].weight = model.network[2].weight
    loaded = load_checkpoint(saved(tmp_path, model))
    assert torch.equal(loaded.network[3].weight, model.network[2].weight)


def test_facts_can_be_changed_without_the_weights(folder):
    weights = (folder / "model.safetensors").read_bytes()
    config = write_about(folder, {"license": "MIT"})
    assert config["about"] == read_config(folder)["about"] == {"license": "MIT"}
    assert (folder / "model.safetensors").read_bytes() == weights
    assert same(load_checkpoint(folder), trained())


# -- what is refused when saving ----------------------------------------------------------------------------------


def test_what_cannot_be_saved(folder, tmp_path):
    before = (folder / "config.json").read_bytes(), (folder / "model.safetensors").read_bytes()
    diverged = trained()
    with torch.no_grad():
        diverged.network[0].weight[0, 0] = np.nan
    with pytest.raises(OptionError, match=r"0\.weight.*not finite"):
        save_checkpoint(folder, diverged)
    with pytest.raises(OptionError, match=r"\.\./x"):
        save_checkpoint(folder, trained(), name="../x")
    with pytest.raises(OptionError, match="set"):
        save_checkpoint(folder, trained(), things={1, 2})
    with pytest.raises(OptionError, match=r"config\.json"):
        save_checkpoint(folder, trained(), loss=float("nan"))
    deep: list = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(OptionError, match=r"config\.json"):
        save_checkpoint(folder, trained(), things=deep)
    with pytest.raises(OptionError, match="'failures'"):
        save_checkpoint(folder, trained(), failures="one")

    class Other(Toy):
        pass

    with pytest.raises(OptionError, match="register_model"):
        save_checkpoint(folder, Other())
    assert before == ((folder / "config.json").read_bytes(), (folder / "model.safetensors").read_bytes())
    (tmp_path / "file").write_text("x")
    with pytest.raises(FileError, match="file"):
        save_checkpoint(tmp_path / "file", trained())


# -- killed while saving ------------------------------------------------------------------------------------------


class Killed(BaseException):
    """Nothing catches it, as nothing catches SIGKILL."""


@pytest.mark.parametrize("old", [True, False], ids=["over an old one", "the first one"])
def test_killed_at_any_replacement_it_loads_the_old_or_the_new(tmp_path, monkeypatch, old):
    """os.replace is the only way by which a file gets its name; kill before each of them in turn, then save again."""
    real, seen = os.replace, []
    for kill_at in range(6):
        folder = tmp_path / str(kill_at)
        if old:
            save_checkpoint(folder, trained(0))
        count = 0

        def replace(source, target, kill_at=kill_at):
            nonlocal count
            if count == kill_at:
                raise Killed
            count += 1
            real(source, target)

        monkeypatch.setattr(os, "replace", replace)
        try:
            save_checkpoint(folder, trained(1))
        except Killed:
            pass
        else:
            break
        finally:
            monkeypatch.setattr(os, "replace", real)
        try:
            found = [seed for seed in (0, 1) if same(load_checkpoint(folder), trained(seed))]
        except (FileError, OptionError):
            found = None
        seen.append(found)
        save_checkpoint(folder, trained(2))
        assert same(load_checkpoint(folder), trained(2))
    # pending configuration, weights, configuration
    assert seen == ([[0], [0], [1]] if old else [None, None, [1]])


def test_killed_twice(tmp_path, monkeypatch):
    """After a kill between the weights and the configuration, a second one that comes sooner loses nothing."""
    save_checkpoint(tmp_path, trained(0))
    first = (tmp_path / "config.json").read_bytes()
    save_checkpoint(tmp_path, trained(1))
    (tmp_path / "config.json").rename(tmp_path / "config.pending.json")
    (tmp_path / "config.json").write_bytes(first)  # as the kill leaves it
    assert same(load_checkpoint(tmp_path), trained(1))

    def refuse(folder, content):
        if folder.name == "model.safetensors":
            raise Killed
        real(folder, content)

    real = checkpoints._write
    monkeypatch.setattr(checkpoints, "_write", refuse)
    with pytest.raises(Killed):
        save_checkpoint(tmp_path, trained(2))
    assert same(load_checkpoint(tmp_path), trained(1))


def test_a_first_save_that_fails_leaves_no_checkpoint(tmp_path, monkeypatch):
    def full(folder, content):
        if folder.name == "model.safetensors":
            raise FileError("no space left on the device")
        real(folder, content)

    real = checkpoints._write
    monkeypatch.setattr(checkpoints, "_write", full)
    with pytest.raises(FileError, match="no space"):
        save_checkpoint(tmp_path / "new", trained())
    assert not checkpoints.is_checkpoint(tmp_path / "new")
    assert list((tmp_path / "new").iterdir()) == []


def test_a_reader_beside_a_writer_never_sees_a_mixture(tmp_path):
    models = [trained(seed) for seed in range(2)]
    save_checkpoint(tmp_path, models[0])
    stop = threading.Event()

    def write() -> None:
        for k in range(1, 40):
            save_checkpoint(tmp_path, models[k % 2])
        stop.set()

    writer = threading.Thread(target=write)
    writer.start()
    reads = 0
    while not stop.is_set():
        model = load_checkpoint(tmp_path)
        assert same(model, models[0]) or same(model, models[1])
        reads += 1
    writer.join()
    assert reads > 3
