"""Checkpoints from a Hub: the real client against a server on loopback, where everything goes well."""

# ruff: noqa: F811 - fixtures of hub_server and toy_model are imported and asked for by name

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from hub_server import HubServer, Repository, hub  # noqa: F401
from huggingface_hub import ModelHubMixin, PyTorchModelHubMixin, constants
from toy_model import Toy, same, toy, trained  # noqa: F401

from pcsr_zoo import list_models, load
from pcsr_zoo.checkpoints.address import Address
from pcsr_zoo.checkpoints.folder import fetch, read_config, save_checkpoint
from pcsr_zoo.checkpoints.folder import folder as checkpoints
from pcsr_zoo.errors import FileError, OptionError
from pcsr_zoo.models import registry
from pcsr_zoo.zoo import describe_model, find_checkpoint, identify, model_class, model_info, pull, verify, where

pytestmark = pytest.mark.usefixtures("toy")

NAME = "somebody/toy-x4"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return save_checkpoint(tmp_path / "made" / "toy-x4", trained(1), name="toy-x4", license="MIT")


@pytest.fixture
def repository(hub: HubServer, folder: Path) -> Repository:
    return hub.add(NAME, folder)


def test_load_from_a_repository(hub, repository, folder):
    model = load(f"hf:{NAME}")
    assert isinstance(model, Toy)
    assert same(model, trained(1))
    assert (model.name, model.network.training) == ("toy-x4", False)
    assert model.origin == read_config(folder)
    assert {request.path.rpartition("/")[2] for request in hub.requests} == {"config.json", "model.safetensors"}
    assert str(find_checkpoint(f"hf:{NAME}")).startswith(constants.HF_HUB_CACHE)
    assert identify(f"hf:{NAME}") == ("toy-x4", f"sha256:{read_config(folder)['sha256']}")
    assert model_info(f"hf:{NAME}")["tasks"] == ["upsample", "recover"]
    assert same(load(f"hf://{NAME}@main"), model)
    assert len(hub.got("model.safetensors")) == 1


def test_a_second_time_it_comes_from_the_cache_and_a_commit_without_a_request(hub, repository, caplog):
    commit = repository.branches["main"]
    load(f"hf:{NAME}@{commit}")
    before = len(hub.requests)
    assert same(load(f"hf:{NAME}@{commit}"), trained(1))
    assert len(hub.requests) == before
    load(f"hf:{NAME}")
    hub.stop()
    with caplog.at_level("WARNING", "pcsr_zoo"):
        assert same(load(f"hf:{NAME}@{commit}"), trained(1))
        assert not caplog.records
        assert same(load(f"hf:{NAME}"), trained(1))
    assert f"cannot be reached: 'hf:{NAME}' is taken from the cache (commit {commit})" in caplog.text


def test_a_revision_that_moved(hub, repository, tmp_path):
    first = repository.branches["main"]
    repository.branches["v1"] = first
    assert same(load(f"hf:{NAME}"), trained(1))
    repository.commit_folder(save_checkpoint(tmp_path / "b", trained(2), name="toy-x4"))
    assert same(load(f"hf:{NAME}"), trained(2))
    for revision in ("v1", first):
        assert same(load(f"hf:{NAME}@{revision}"), trained(1))


def test_within_a_command_a_branch_is_one_commit(hub, repository, tmp_path, monkeypatch):
    monkeypatch.setattr(fetch, "_SAME", 60.0)
    load(f"hf:{NAME}")
    before = len(hub.requests)
    repository.commit_folder(save_checkpoint(tmp_path / "b", trained(2), name="toy-x4"))
    assert same(load(f"hf:{NAME}"), trained(1))
    assert len(hub.requests) == before
    fetch.forget_asked()
    assert same(load(f"hf:{NAME}"), trained(2))


