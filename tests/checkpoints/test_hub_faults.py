"""Checkpoints from a Hub: everything that goes wrong ends in an error that names the repository and says what to do."""

# ruff: noqa: F811 - fixtures of hub_server and toy_model are imported and asked for by name

from __future__ import annotations

import errno
import hashlib
import io
import json
import shutil
import struct
from pathlib import Path

import pytest
import torch
from cli_run import run
from hub_server import Faults, HubServer, Repository, etag, hub  # noqa: F401
from huggingface_hub import constants
from toy_model import Toy, same, toy, trained  # noqa: F401

from pcsr_zoo import load
from pcsr_zoo.checkpoints.folder import fetch, save_checkpoint
from pcsr_zoo.checkpoints.hub_errors import explained
from pcsr_zoo.errors import FileError

pytestmark = pytest.mark.usefixtures("toy")

NAME = "somebody/toy-x4"
WEIGHTS = "model.safetensors"


@pytest.fixture
def repository(hub: HubServer, tmp_path: Path) -> Repository:
    return hub.add(NAME, save_checkpoint(tmp_path / "made", trained(1), name="toy-x4"))


def refused(said: str, name: str = f"hf:{NAME}") -> str:
    with pytest.raises(FileError, match=said) as caught:
        load(name)
    assert str(caught.value).startswith(f"{name}: ")
    assert "Traceback" not in str(caught.value)
    return str(caught.value)


def in_the_cache(tmp_path: Path) -> set[str]:
    """Names of the files with content, and of links: what a later load could take for good."""
    return {
        path.name for path in (tmp_path / "hf").rglob("*") if path.is_file() and path.suffix not in (".lock", ".TAG")
    }


# -- the way ------------------------------------------------------------------------------------------------------


def test_a_cut_connection_is_resumed(hub, repository, monkeypatch):
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 250)  # 10 MiB otherwise: what is not a whole one is lost
    content = repository.commits[repository.branches["main"]][WEIGHTS]
    hub.faults = Faults(WEIGHTS, times=1, cut_after=500)
    assert same(load(f"hf:{NAME}"), trained(1))
    first, second = hub.got(WEIGHTS)
    assert (first.range, first.sent) == (None, 500)
    assert (second.range, second.status, second.sent) == ("bytes=500-", 206, len(content) - 500)


def test_a_connection_that_is_cut_each_time(hub, repository, tmp_path):
    hub.faults = Faults(WEIGHTS, cut_after=0)
    refused("cannot be reached.*try again")
    assert WEIGHTS not in in_the_cache(tmp_path)
    assert not [name for name in in_the_cache(tmp_path) if "incomplete" in name]
    hub.faults = Faults()
    assert same(load(f"hf:{NAME}"), trained(1))


@pytest.mark.parametrize(
    "fault", [Faults(WEIGHTS, shorter=7), Faults(WEIGHTS, flip=True)], ids=["truncated", "flipped"]
)
def test_damaged_weights_are_refused_and_removed(hub, repository, tmp_path, fault):
    hub.faults = fault
    refused(r"model\.safetensors is not the file.*sha256.*damaged on the way.*removed from the cache.*try again")
    assert not in_the_cache(tmp_path) & {
        WEIGHTS,
        etag(WEIGHTS, repository.commits[repository.branches["main"]][WEIGHTS]),
    }
    hub.faults = Faults()
    assert same(load(f"hf:{NAME}"), trained(1))


def test_weights_that_rotted_in_the_cache(hub, repository, tmp_path):
    load(f"hf:{NAME}")
    (blob,) = (tmp_path / "hf").rglob(etag(WEIGHTS, repository.commits[repository.branches["main"]][WEIGHTS]))
    content = bytearray(blob.read_bytes())
    content[-1] ^= 1
    blob.write_bytes(content)
    refused("damaged on the way or in the cache.*removed from the cache")
    assert same(load(f"hf:{NAME}"), trained(1))


