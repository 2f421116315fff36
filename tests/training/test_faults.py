"""What can go wrong around a training: each fault has one clear line, and leaves nothing half-written."""

from __future__ import annotations

import json
import os
import pickle
import sys

import numpy as np
import pytest
import torch
import yaml
from cli_run import run
from toy_training import PatchRecipe, ToyPatches, one_thread, write_toy_data  # noqa: F401

import pcsr_zoo
from pcsr_zoo.checkpoints.folder import save_checkpoint
from pcsr_zoo.cloud import Cloud
from pcsr_zoo.datasets import TrainingSet
from pcsr_zoo.errors import FileError, OptionError, TrainingError
from pcsr_zoo.training import api, examples, finetune, train
from pcsr_zoo.training.engine import Engine
from pcsr_zoo.training.log import MetricLog
from pcsr_zoo.training.options import make_recipe, recipe_options, untrained
from pcsr_zoo.training.own_data import find_sources
from pcsr_zoo.training.state import load_state, save_state

QUICK = {"batch": 2, "warmup": 0, "workers": 0, "log_every": 1}


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return write_toy_data(tmp_path_factory.mktemp("data") / "toy.npz")


# -- the disk


class Crash(Exception):
    pass


def crashing(step):
    def progress(stage, fraction):
        if stage.startswith(f"step {step},"):
            raise Crash

    return progress


def test_a_disk_that_is_full_keeps_the_last_state(path, tmp_path, monkeypatch):
    resource = pytest.importorskip("resource")
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    monkeypatch.setattr("pcsr_zoo.training.trainer._REDRAW", 0.0)
    settings = {**QUICK, "steps": 9, "save_every": 3}
    with pytest.raises(Crash):
        train("toy-patches", path, tmp_path / "r", settings=settings, progress=crashing(5))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4000, before[1]))  # no file may be larger than that
    try:
        with pytest.raises(FileError, match=r"cannot write .*last\.pt: File too large"):
            train("toy-patches", path, tmp_path / "r", settings=settings)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [entry.name for entry in (tmp_path / "r/state").iterdir()] == ["last.pt"]
    assert load_state(tmp_path / "r/state/last.pt").step == 3
    assert pcsr_zoo.load(tmp_path / "r")
    assert train("toy-patches", path, tmp_path / "r", settings=settings).resumed == 3


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a device of Linux")
def test_figures_that_cannot_be_written(tmp_path):
    log = MetricLog(tmp_path / "logs", 0)
    with open("/dev/full", "w") as full:
        log._file.close()
        log._file = full
        with pytest.raises(FileError, match=r"cannot write .*metrics\.jsonl: No space left on device"):
            log.write(1, {"a": 1.0})
        log.close()
    (tmp_path / "file").touch()
    with pytest.raises(FileError, match=r"cannot write .*metrics\.jsonl"):
        MetricLog(tmp_path / "file", 0)


def test_files_that_cannot_be_read(path, tmp_path, monkeypatch):
    short = tmp_path / "short.npz"
    short.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(FileError, match=r"short\.npz"):
        train("toy-patches", short, tmp_path / "r", settings=QUICK)
    save_checkpoint(tmp_path / "base", ToyPatches(8))
    with pytest.raises(FileError, match=r"short\.npz"):
        finetune(tmp_path / "base", short, tmp_path / "r", settings=QUICK)
    assert not (tmp_path / "r").exists()
    with np.load(path) as archive:
        arrays = dict(archive)
    about = json.loads(bytes(arrays["about"]).decode())
    arrays["about"] = np.frombuffer(json.dumps({**about, "format": "pcsr-train-0"}).encode(), np.uint8)
    np.savez(tmp_path / "old.npz", **arrays)
    with pytest.raises(FileError, match=r"old\.npz has the format pcsr-train-0, not pcsr-train-1; build it again"):
        train("toy-patches", tmp_path / "old.npz", tmp_path / "r", settings=QUICK)
    real = open

    def refused(name, *arguments, **options):
        if str(name).endswith("toy.npz"):
            raise PermissionError(13, "Permission denied", str(name))
        return real(name, *arguments, **options)

    monkeypatch.setattr("builtins.open", refused)
    from pcsr_zoo.io.files import file_sha256

    with pytest.raises(FileError, match=r"toy\.npz cannot be read: Permission denied"):
        file_sha256(path)


