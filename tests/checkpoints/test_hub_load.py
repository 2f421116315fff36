"""Checkpoints from a Hub: the real client against a server on loopback, where everything goes well."""

# ruff: noqa: F811 - fixtures of hub_server and toy_model are imported and asked for by name

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path

import pytest
import torch
from hub_server import HubServer, Repository, hub  # noqa: F401
from huggingface_hub import constants
from toy_model import Toy, same, toy, trained  # noqa: F401

from pcsr_zoo import list_models, load, model_info
from pcsr_zoo.cards.card import save_with_card
from pcsr_zoo.catalog import resolve
from pcsr_zoo.checkpoints import shipped
from pcsr_zoo.checkpoints.address import Address
from pcsr_zoo.checkpoints.fetch import Transfer
from pcsr_zoo.checkpoints.folder import read_config
from pcsr_zoo.errors import FileError, OptionError

pytestmark = pytest.mark.usefixtures("toy")

NAME = "somebody/toy-x4"
WEIGHTS = "model.safetensors"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return save_with_card(tmp_path / "made" / "toy-x4", trained(1), name="toy-x4", license="MIT")


@pytest.fixture
def repository(hub: HubServer, folder: Path) -> Repository:
    return hub.add(NAME, folder)


def other(tmp_path: Path) -> Path:
    """The same checkpoint, trained on."""
    return save_with_card(tmp_path / "b", trained(2), name="toy-x4")


def test_only_the_configuration_and_safetensors_are_fetched(hub, repository, folder, tmp_path):
    torch.save(trained(3).network.state_dict(), tmp_path / "weights.bin")
    repository.commit(
        {"pytorch_model.bin": (tmp_path / "weights.bin").read_bytes(), "modeling.py": b"raise SystemExit"}
    )
    model = load(f"hf:{NAME}")
    assert isinstance(model.model, Toy)
    assert same(model.model, trained(1))
    assert (model.name, model.config) == ("toy-x4", read_config(folder))
    assert model.resolved.address == Address(NAME, repository.branches["main"])
    assert {request.path.rpartition("/")[2] for request in hub.requests} == {"config.json", WEIGHTS}
    assert str(model.resolved.folder).startswith(constants.HF_HUB_CACHE)
    assert model_info(f"hf:{NAME}")["repository"] == f"hf:{NAME}@{repository.branches['main']}"
    assert same(load(f"hf://{NAME}@main").model, trained(1))
    assert len(hub.got(WEIGHTS)) == 1


def test_a_commit_in_the_cache_needs_no_request_and_a_branch_no_network(hub, repository, caplog, monkeypatch):
    commit = repository.branches["main"]
    load(f"hf:{NAME}@{commit}")
    before = len(hub.requests)
    assert same(load(f"hf:{NAME}@{commit}").model, trained(1))
    assert len(hub.requests) == before
    load(f"hf:{NAME}")
    hub.stop()
    with caplog.at_level(logging.WARNING, "pcsr_zoo"):
        assert same(load(f"hf:{NAME}@{commit}").model, trained(1))
        assert not caplog.records
        assert same(load(f"hf:{NAME}").model, trained(1))
    assert f"'hf:{NAME}'" in caplog.text
    assert commit in caplog.text
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert same(load(f"hf:{NAME}").model, trained(1))


def test_a_branch_moves_a_tag_and_a_commit_do_not(hub, repository, tmp_path):
    first = repository.branches["main"]
    repository.branches["v1"] = first
    assert same(load(f"hf:{NAME}").model, trained(1))
    repository.commit_folder(other(tmp_path))
    assert same(load(f"hf:{NAME}").model, trained(2))
    for revision in ("v1", first):
        assert same(load(f"hf:{NAME}@{revision}").model, trained(1))