def test_a_token_opens_what_is_private_or_gated(hub, folder, monkeypatch):
    hub.add("me/private", folder, token="hf_mine")
    hub.add("them/gated", folder, token="hf_mine", gated=True)
    monkeypatch.setenv("HF_TOKEN", "hf_mine")
    for name in ("me/private", "them/gated"):
        assert same(load(f"hf:{name}"), trained(1))
    assert {request.token for request in hub.requests} == {"hf_mine"}


# -- names of our own ---------------------------------------------------------------------------------------------


@pytest.fixture
def pins(hub, repository, folder, tmp_path, monkeypatch):
    """A package that has the configuration of `toy-x4`, with its weights on the Hub, and of `toy` both."""
    root = tmp_path / "hub_configs"
    save_checkpoint(root / "toy", trained(3))
    shutil.copytree(folder, root / "toy-x4")
    (root / "toy-x4" / "model.safetensors").unlink()
    commit = repository.branches["main"]
    (root / "hub.json").write_text(json.dumps({"toy-x4": {"repository": NAME, "revision": commit}}))
    monkeypatch.setattr(checkpoints, "package_folder", lambda: root)
    monkeypatch.setitem(registry._registered, "toy", "toy_model:Toy")
    return root


def test_a_name_is_looked_for_as_a_path_in_the_package_in_the_cache_and_on_the_hub(
    hub,
    pins,
    tmp_path,
    monkeypatch,
):
    assert set(list_models("toy*")) - {"toy-patches"} == {"toy", "toy-x4"}  # which other tests register
    assert model_class("toy-x4") is Toy
    assert (where("toy"), where("toy-x4")) == ("package", "Hub")
    shown = describe_model("toy-x4")
    assert (shown["license"], shown["bytes"], shown["repository"][:18]) == ("MIT", 4 * 75, f"hf:{NAME}")
    assert identify("toy-x4")[1] == f"sha256:{read_config(pins / 'toy-x4')['sha256']}"
    assert same(load("toy"), trained(3))
    with pytest.raises(FileError, match="pcsr models pull toy-x4"):
        verify("toy-x4")
    assert hub.requests == []  # so far nothing had to be asked
    assert same(load("toy-x4"), trained(1))
    assert where("toy-x4") == "cache"
    assert verify("toy-x4")["name"] == "toy-x4"
    hub.stop()
    assert same(load("toy-x4"), trained(1))
    assert pull("toy-x4").parent.name == "snapshots"
    save_checkpoint(tmp_path / "here" / "toy-x4", trained(4))
    monkeypatch.chdir(tmp_path / "here")
    assert same(load("toy-x4"), trained(4))


def test_a_name_stays_the_same_weights_whatever_becomes_of_the_repository(hub, pins, repository, tmp_path):
    repository.commit_folder(save_checkpoint(tmp_path / "b", trained(2), name="toy-x4"))
    assert same(load("toy-x4"), trained(1))
    commit = repository.branches["main"]  # and if somebody could change what a commit holds:
    (pins / "hub.json").write_text(json.dumps({"toy-x4": {"repository": NAME, "revision": commit}}))
    with pytest.raises(FileError, match=f"hf:{NAME}@{commit}: its 'sha256' is not the one that this version knows"):
        load("toy-x4")


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "{",
        '{"a": 1}',
        '{"a": {"repository": "x/y"}}',
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
    assert set(list_models("toy*")) - {"toy-patches"} == {"toy"}
    assert same(load("toy"), trained(3))
    with pytest.raises(OptionError, match="no model is called 'toy-x4'"):
        load("toy-x4")


def test_the_packages_own_table_of_names():
    """A name on the Hub needs its config.json here, and a commit; names and folders agree."""
    from pcsr_zoo.checkpoints.shipped import described, pinned

    assert described().keys() == pinned().keys()
    for name, folder in described().items():
        assert read_config(folder)["name"] == name


# -- addresses ----------------------------------------------------------------------------------------------------


