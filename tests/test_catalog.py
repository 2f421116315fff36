"""What a name means: the order in which `resolve` looks for it, and what it tells of what it found."""

# ruff: noqa: F811 - fixtures of hub_server and toy_model are imported and asked for by name

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hub_server import hub  # noqa: F401
from toy_model import Toy, toy, trained  # noqa: F401

from pcsr_zoo import list_models, load, model_info
from pcsr_zoo.cards.card import save_with_card
from pcsr_zoo.catalog import resolve
from pcsr_zoo.checkpoints import shipped
from pcsr_zoo.checkpoints.address import Address
from pcsr_zoo.errors import FileError, OptionError
from pcsr_zoo.models.base import Upsampler
from pcsr_zoo.models.jet.model import Jet
from pcsr_zoo.models.jetnet.model import JetNet
from pcsr_zoo.models.pointlie.model import PointLIE
from pcsr_zoo.models.registry import register_model


class Mine(Upsampler):
    """A class of somebody's, with the name of one of the package's."""

    name, summary, source = "jetnet", "mine", "-"

    def candidates(self, points, support, count, context):
        return points


def digest(folder: Path) -> str:
    return f"sha256:{hashlib.sha256((folder / 'model.safetensors').read_bytes()).hexdigest()}"


@pytest.fixture
def here(toy, tmp_path, monkeypatch) -> Path:
    """A working directory with nothing in it."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


@pytest.fixture
def package(toy, tmp_path, monkeypatch) -> Path:
    """A package with two checkpoints of its own, in place of those that it has."""
    root = tmp_path / "hub_configs"
    save_with_card(root / "jetnet", trained(1), name="jetnet", summary="a better toy", license="MIT")
    save_with_card(root / "toy-x8", trained(2, width=4), name="toy-x8")
    monkeypatch.setattr(shipped, "package_folder", lambda: root)
    return root


# -- the order ----------------------------------------------------------------------------------------------------


def test_an_object_is_itself_whatever_has_its_name(here):
    save_with_card("toy", trained(3))
    model = trained(1)
    found = resolve(model)
    assert (found.name, found.kind, found.model) == ("toy", "object", model)
    assert (found.model_class, found.folder, found.config) == (Toy, None, None)
    found = resolve(Jet)
    assert (found.name, found.kind, found.model_class, found.model) == ("jet", "model", Jet, None)


def test_a_folder_goes_before_an_address_a_class_and_a_checkpoint_of_the_package(here, package, hub):
    """... and each of these after the one before it is gone."""
    hub.add("somebody/toy-x4", save_with_card(here.parent / "made", trained(4), name="toy-x4"))
    commit = hub.repositories["somebody/toy-x4"].branches["main"]
    for name in ("toy", "jetnet", "toy-x8", "jet", "hf:somebody/toy-x4"):
        save_with_card(name, trained(3), name="mine")
        found = resolve(name)
        assert (found.name, found.where, found.folder) == ("mine", "folder", Path(name))
        assert resolve(name, paths=False).name != "mine"
    for path in sorted(here.rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    for name in ("hf:somebody/toy-x4", Address("somebody/toy-x4")):
        found = resolve(name)
        assert (found.name, found.kind, found.where) == ("toy-x4", "checkpoint", "cache")
        assert found.address == Address("somebody/toy-x4", commit)
        assert found.weights == digest(here.parent / "made")
    found = resolve("jetnet")
    assert (found.kind, found.where, found.folder) == ("checkpoint", "package", package / "jetnet")
    register_model(Mine)  # until the end of the test
    found = resolve("jetnet")
    assert (found.kind, found.model_class, found.config) == ("model", Mine, None)
    assert resolve("toy-x8").where == "package"
    assert resolve("toy").kind == resolve("jet").kind == "model"


def test_a_checkpoint_of_the_package_goes_before_the_class_of_its_name():
    found = resolve("jetnet")
    assert (found.kind, found.where, found.model_class) == ("checkpoint", "package", JetNet)
    assert not found.untrained
    found = resolve("pointlie")  # of which there are checkpoints by other names only
    assert (found.kind, found.where, found.model_class) == ("model", "", PointLIE)
    assert found.untrained
    assert found.weights is None


def test_paths_of_every_form(here):
    save_with_card(here / "runs" / "mine", trained(), name="mine-x4")
    for path in (here / "runs" / "mine", str(here / "runs" / "mine"), "runs/mine", "./runs/mine", Path("runs/mine")):
        assert resolve(path).name == "mine-x4"
        assert resolve(path).with_weights() == Path(path)


@pytest.mark.parametrize("name", ["runs/other", "./jet", Path("jet"), "~/jet", "empty", "file"])
def test_a_path_without_a_checkpoint_is_named(here, name):
    (here / "empty").mkdir()
    (here / "file").write_text("")
    with pytest.raises(FileError, match=Path(name).name):
        resolve(name)


@pytest.mark.parametrize(("name", "meant"), [("jeet", "jet"), ("toy-x9", "toy-x8"), ("pointlei", "pointlie")])
def test_an_unknown_name_gets_a_suggestion(here, package, name, meant):
    with pytest.raises(OptionError, match=rf"'{name}'.*\b{meant}\b"):
        resolve(name)


@pytest.mark.parametrize("name", [None, 3, b"jet", [], object(), dict])
def test_what_is_not_a_model_is_shown(name):
    for call in (resolve, load):
        with pytest.raises(OptionError) as caught:
            call(name)
        assert repr(name) in str(caught.value)


# -- what is told -------------------------------------------------------------------------------------------------


def test_weights_ratio_and_tasks():
    for name in shipped.bundled():
        found = resolve(name)
        assert found.weights == digest(found.folder)
        ratio = name.rpartition("-x")[2] if "-x" in name else None
        assert found.ratio == (None if ratio is None else float(ratio))
    assert resolve("jetnet").tasks == ("upsample", "recover")
    assert resolve("pointlie-x8").tasks == ("sample", "upsample", "recover")
    assert resolve("fps").tasks == ("sample",)
    assert resolve("jet").weights is resolve("fps").ratio is None
    with pytest.raises(FileError, match="'jet'"):
        resolve("jet").with_weights()


def test_the_weights_of_an_object_are_those_that_it_has_now(toy, tmp_path):
    model = trained(1)
    first = resolve(model).weights
    assert first == digest(save_with_card(tmp_path, model))
    model.network[0].weight.data += 1
    assert resolve(model).weights == digest(save_with_card(tmp_path, model)) != first


def test_names_are_listed(package):
    assert list_models("toy-x*") == ["toy-x8"]
    assert {"toy", "toy-x8", "jetnet", "jet", "pointlie"} <= set(list_models())
    assert "pointlie-x8" not in list_models()  # which this package does not have


def test_info_of_a_checkpoint_of_a_folder_and_of_a_class(package, here):
    info = model_info("jetnet")
    expected = {"name": "jetnet", "tasks": ["upsample", "recover"], "kind": "local", "source": "nobody, 2000"}
    expected |= {"summary": "a better toy", "ratio": None, "ratios": [], "parameters": 3 * 8 + 8 + 2 * 8 + 8 * 3 + 3}
    expected |= {"weights": digest(package / "jetnet"), "license": "MIT", "where": "package", "best": None}
    expected |= {"bytes": (package / "jetnet" / "model.safetensors").stat().st_size}
    assert info == expected
    save_with_card("mine", trained(5), name="mine-x4")
    info = model_info("mine")
    assert (info["name"], info["where"], info["summary"]) == ("mine-x4", "folder", "a toy")
    info = model_info("jet")
    assert set(info) == {"name", "tasks", "kind", "summary", "source", "ratio", "ratios"}
    assert model_info("toy")["where"] == "untrained"
    assert "weights" not in model_info("toy")