def test_a_damaged_configuration(hub, repository, tmp_path):
    hub.faults = Faults("config.json", shorter=5)
    refused(r"config\.json is not JSON.*damaged on the way.*removed")
    assert "config.json" not in in_the_cache(tmp_path)
    assert hub.got(WEIGHTS) == []
    hub.faults = Faults()
    assert same(load(f"hf:{NAME}"), trained(1))


def test_a_repository_whose_files_do_not_belong_together(hub, repository, tmp_path):
    other = save_checkpoint(tmp_path / "b", trained(2), name="toy-x4")
    repository.commit({WEIGHTS: (other / WEIGHTS).read_bytes()})
    refused("sha256.*the repository itself is at fault; it was removed from the cache; tell its owner")


# -- what is not there, or not for everybody -----------------------------------------------------------------------


def test_a_token_that_is_none(hub, repository, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_\u20ac")
    refused("the token has characters that none has.*check HF_TOKEN")
    assert hub.requests == []


def test_what_is_not_there(hub, repository):
    refused("no such repository at http.*check the name, or log in.*HF_TOKEN", "hf:no/where")
    refused("no such revision; see its branches", f"hf:{NAME}@v9")
    hub.add("somebody/empty").commit({"README.md": b"# hello"})
    refused(r"has no config\.json, so it is no checkpoint of pcsr-zoo", "hf:somebody/empty")
    commit = repository.commit({})
    del repository.commits[commit][WEIGHTS]
    repository.commits[commit] |= {"pytorch_model.bin": b"a pickle", "model.safetensors.index.json": b"{}"}
    assert "(which reads no pickle)" in refused(r"has no model\.safetensors")
    assert {request.path.rpartition("/")[2] for request in hub.requests} == {"config.json", WEIGHTS}


def test_private_and_gated(hub, tmp_path, monkeypatch):
    folder = save_checkpoint(tmp_path / "made", trained(1))
    hub.add("me/private", folder, token="hf_mine")
    hub.add("them/gated", folder, token="hf_mine", gated=True)
    for token in (None, "hf_wrong"):
        if token:
            monkeypatch.setenv("HF_TOKEN", token)
        refused("no such repository.*or a private one; check the name, or log in", "hf:me/private")
        page = f"{hub.endpoint}/them/gated"
        refused(f"gives access on request only; ask for it at {page}, then log in", "hf:them/gated")
    assert {request.token for request in hub.requests} == {None, "hf_wrong"}


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (500, r"out of order \(status 500\); try again later"),
        (503, r"out of order \(status 503\)"),
        (403, r"refuses access to it \(status 403\); log in"),
        (429, "status 429"),
        (418, r"status 418"),
    ],
)
@pytest.mark.parametrize("on", ["config.json", WEIGHTS])
def test_other_answers(hub, repository, status, said, on):
    hub.faults = Faults(on, status=status)
    refused(said)


def test_out_of_order_but_in_the_cache(hub, repository):
    load(f"hf:{NAME}")
    hub.faults = Faults("config.json", status=503)
    assert same(load(f"hf:{NAME}"), trained(1))


def test_no_server_and_offline(hub, repository, monkeypatch):
    load(f"hf:{NAME}")
    hub.stop()
    said = refused(
        "is not in the cache .*, and the Hub at http.* cannot be reached.*check the connection", "hf:no/where"
    )
    assert "pcsr models pull hf:no/where" in said
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    said = refused("is not in the cache .*HF_HUB_OFFLINE is set.*pcsr models pull hf:no/where", "hf:no/where")
    assert constants.HF_HUB_CACHE in said
    assert same(load(f"hf:{NAME}"), trained(1))