def test_files_of_an_unknown_kind_are_left_to_their_readers(tmp_path):
    (tmp_path / "a.csv").write_bytes(b'"' + b"x" * 200_000)  # larger than the module csv takes
    assert find_sources([tmp_path / "a.csv"]).clouds == [tmp_path / "a.csv"]


def test_no_shapes():
    empty = TrainingSet({"frames": np.zeros((0, 4))}, [], {"points": 512})
    with pytest.raises(OptionError, match=r"none\.npz.*shapes"):
        api.check_split(empty, "none.npz", print)


# -- the state


def test_a_state_of_another_version_is_named(path, tmp_path):
    settings = {**QUICK, "steps": 2}
    train("toy-patches", path, tmp_path / "r", settings=settings)
    file = tmp_path / "r/state/last.pt"
    state = load_state(file)
    state.step, state.best = 1, {}
    state.networks["network"]["first.weight"] = torch.zeros(7, 3)
    save_state(file, state)
    with pytest.raises(TrainingError, match=r"r: the state of this training does not fit.*first\.weight.*--restart"):
        train("toy-patches", path, tmp_path / "r", settings=settings)
    state.best = {"weights": {"gone": torch.zeros(1)}, "figures": {"chamfer": 1.0}, "step": 1}
    save_state(file, state)
    with pytest.raises(TrainingError, match=r"r: the state of this training does not fit.*gone.*--restart"):
        train("toy-patches", path, tmp_path / "r", settings=settings)
    torch.save({"format": "pcsr-training-0"}, file)
    with pytest.raises(FileError, match=r"last\.pt .*--restart"):
        train("toy-patches", path, tmp_path / "r", settings=settings)


def test_weights_that_are_not_finite_replace_nothing(path, tmp_path, monkeypatch):
    """Loss and gradient of a step were finite, what it made of the weights is not."""
    step = Engine.step

    def overflow(self, pieces, number, stop=False):
        done = step(self, pieces, number, stop)
        if number == 3:
            self.modules["network"].first.bias.data[2] = float("inf")
        return done

    monkeypatch.setattr(Engine, "step", overflow)
    settings = {**QUICK, "steps": 9, "ema": 0, "save_every": 1}
    with pytest.raises(TrainingError, match=r"weights .* step 4; .*training\.lr"):
        train("toy-patches", path, tmp_path / "r", settings=settings)
    state = load_state(tmp_path / "r/state/last.pt")
    assert state.step == 3
    assert all(torch.isfinite(value).all() for value in state.networks["network"].values())
    assert pcsr_zoo.load(tmp_path / "r")


# -- what the user wrote


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"recipe": 0}, "'recipe' must be keys and values, got 0"),
        ({"recipe": False}, "'recipe' must be keys and values, got False"),
        ({"arguments": []}, "'arguments' must be keys and values, got []"),
        ({"model": 3}, "'model' must be the name of a model, see pcsr models, got 3"),
        ({"data": ["toy.npz"]}, "'data' must be a training file, got ['toy.npz']"),
        ({"data": "~nobody-of-that-name/toy.npz"}, "~nobody-of-that-name/toy.npz"),
        ({"import": 0}, "'import' must be the name of a module"),
        ({"recipe": {"jitter": "fast"}}, "recipe: jitter must be a number, got 'fast'"),
        ({"recipe": {"jitter": float("nan")}}, "recipe: jitter must be a number, got nan"),
        ({"recipe": {"points": 32.0}}, "recipe: points must be a whole number"),
        ({"recipe": {"points": True}}, "recipe: points must be a whole number"),
        ({"recipe": {"pair": 1}}, "recipe: pair must be true or false, got 1"),
        ({"recipe": {1: 2}}, "recipe: 'toy-patches' has no option '1'"),
        ({"arguments": {"width": "wide"}}, "arguments: 'toy-patches' cannot be made with them"),
        ({"arguments": {"width": -3}}, "arguments: 'toy-patches' cannot be made with them"),
        ({"arguments": {1: 2}}, "arguments: 'toy-patches' has no argument '1'"),
        ({"training": {"steps": float("inf")}}, "training: steps must be a whole number, got inf"),
        ({"training": {"lr": 1e39}}, "training: lr must be above 0 and at most 1e+06"),
        ({"training": {"seed": 1e300}}, "training: seed must be at least 0 and below 2^63"),
        ({"training": {"workers": 10_000}}, "training: workers must be at least -1 and at most 64"),
        ({"training": [1]}, "training: must be keys and values, got [1]"),
    ],
)
def test_values_of_a_wrong_kind(path, tmp_path, change, message):
    config = {"model": "toy-patches", "data": str(path), "training": {"steps": 1}, **change}
    (tmp_path / "c.yml").write_text(yaml.safe_dump(config))
    _, err = run("train", tmp_path / "c.yml", "-o", tmp_path / "r", code=1)
    assert message in err
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("recipe: {jitter: 2020-13-45}", "cannot be read as YAML: month must be in 1..12"),
        ("recipe: {jitter: 2020-12-24}", "recipe: jitter must be a number, got datetime.date"),
        ("recipe: " + 500 * "[", "cannot be read as YAML"),
        ("training: {steps: 1, steps: 2}", "'steps'"),
    ],
)
def test_odd_yaml(path, tmp_path, text, message):
    (tmp_path / "c.yml").write_text(f"model: toy-patches\ndata: {path}\n{text}\n")
    _, err = run("train", tmp_path / "c.yml", "-o", tmp_path / "r", code=1)
    assert message in err
    assert not (tmp_path / "r").exists()


