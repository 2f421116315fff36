"""`load` and its handle: random weights are refused, devices and dtypes are checked, and what is saved is known."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from model_contract import torus_cloud
from toy_model import Toy, same, toy, trained  # noqa: F401

from pcsr_zoo import Cloud, LoadedModel, load, recover, sample, upsample
from pcsr_zoo.cards.card import save_with_card
from pcsr_zoo.checkpoints import folder as checkpoints
from pcsr_zoo.checkpoints.folder import load_checkpoint, read_config
from pcsr_zoo.errors import OptionError
from pcsr_zoo.models.pointlie.model import PointLIE

pytestmark = pytest.mark.usefixtures("toy")

POINTS = torus_cloud(120)


@pytest.fixture
def folder(tmp_path):
    return save_with_card(tmp_path / "mine", trained(1), name="toy-x4", license="MIT", seed=7, paper="an idea")


# -- random weights -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["toy", Toy, Toy(), PointLIE()], ids=["name", "class", "object", "of a family"])
@pytest.mark.parametrize(
    "call",
    [
        lambda model: load(model),
        lambda model: upsample(POINTS, model=model),
        lambda model: sample(POINTS, 8, model=model),
        lambda model: recover(POINTS, 8, model=model),
    ],
    ids=["load", "upsample", "sample", "recover"],
)
def test_random_weights_are_refused_by_every_verb(call, model):
    with pytest.raises(OptionError, match=r"'(toy|pointlie)'.*folder"):
        call(model)


# -- a family: one name, a checkpoint for each ratio ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("ratio", "chosen"), [(1, "x4"), (2, "x4"), (4, "x4"), (7.9, "x4"), (8, "x8"), (15, "x8"), (16, "x16"), (40, "x16")]
)
def test_the_ratio_chooses_the_checkpoint_of_a_family(ratio, chosen):
    """s = floor(log2 r) halvings, as the paper counts them, among the ratios that were trained."""
    family = load("pointlie")
    assert family.member(ratio).name == f"pointlie-{chosen}"
    assert family.member(ratio) is family.member(ratio)
    assert family.member(None).name == "pointlie-x8"  # the default ratio of the class


def test_a_family_places_the_checkpoints_that_it_has_and_those_to_come():
    family = load("pointlie")
    first = family.member(4)
    assert load(family, device="cpu", dtype="float64") is family
    for member in (first, family.member(8)):
        assert {value.dtype for value in member.model.network.parameters()} == {torch.float64}
    with pytest.raises(OptionError, match="'banana'"):
        load("pointlie", device="banana")


def test_a_family_does_what_its_checkpoints_do():
    family, cloud = load("pointlie"), Cloud(torus_cloud(160))
    few = family.sample(cloud, 16)
    assert few.metadata["pcsr"]["model"] == "pointlie-x16"
    np.testing.assert_array_equal(few.positions, load("pointlie-x16").sample(cloud, 16).positions)
    np.testing.assert_array_equal(family.sample(cloud).positions, load("pointlie-x8").sample(cloud).positions)
    np.testing.assert_array_equal(family.sample(cloud, n=40).positions, load("pointlie-x4").sample(cloud, 4).positions)
    dense = load("pointlie-x16").recover(few).positions
    for again in (family.recover(few), recover(few, model="pointlie"), family.recover(few, 16), recover(few)):
        np.testing.assert_array_equal(again.positions, dense)
    for call in (lambda: family.upsample(POINTS, 4), lambda: upsample(POINTS, n=480, model=PointLIE)):
        np.testing.assert_array_equal(call(), load("pointlie-x4").upsample(POINTS, 4))
    assert (family.tasks, family.ratio, family.config, family.weights) == (load("pointlie-x8").tasks, None, None, None)
    np.testing.assert_array_equal(family.upsample(POINTS, n=np.int64(1920)), load("pointlie-x16").upsample(POINTS, 16))
    for ratio in (0, -1, 0.5, float("nan"), "much"):
        with pytest.raises(OptionError, match="ratio"):
            family.upsample(POINTS, ratio)
    for save in (lambda: family.save("mine"), lambda: family.push("me/mine")):
        with pytest.raises(OptionError, match="pointlie-x8"):
            save()


def test_random_weights_are_accepted_for_trials():
    model = load("pointlie", allow_untrained=True)
    assert isinstance(model.model, PointLIE)
    assert (model.name, model.config, model.ratio) == ("pointlie", None, 8)
    few = model.sample(Cloud(POINTS), 4)
    assert len(few) == 30
    assert len(model.recover(few)) == 120
    assert load(Toy(), allow_untrained=True).upsample(POINTS, 2).shape == (240, 3)


def test_weights_of_a_checkpoint_are_no_random_ones(folder):
    for model in (folder, load(folder), load_checkpoint(folder)):
        assert upsample(POINTS, 2, model=model).shape == (240, 3)


# -- load ---------------------------------------------------------------------------------------------------------


def test_what_is_known_of_a_loaded_model(folder):
    model = load(folder)
    assert same(model.model, trained(1))
    assert not model.model.network.training
    assert (model.name, model.tasks, model.ratio) == ("toy-x4", ("upsample", "recover"), None)
    assert model.config == read_config(folder)
    assert model.weights == f"sha256:{read_config(folder)['sha256']}"
    assert (load("jet").weights, load("jet").config, load("fps").tasks) == (None, None, ("sample",))
    assert load("pointlie-x8").ratio == 8
    assert isinstance(model, LoadedModel)
    assert load(model) is model


def test_no_two_loaded_models_share_weights(folder):
    first, second = load(folder), load(folder)
    with torch.no_grad():
        first.model.network[0].weight.fill_(0)
    assert same(second.model, trained(1))
    assert same(load(folder).model, trained(1))


def test_a_model_is_loaded_once_for_any_number_of_clouds(folder, monkeypatch):
    real, seen = checkpoints._fitting, []
    monkeypatch.setattr(checkpoints, "_fitting", lambda path: seen.append(path) or real(path))
    model = load(folder)
    for _ in range(3):
        model.upsample(POINTS, 2)
        upsample(POINTS, 2, model=model)
        recover(POINTS, 2, model=model)
    assert seen == [folder]


def test_devices(folder):
    for name in ("jet", folder, trained(1)):
        for device in (3.5, [], "", "banana", "cuda:99"):
            with pytest.raises(OptionError, match=re.escape(f"'{device}'")):
                load(name, device=device, allow_untrained=True)
        assert load(name, device="cpu", allow_untrained=True).device == "cpu"
    model = load(folder, device=torch.device("cpu"))
    assert {value.device.type for value in model.model.network.parameters()} == {"cpu"}


def test_dtypes(folder, monkeypatch):
    with pytest.raises(OptionError, match=r"dtype.*'toy'.*float64.*float32"):
        load(folder, dtype="float64")
    monkeypatch.setattr(Toy, "dtypes", ("float32", "float64"))
    for dtype in ("float64", torch.float64):
        for name in (folder, trained(1)):
            network = load(name, dtype=dtype, allow_untrained=True).model.network
            assert {value.dtype for value in network.parameters()} == {torch.float64}
            assert network[1].num_batches_tracked.dtype == torch.int64
    for name in ("jet", folder):
        for dtype in (3, "", "banana", torch.int64):
            with pytest.raises(OptionError, match="dtype"):
                load(name, dtype=dtype)
    with pytest.raises(OptionError, match="'jet'"):
        load("jet", dtype="float32")


# -- verbs --------------------------------------------------------------------------------------------------------


def test_a_verb_that_a_model_does_not_have_names_one_that_it_has():
    for verb, name, other in (
        ("upsample", "fps", "sample"),
        ("recover", "fps", "sample"),
        ("sample", "jet", "upsample"),
    ):
        with pytest.raises(OptionError, match=rf"'{name}'.* {other}\b"):
            getattr(load(name), verb)(POINTS, 2)


def test_methods_and_functions_are_the_same():
    model = load("jetnet")
    np.testing.assert_array_equal(model.upsample(POINTS, 3, seed=2), upsample(POINTS, 3, seed=2))
    np.testing.assert_array_equal(model.recover(POINTS, 3), recover(POINTS, 3, model="jetnet"))
    np.testing.assert_array_equal(load("fps").sample(POINTS, 3), sample(POINTS, 3))


# -- save ---------------------------------------------------------------------------------------------------------


def test_saving_keeps_what_is_known_of_the_same_weights(folder, tmp_path):
    model = load(folder)
    assert model.save(tmp_path / "a", failures=["none"]) == tmp_path / "a"
    config = read_config(tmp_path / "a")
    about = {"license": "MIT", "seed": 7, "paper": "an idea", "failures": ["none"]}
    assert (config["name"], config["about"]) == ("toy-x4", about)
    assert same(load(tmp_path / "a").model, trained(1))
    assert 'load("path/to/a")' in (tmp_path / "a" / "README.md").read_text(encoding="utf-8")
    assert read_config(model.save(tmp_path / "b", name="toy-x9"))["name"] == "toy-x9"


def test_saving_other_weights_keeps_the_license_and_names_the_parent(folder, tmp_path):
    model = load(folder)
    with torch.no_grad():
        model.model.network[0].weight += 1
    parent = {"parent": "toy-x4", "parent_sha256": read_config(folder)["sha256"]}
    assert read_config(model.save(tmp_path / "a"))["about"] == {"license": "MIT", "paper": "an idea", **parent}
    assert read_config(load(trained(5), allow_untrained=True).save(tmp_path / "b"))["about"] == {}


def test_what_has_no_network_is_not_saved(tmp_path):
    with pytest.raises(OptionError, match="'jet'"):
        load("jet").save(tmp_path / "a")
    with pytest.raises(OptionError, match="'jet'"):
        load("jet").push("me/jet")
    assert list(tmp_path.iterdir()) == []


def test_more_points_than_any_machine_holds_are_refused():
    with pytest.raises(OptionError, match="ratio"):
        upsample(np.eye(3), 1e12, model="midpoint")


def test_changed_weights_do_not_keep_the_name(tmp_path):
    model = load("jetnet")
    assert load(model.save(tmp_path / "same")).name == "jetnet"
    next(model.model.network.parameters()).data += 0.001
    changed = load(model.save(tmp_path / "changed"))
    assert changed.name == "jetnet-modified"
    assert changed.config["about"]["parent"] == "jetnet"