def test_an_outage_is_told_at_once_but_a_hiccup_is_waited_out(hub, repository, monkeypatch, caplog):
    pauses: list[float] = []
    real = fetch.time.sleep

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == heals:
            hub.faults = Faults()
        real(0.01)

    monkeypatch.setattr(fetch.time, "sleep", pause)
    for heals, status, wanted in ((0, 503, 2), (2, 503, 2), (1, 500, 1)):
        pauses.clear()
        hub.faults = Faults("config.json", status=status)
        if heals:
            assert same(load(f"hf:{NAME}"), trained(1))
            shutil.rmtree(constants.HF_HUB_CACHE)
        else:
            refused("out of order")
        assert len(pauses) == wanted
        assert sum(pauses) <= 2  # where the client alone takes 24
    hub.stop()
    pauses.clear()
    with caplog.at_level("WARNING"):
        refused("cannot be reached")
    assert sum(pauses) <= 2
    assert "etrying" not in caplog.text


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.ENOSPC, "disk is full: free some space, or set HF_HOME"),
        (errno.EROFS, "read-only: set HF_HOME"),
        (errno.EACCES, "may not be written to: set HF_HOME"),
    ],
)
def test_a_cache_that_cannot_be_written(number, said):
    """By real disks in test_hub_process; here, where there are none to spare."""
    with (
        pytest.raises(FileError, match=f"hf:a/b: cannot write to the cache /x; .*{said}"),
        explained("hf:a/b", "y", "/x"),
    ):
        raise OSError(number, "no")


def test_on_the_command_line_it_is_one_line(hub, repository, tmp_path):
    (tmp_path / "a.xyz").write_text("0 0 0\n1 0 0\n0 1 0\n0 0 1\n")
    for command in (
        ("upsample", tmp_path / "a.xyz", "-x", 4, "-m", "hf:no/where"),
        ("models", "pull", "hf:no/where"),
        ("models", "verify", "hf:no/where"),
    ):
        _, err = run(*command, code=1)
        assert err.startswith("Error: hf:no/where: no such repository")
        assert err.count("\n") == 1
    run("upsample", tmp_path / "a.xyz", "-x", 4, "-m", f"hf:{NAME}", "-o", tmp_path / "b.xyz")
    assert len((tmp_path / "b.xyz").read_text().splitlines()) == 16
    out, err = run("models", "pull", "hf:no/where", f"hf:{NAME}", code=1)  # the others are fetched all the same
    assert "hf:no/where" in err
    assert out.startswith(f"hf:{NAME}: {constants.HF_HUB_CACHE}")


# -- malice -------------------------------------------------------------------------------------------------------


def config_with(repository: Repository, **changes: object) -> None:
    config = json.loads(repository.commits[repository.branches["main"]]["config.json"])
    repository.commit({"config.json": json.dumps({**config, **changes}).encode()})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"model": "os.system"}, r"needs the model class 'os\.system', which is not known"),
        ({"model": "torch.nn:Linear"}, "'torch.nn:Linear', which is not known"),
        ({"model": "pcsr_zoo.models.jetnet.model:JetNet"}, "which is not known"),
        ({"model": "toy-x4"}, "which is not known"),
        ({"model": "midpoint"}, "'midpoint' has no network"),
        ({"auto_map": {"AutoModel": "modeling.Evil"}}, "unknown key 'auto_map'"),
        ({"arguments": {"width": 8, "code": "print()"}}, "'arguments' do not make a 'toy'.*'code'"),
        ({"arguments": {"__class__": "x"}}, "'arguments' do not make a 'toy'"),
        ({"name": "../../evil"}, r"'\.\./\.\./evil' is no name"),
        ({"name": "a/b"}, "is no name"),
        ({"sha256": "../../evil"}, "'sha256' is not the 64"),
        ({"sha256": 3}, "'sha256' is missing or no str"),
        ({"format": "pcsr-checkpoint-9"}, "update pcsr-zoo"),
        ({"parameters": float("nan")}, "is not JSON"),
    ],
)
def test_a_configuration_is_checked_before_anything_is_built_or_fetched(
    hub,
    repository,
    monkeypatch,
    changes,
    said,
):
    def never(self, *_, **__):
        raise AssertionError("built")

    monkeypatch.setattr(Toy, "__init__", lambda self, width=8, layers=1, scale=0.01: never(self))
    config_with(repository, **changes)
    repository.commit({"modeling.py": b"raise SystemExit", "__init__.py": b"raise SystemExit"})
    refused(said)
    assert hub.got(WEIGHTS) == []