def test_what_json_cannot_hold_is_refused_before_training(path, tmp_path):
    with pytest.raises(OptionError, match="JSON"):
        train("toy-patches", path, tmp_path / "r", recipe={"bad": (np.int64(3),)}, settings=QUICK)
    for name in ("recipe", "arguments"):
        with pytest.raises(OptionError, match=f"{name} must be keys and values"):
            train("toy-patches", path, tmp_path / "r", **{name: 3})
    assert not (tmp_path / "r").exists()


def test_tables_that_are_none_after_set(path, tmp_path):
    save_checkpoint(tmp_path / "base", ToyPatches(8))
    for change, message in (("training=3", "--set training: must be"), ("recipe=[1]", "--set recipe: must be")):
        _, err = run("finetune", tmp_path / "base", path, "-o", tmp_path / "r", "--set", change, code=1)
        assert message in err


def test_a_checkpoint_that_somebody_edited(path, tmp_path):
    save_checkpoint(tmp_path / "base", ToyPatches(8), settings={"lr": "fast"})
    _, err = run("finetune", tmp_path / "base", path, "-o", tmp_path / "r", code=1)
    assert "config.json: about: settings: lr must be a number, got 'fast'" in err


def test_a_recipe_that_trains_nothing_of_the_model(path, tmp_path, monkeypatch):
    monkeypatch.setattr(PatchRecipe, "networks", lambda self: {"network": torch.nn.Linear(2, 2)})
    with pytest.raises(OptionError, match="'toy-patches' cannot be trained: no part of its recipe is its network"):
        train("toy-patches", path, tmp_path / "r", settings=QUICK)


def test_results_in_the_folder_of_the_data_are_no_data(tmp_path):
    """Or the second run would find the training file that the first one made, and not go on."""
    save_checkpoint(tmp_path / "base", ToyPatches(8))
    points = np.random.default_rng(0).normal(size=(2, 1100, 3))
    (tmp_path / "scans").mkdir()
    for k in range(2):
        pcsr_zoo.write(Cloud(points[k] / np.linalg.norm(points[k], axis=1, keepdims=True)), tmp_path / f"scans/{k}.ply")
    settings = {"steps": 1, "batch": 1, "workers": 0}
    for resumed in (0, 1):
        outcome = finetune(tmp_path / "base", tmp_path / "scans", tmp_path / "scans/out", settings=settings)
        assert outcome.resumed == resumed


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("jetnet", {"densities": [1.0]}, "recipe: densities must be a list of 3, got"),
        ("jetnet", {"densities": [0, 0, 0]}, "densities must be shares"),
        ("jetnet", {"noise": [0.5, 0.1]}, "noise must be two numbers of at least 0, ascending"),
        ("jetnet", {"noise": ["low", "high"]}, "recipe: "),
        ("jetnet", {"queries": 1e3}, "recipe: queries must be a whole number"),
        ("sspu-geo", {"densities": [-1, 1, 1]}, "densities must be shares"),
        ("sspu-geo", {"clouds": {"from": 300}}, "recipe: "),
        ("pointlie", {"points": 256.0}, "points must be a whole number, got 256.0"),
        ("pointlie", {"points": 0}, "points must be a multiple of the ratio"),
        ("pointlie", {"emd": "much"}, "recipe: emd must be a number, got 'much'"),
        ("pointlie", {"two_way": 1}, "recipe: two_way must be true or false, got 1"),
        ("pointlie", {"epochs": 3}, "recipe: 'pointlie' has no option 'epochs'"),
    ],
)
def test_options_of_the_recipes_that_ship(name, options, message):
    with pytest.raises(OptionError) as error:
        make_recipe(untrained(name, {}), options)
    assert str(error.value).startswith(message)