def test_a_token_opens_what_is_private_or_gated(hub, folder, monkeypatch):
    hub.add("me/private", folder, token="hf_mine")
    hub.add("them/gated", folder, token="hf_mine", gated=True)
    assert same(load("hf:me/private", transfer=Transfer(token="hf_mine")).model, trained(1))
    monkeypatch.setenv("HF_TOKEN", "hf_mine")
    assert same(load("hf:them/gated").model, trained(1))
    assert {request.token for request in hub.requests} == {"hf_mine"}


def test_a_transfer_of_ones_own(hub, repository, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    for force, count in ((False, 1), (False, 1), (True, 2)):
        assert same(load(f"hf:{NAME}", transfer=Transfer(cache_dir=elsewhere, force=force)).model, trained(1))
        assert len(hub.got(WEIGHTS)) == count
    assert list(elsewhere.glob("models--*"))
    assert not Path(constants.HF_HUB_CACHE).exists()
    before = len(hub.requests)
    assert same(load(f"hf:{NAME}", transfer=Transfer(cache_dir=elsewhere, local_only=True)).model, trained(1))
    with pytest.raises(FileError, match=f"hf:{NAME}"):
        load(f"hf:{NAME}", transfer=Transfer(local_only=True))
    assert len(hub.requests) == before


# -- names of our own ---------------------------------------------------------------------------------------------


@pytest.fixture
def pins(hub, repository, folder, tmp_path, monkeypatch):
    """A package that has the configuration of `toy-x4`, with its weights on the Hub, and of `toy-x2` both."""
    root = tmp_path / "hub_configs"
    save_with_card(root / "toy-x2", trained(3), name="toy-x2")
    shutil.copytree(folder, root / "toy-x4")
    (root / "toy-x4" / WEIGHTS).unlink()
    pin(root, repository.branches["main"])
    monkeypatch.setattr(shipped, "package_folder", lambda: root)
    return root


def pin(root: Path, commit: str) -> None:
    (root / "hub.json").write_text(json.dumps({"toy-x4": {"repository": NAME, "revision": commit}}))


def test_weights_of_a_name_are_fetched_when_they_are_needed(hub, pins):
    assert list_models("toy-x*") == ["toy-x2", "toy-x4"]
    assert (resolve("toy-x2").where, resolve("toy-x4").where) == ("package", "Hub")
    assert same(load("toy-x2").model, trained(3))
    shown = model_info("toy-x4")
    assert (shown["license"], shown["bytes"], shown["repository"][:18]) == ("MIT", 4 * 75, f"hf:{NAME}")
    assert hub.requests == []  # so far nothing had to be asked
    assert same(load("toy-x4").model, trained(1))
    assert resolve("toy-x4").where == "cache"
    hub.stop()
    assert same(load("toy-x4").model, trained(1))
    assert resolve("toy-x4").with_weights().parent.name == "snapshots"


def test_a_name_stays_the_same_weights_whatever_becomes_of_the_repository(hub, pins, repository, tmp_path):
    repository.commit_folder(other(tmp_path))
    assert same(load("toy-x4").model, trained(1))
    commit = repository.branches["main"]
    pin(pins, commit)  # and if somebody could change what a commit holds:
    with pytest.raises(FileError, match=f"hf:{NAME}@{commit}.*'sha256'"):
        load("toy-x4")


@pytest.mark.parametrize(
    "text",
    [
        *("[]", "{", '{"a": 1}', '{"a": {"repository": "x/y"}}'),
        '{"a": {"repository": "../y", "revision": "' + "0" * 40 + '"}}',
    ],
)
def test_a_broken_table_of_names(pins, text):
    (pins / "hub.json").write_text(text)
    with pytest.raises(FileError, match=r"hub\.json"):
        load("toy-x4")


def test_no_table_of_names(pins):
    """As in a package whose weights are all in it."""
    (pins / "hub.json").unlink()
    assert list_models("toy-x*") == ["toy-x2"]
    assert same(load("toy-x2").model, trained(3))
    with pytest.raises(OptionError, match="'toy-x4'"):
        load("toy-x4")