def header(entries: object) -> bytes:
    text = entries if isinstance(entries, bytes) else json.dumps(entries).encode()
    return struct.pack("<Q", len(text)) + text


def entry(shape: list[int], begin: int, end: int, dtype: str = "F32") -> dict:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def pickled() -> bytes:
    stream = io.BytesIO()
    torch.save({"a": torch.zeros(2)}, stream)
    return stream.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x80",
        struct.pack("<Q", 2**63) + b"{}",
        struct.pack("<Q", 2**40) + b"{}",
        header(b"[" * 10_000),
        header(b"{'a': 1}"),
        header({"a": entry([2], 0, 10**9)}) + bytes(8),
        header({"a": entry([2], -8, 0)}) + bytes(8),
        header({"a": entry([2**62, 2**62], 0, 8)}) + bytes(8),
        header({"a": entry([2], 0, 8), "b": entry([2], 4, 12)}) + bytes(12),
        header({"a": entry([2], 0, 8, "OBJECT")}) + bytes(8),
        header({"a": entry([2], 0, 8)}) + bytes(800),
        header({"../../evil": entry([2], 0, 8)}) + bytes(8),
        pickled(),
    ],
)
def test_malicious_weights_of_the_right_hash(hub, repository, content):
    repository.commit({WEIGHTS: content})
    config_with(repository, sha256=hashlib.sha256(content).hexdigest())
    refused(r"no safetensors file|is empty|has no '0\.weight'")


@pytest.mark.parametrize(
    "headers",
    [
        {"ETag": '"../../../../../evil"'},
        {"X-Linked-Etag": '"../../../../../evil"', "X-Linked-Size": "3"},
        {"ETag": '"/tmp/evil"'},
        {"ETag": '".."'},
        {"X-Repo-Commit": "../../../../evil"},
        {"X-Repo-Commit": "main"},
        {"X-Repo-Commit": "\x7f"},
    ],
)
@pytest.mark.parametrize("on", ["config.json", WEIGHTS])
def test_a_server_that_names_files_outside_of_the_cache(hub, repository, tmp_path, headers, on):
    before = {path for path in tmp_path.rglob("*") if "hf" not in path.relative_to(tmp_path).parts}
    hub.faults = Faults(on, headers=headers)
    refused("leads out of the cache|names no commit")
    after = {path for path in tmp_path.rglob("*") if "hf" not in path.relative_to(tmp_path).parts}
    assert after == before
    assert not [*tmp_path.parent.rglob("evil*"), *Path("/tmp").glob("evil*")]
    assert not [request for request in hub.got(on) if request.method == "GET"]


def test_another_commit_than_was_asked_for(hub, repository, tmp_path):
    """A mirror that answers with what it has is no pinned revision."""
    asked = repository.branches["main"]
    other = repository.commit_folder(save_checkpoint(tmp_path / "b", trained(2), name="toy-x4"))
    repository.commits[asked] = repository.commits[other]
    hub.faults = Faults("config.json", headers={"X-Repo-Commit": other})
    refused(f"the server gives another commit, {other} for {asked}", f"hf:{NAME}@{asked}")
    assert in_the_cache(tmp_path) == set()


def test_a_configuration_of_a_later_version_is_nobodys_fault(hub, repository):
    for changes in ({"format": "pcsr-checkpoint-2"}, {"novel": 1}):
        config_with(repository, **changes)
        said = refused("update pcsr-zoo$")
        assert "at fault" not in said


def test_a_configuration_of_gigabytes_is_not_fetched(hub, repository):
    hub.faults = Faults("config.json", headers={"X-Linked-Size": str(10**10)})
    refused("10,000,000,000 bytes.*not fetched")
    assert hub.got("config.json") == []