class Base(PatchRecipe):
    def __init__(self, network, points=32, jitter=0.01):
        super().__init__(network, points, jitter, ())


class Derived(Base):
    def __init__(self, network, shade=1.0, **options):
        super().__init__(network, **options)


def test_all_options_are_known_where_one_recipe_hands_them_on_to_another(monkeypatch):
    assert recipe_options(untrained("pointlie-geo", {})) == recipe_options(untrained("jetnet", {})) != []
    monkeypatch.setattr(ToyPatches, "recipe", lambda self, **options: Derived(self.network, **options))
    with pytest.raises(OptionError, match=r"'epochs'.*: shade, points, jitter$"):
        make_recipe(ToyPatches(8), {"epochs": 3})
    with pytest.raises(OptionError, match="jitter must be a number"):
        make_recipe(ToyPatches(8), {"jitter": "fast"})
    assert make_recipe(ToyPatches(8), {"shade": 2.0, "points": 16}).points == 16


# -- processes that draw examples


class LateFault(PatchRecipe):
    def examples(self, data, step, seed, first, count):
        if step == 3:
            raise OptionError("the shape 'x' cannot be drawn from; leave it out")
        return super().examples(data, step, seed, first, count)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_fault_in_a_worker_is_one_line(path, tmp_path, monkeypatch, workers):
    monkeypatch.setattr(ToyPatches, "recipe", lambda self: LateFault(self.network, 32, 0.0, ()))
    with pytest.raises(OptionError) as error:
        train("toy-patches", path, tmp_path / "r", settings={**QUICK, "steps": 9, "workers": workers})
    assert str(error.value) == "the shape 'x' cannot be drawn from; leave it out"


def test_workers_that_are_spawned(path, tmp_path, monkeypatch):
    """As on macOS and Windows: the recipe and the data are sent to them."""
    settings = {**QUICK, "steps": 3}
    for name, workers in (("a", 0), ("b", 1)):
        train("toy-patches", path, tmp_path / name, settings={**settings, "workers": workers})
        monkeypatch.setattr(examples, "_can_fork", lambda: False)
    one, two = (pcsr_zoo.load(tmp_path / name).model.network.state_dict() for name in ("a", "b"))
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert examples.auto_workers(1) == 0

    class Local(PatchRecipe):
        """Of a class that cannot be found by name."""

    monkeypatch.setattr(ToyPatches, "recipe", lambda self: Local(self.network, 32, 0.0, ()))
    with pytest.raises(OptionError, match=r"recipe .*training\.workers: 0"):
        train("toy-patches", path, tmp_path / "c", settings={**settings, "workers": 1})


@pytest.mark.parametrize(
    ("name", "arguments", "options"),
    [
        ("jetnet", {}, {"points": [60, 120], "queries": 64}),
        ("sspu-geo", {}, {"points": 64, "clouds": [200, 300], "pixels": 8}),
        ("pointlie", {"ratio": 4}, {"points": 128}),
        ("pointlie-geo", {}, {"points": [60, 120], "queries": 64}),
    ],
)
def test_every_recipe_can_be_sent(path, name, arguments, options):
    recipe = make_recipe(untrained(name, arguments), options)
    data = TrainingSet.load(path)
    there = pickle.loads(pickle.dumps((recipe, data)))
    one, two = (some.examples(known, 2, 0, 0, 1) for some, known in ((recipe, data), there))
    assert one.keys() == two.keys()
    for key, value in one.items():
        torch.testing.assert_close(two[key], value, rtol=0, atol=0, equal_nan=True)