def test_addresses():
    assert Address.parse("hf:a/b") == Address("a/b", "main")
    assert Address.parse("hf://a-1/b.c_d@v1.0") == Address("a-1/b.c_d", "v1.0")
    assert str(Address("a/b")) == "hf:a/b"
    assert str(Address("a/b", "refs/pr/1")) == "hf:a/b@refs/pr/1"
    assert Address("a/b", "0" * 40).fixed
    assert not Address("a/b", "0" * 39).fixed


@pytest.mark.parametrize(
    "text",
    [
        *("hf:", "hf:a", "hf:a/b/c", "hf:../b", "hf:a/..", "hf:../../etc/passwd", "hf:a/b@", "hf:/a/b", "hf:a\\b/c"),
        *(
            "hf:a/b@../../x",
            "hf:a/b@/etc",
            "hf:a/b@x/../y",
            "hf:a/b@x\n",
            "hf:a/b@-x",
            "hf:a--b/c",
            "hf:a /b",
            "hf:a/b@x/",
            "hf:a/b.git",
            "hf:" + "a" * 60 + "/" + "b" * 60,
            "hf:a/b@" + "x" * 300,
            "hf:a/b@\x1b[31m",
        ),
    ],
)
def test_what_is_no_address(hub, text):
    with pytest.raises(OptionError, match="write hf:owner/repo"):
        load(text)
    assert hub.requests == []


# -- device and dtype ---------------------------------------------------------------------------------------------


def test_device_and_dtype(folder, monkeypatch):
    model = load(folder, device="meta")
    assert {value.device.type for value in model.network.parameters()} == {"meta"}
    assert model.device == "meta"
    with pytest.raises(OptionError, match="device 'cuda:99'"):
        load(folder, device="cuda:99")
    with pytest.raises(OptionError, match="'toy' does not compute in float64; it does in float32"):
        load(folder, dtype="float64")
    monkeypatch.setattr(Toy, "dtypes", ("float32", "float64"))
    for dtype in ("float64", torch.float64):
        model = load(folder, dtype=dtype)
        assert {value.dtype for value in model.network.parameters()} == {torch.float64}
        assert model.network[1].num_batches_tracked.dtype == torch.int64
        assert {value.dtype for value in load(trained(1), dtype=dtype).network.parameters()} == {torch.float64}
    assert load("jet", device="cpu").device == "cpu"
    for name in ("jet", folder):
        for device in (3.5, [], "", "banana"):
            with pytest.raises(OptionError, match=r"the device '.*' cannot be used"):
                load(name, device=device)
        for dtype in (3, "", "banana", torch.int64):
            with pytest.raises(OptionError, match="dtype: '"):
                load(name, dtype=dtype)
    with pytest.raises(OptionError, match="'jet' has no network, so no dtype can be chosen"):
        load("jet", dtype="float32")


@pytest.mark.parametrize("name", [None, 3, b"jet", [], object(), dict])
def test_what_is_no_model(name):
    with pytest.raises(OptionError, match="is no model; give a name"):
        load(name)


# -- the client's own verbs ---------------------------------------------------------------------------------------


def test_models_are_of_the_clients_class(toy):
    assert issubclass(Toy, PyTorchModelHubMixin)
    assert issubclass(PyTorchModelHubMixin, ModelHubMixin)
    assert isinstance(load("jetnet"), PyTorchModelHubMixin)
    assert Toy.push_to_hub.__doc__


def test_from_pretrained(hub, repository, folder, tmp_path, monkeypatch):
    first = repository.branches["main"]
    repository.commit_folder(save_checkpoint(tmp_path / "b", trained(2), name="toy-x4"))
    assert same(Toy.from_pretrained(folder), trained(1))
    assert same(Toy.from_pretrained(NAME), trained(2))
    assert same(Toy.from_pretrained(f"hf:{NAME}", revision=first), trained(1))
    elsewhere = tmp_path / "elsewhere"
    assert same(Toy.from_pretrained(NAME, revision=first, cache_dir=elsewhere, token="hf_x"), trained(1))
    assert list(elsewhere.glob("models--*"))
    count = len(hub.got("model.safetensors"))
    Toy.from_pretrained(NAME, cache_dir=elsewhere, force_download=True)
    Toy.from_pretrained(NAME, cache_dir=elsewhere, force_download=True)
    assert len(hub.got("model.safetensors")) == count + 2
    hub.stop()
    assert same(Toy.from_pretrained(NAME, local_files_only=True), trained(2))
    with pytest.raises(FileError, match="local_files_only"):
        Toy.from_pretrained("somebody/else", local_files_only=True)
    with pytest.raises(FileError, match="holds a JetNet, not a Toy"):
        Toy.from_pretrained("jetnet")
    with pytest.raises(TypeError, match="width"):
        Toy.from_pretrained(folder, width=3)  # type: ignore[call-arg]


def test_the_clients_own_way_of_loading_is_out_of_reach(hub, folder, tmp_path):
    """It would take pickled weights where there are no others."""
    content = {name: (folder / name).read_bytes() for name in ("config.json", "README.md")}
    torch.save(trained(1).network.state_dict(), tmp_path / "weights.bin")
    hub.add(NAME).commit({**content, "pytorch_model.bin": (tmp_path / "weights.bin").read_bytes()})
    options = {"revision": None, "cache_dir": None, "force_download": False, "local_files_only": False, "token": None}
    for get in (Toy.from_pretrained, lambda name: Toy._from_pretrained(model_id=name, **options)):
        with pytest.raises(FileError, match=r"has no model\.safetensors"):
            get(NAME)
    assert hub.got("pytorch_model.bin") == hub.got("pytorch_model.bin", "HEAD") == []


def test_save_pretrained_keeps_what_is_known_of_the_same_weights(folder, tmp_path):
    model = load(folder)
    model.save_pretrained(tmp_path / "a", model_card_kwargs={"failures": ["none"]})
    config = read_config(tmp_path / "a")
    assert (config["name"], config["about"]) == ("toy-x4", {"license": "MIT", "failures": ["none"]})
    assert same(load(tmp_path / "a"), model)
    with torch.no_grad():
        model.network[0].weight += 1
    model.save_pretrained(str(tmp_path / "a"))
    origin = read_config(folder)
    about = {"license": "MIT", "parent": "toy-x4", "parent_sha256": origin["sha256"]}
    assert read_config(tmp_path / "a")["about"] == about
    trained(5).save_pretrained(tmp_path / "b")
    assert read_config(tmp_path / "b")["about"] == {}
    with pytest.raises(OptionError, match=r"config\.json is the checkpoint's own"):
        model.save_pretrained(tmp_path / "a", config={})


def test_push_to_hub_and_back(hub, folder, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_write")
    load(folder).push_to_hub("me/pushed", commit_message="mine")
    files = hub.repositories["me/pushed"].commits[hub.repositories["me/pushed"].branches["main"]]
    assert sorted(files) == [".gitattributes", "README.md", "config.json", "model.safetensors"]
    assert hashlib.sha256(files["model.safetensors"]).hexdigest() == read_config(folder)["sha256"]
    assert b'pcsr_zoo.load("hf:me/pushed")' in files["README.md"]
    assert same(Toy.from_pretrained("me/pushed"), trained(1))
    trained(6).save_pretrained(folder.with_name("x"), push_to_hub=True, repo_id="me/other")
    np.testing.assert_array_equal(
        load("hf:me/other").network[0].weight.detach().numpy(), trained(6).network[0].weight.detach().numpy()
    )
    monkeypatch.setenv("HF_TOKEN", "hf_reads_only")
    with pytest.raises(FileError, match=r"hf:me/pushed: the Hub refuses pushing to it \(status 403\).*HF_TOKEN"):
        load(folder).push_to_hub("me/pushed")
