"""Checkpoints from a Hub: everything that goes wrong ends in an error that names the repository and says what to do."""

# ruff: noqa: F811 - fixtures of hub_server and toy_model are imported and asked for by name

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from cli_run import run
from hub_server import Faults, HubServer, Repository, etag, hub  # noqa: F401
from huggingface_hub import constants
from toy_model import Toy, same, toy, trained  # noqa: F401

from pcsr_zoo import load
from pcsr_zoo.cards.card import save_with_card
from pcsr_zoo.errors import FileError

pytestmark = pytest.mark.usefixtures("toy")

NAME = "somebody/toy-x4"
WEIGHTS = "model.safetensors"


@pytest.fixture
def repository(hub: HubServer, tmp_path: Path) -> Repository:
    return hub.add(NAME, save_with_card(tmp_path / "made", trained(1), name="toy-x4"))


def refused(said: str, name: str = f"hf:{NAME}") -> str:
    """What `load` says; it begins with the address, and is one line."""
    with pytest.raises(FileError, match=said) as caught:
        load(name)
    assert str(caught.value).startswith(f"{name}: ")
    assert str(caught.value).isprintable()
    return str(caught.value)


def loads() -> bool:
    return same(load(f"hf:{NAME}").model, trained(1))


def in_the_cache(tmp_path: Path) -> set[str]:
    """Names of the files with content, and of links: what a later load could take for good."""
    return {
        path.name for path in (tmp_path / "hf").rglob("*") if path.is_file() and path.suffix not in (".lock", ".TAG")
    }


def head(repository: Repository) -> dict[str, bytes]:
    return repository.commits[repository.branches["main"]]


def test_weights_that_are_larger_than_their_configuration_says_are_not_fetched(hub, repository, tmp_path):
    repository.commit({**head(repository), WEIGHTS: bytes(30_000_000)})
    refused("30,000,000 bytes, more than config.json says; it was not fetched")
    assert WEIGHTS not in in_the_cache(tmp_path)
    assert not hub.got(WEIGHTS)


def test_marks_of_a_repository_are_not_in_the_card(tmp_path):
    folder = save_with_card(tmp_path / "made", trained(1), name="toy-x4", summary="a \x1b[31mred\u202e summary")
    card = (folder / "README.md").read_text()
    assert all(mark.isprintable() or mark in "\n\t" for mark in card)
    assert "red" in card


# -- the way ------------------------------------------------------------------------------------------------------


def test_a_connection_that_is_cut_each_time(hub, repository, tmp_path):
    hub.faults = Faults(WEIGHTS, cut_after=0)
    refused("try again")
    assert WEIGHTS not in in_the_cache(tmp_path)
    assert not [name for name in in_the_cache(tmp_path) if "incomplete" in name]
    hub.faults = Faults()
    assert loads()


@pytest.mark.parametrize(
    ("on", "fault"),
    [(WEIGHTS, {"shorter": 7}), (WEIGHTS, {"flip": True}), ("config.json", {"shorter": 5})],
    ids=["truncated weights", "a flipped bit", "a truncated configuration"],
)
def test_what_was_damaged_on_the_way_is_refused_and_removed(hub, repository, tmp_path, on, fault):
    hub.faults = Faults(on, **fault)
    assert on in refused("removed from the cache.*try again")
    assert not in_the_cache(tmp_path) & {on, etag(on, head(repository)[on])}
    assert bool(hub.got(WEIGHTS)) == (on == WEIGHTS)
    hub.faults = Faults()
    assert loads()


def test_weights_that_rotted_in_the_cache(hub, repository, tmp_path):
    assert loads()
    (blob,) = (tmp_path / "hf").rglob(etag(WEIGHTS, head(repository)[WEIGHTS]))
    content = bytearray(blob.read_bytes())
    content[-1] ^= 1
    blob.write_bytes(content)
    refused(f"{WEIGHTS}.*sha256.*removed from the cache")
    assert loads()


def test_a_repository_whose_files_do_not_belong_together(hub, repository, tmp_path):
    made = save_with_card(tmp_path / "b", trained(2), name="toy-x4")
    repository.commit({WEIGHTS: (made / WEIGHTS).read_bytes()})
    refused(f"{WEIGHTS}.*sha256.*removed from the cache.*owner")


# -- what is not there, or not for everybody -----------------------------------------------------------------------


def test_a_token_that_cannot_be_sent(hub, repository, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_\u20ac")
    refused("HF_TOKEN")
    assert hub.requests == []


def test_what_is_not_there(hub, repository):
    refused("repository.*HF_TOKEN", "hf:no/where")
    refused("revision", f"hf:{NAME}@v9")
    hub.add("somebody/empty").commit({"README.md": b"# hello"})
    refused(r"config\.json", "hf:somebody/empty")
    commit = repository.commit({})
    del repository.commits[commit][WEIGHTS]
    repository.commits[commit] |= {"pytorch_model.bin": b"a pickle", "model.safetensors.index.json": b"{}"}
    assert WEIGHTS in refused("pickle")
    assert {request.path.rpartition("/")[2] for request in hub.requests} == {"config.json", WEIGHTS}


@pytest.mark.parametrize("token", [None, "hf_wrong"])
def test_private_and_gated(hub, tmp_path, monkeypatch, token):
    folder = save_with_card(tmp_path / "made", trained(1))
    hub.add("me/private", folder, token="hf_mine")
    hub.add("them/gated", folder, token="hf_mine", gated=True)
    if token:
        monkeypatch.setenv("HF_TOKEN", token)
    refused("private.*HF_TOKEN", "hf:me/private")
    refused(f"{hub.endpoint}/them/gated.*HF_TOKEN", "hf:them/gated")
    assert {request.token for request in hub.requests} == {token}


@pytest.mark.parametrize("status", [500, 503, 403, 429, 418])
@pytest.mark.parametrize("on", ["config.json", WEIGHTS])
def test_other_answers(hub, repository, status, on):
    hub.faults = Faults(on, status=status)
    refused(f"status {status}")


@pytest.mark.parametrize("status", [0, 503], ids=["no server", "out of order"])
def test_an_outage_is_told_at_once(hub, repository, monkeypatch, status):
    """The client's own download would go on for 24 seconds. What is in the cache is taken."""
    monkeypatch.setattr(time, "sleep", lambda seconds: pytest.fail(f"waits for {seconds} s"))
    assert loads()
    before = len(hub.requests)
    hub.faults = Faults("config.json", status=status)
    if not status:
        hub.stop()
    assert loads()
    assert constants.HF_HUB_CACHE in refused(hub.endpoint, "hf:no/where" if not status else f"hf:{NAME}@v1")
    assert len(hub.requests) == before + 2 * bool(status)


def test_offline_and_not_in_the_cache(hub, repository, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    said = refused("HF_HUB_OFFLINE.*pcsr models pull hf:no/where", "hf:no/where")
    assert constants.HF_HUB_CACHE in said
    assert hub.requests == []


def test_a_cache_that_is_a_file(hub, repository, tmp_path, monkeypatch):
    """Other disks that cannot be written are in test_hub_process."""
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "file" / "hub"))
    assert constants.HF_HUB_CACHE in refused("HF_HOME")


def test_on_the_command_line_it_is_one_line(hub, repository, tmp_path):
    (tmp_path / "a.xyz").write_text("0 0 0\n1 0 0\n0 1 0\n0 0 1\n")
    commands = (("upsample", tmp_path / "a.xyz", "-x", 4, "-m"), ("models", "pull"), ("models", "verify"))
    for command in commands:
        _, err = run(*command, "hf:no/where", code=1)
        assert err.startswith("Error: hf:no/where: ")
        assert err.count("\n") == 1
    run(*commands[0], f"hf:{NAME}", "-o", tmp_path / "b.xyz")
    assert len((tmp_path / "b.xyz").read_text().splitlines()) == 16
    for command in commands[1:]:  # the others are fetched, and verified, all the same
        out, err = run(*command, "hf:no/where", f"hf:{NAME}", code=1)
        assert "hf:no/where" in err
        assert out.startswith(f"hf:{NAME}: ")


# -- malice -------------------------------------------------------------------------------------------------------


def config_with(repository: Repository, **changes: object) -> None:
    repository.commit({"config.json": json.dumps({**json.loads(head(repository)["config.json"]), **changes}).encode()})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"model": "os.system"}, r"'os\.system'"),
        ({"model": "pcsr_zoo.models.jetnet.model:JetNet"}, "model:JetNet'"),
        ({"model": "midpoint"}, "'midpoint'"),
        ({"auto_map": {"AutoModel": "modeling.Evil"}}, "'auto_map'"),
        ({"arguments": {"width": 8, "code": "print()"}}, "'arguments'.*'code'"),
        ({"name": "../../evil"}, r"'\.\./\.\./evil'"),
        ({"sha256": "../../evil"}, "'sha256'"),
        ({"format": "pcsr-checkpoint-9"}, "'pcsr-checkpoint-9'"),
    ],
)
def test_a_configuration_is_checked_before_anything_is_built_or_fetched(hub, repository, monkeypatch, changes, said):
    def never(self, width=8, layers=1, scale=0.01):
        raise AssertionError("built")

    monkeypatch.setattr(Toy, "__init__", never)
    config_with(repository, **changes)
    repository.commit({"modeling.py": b"raise SystemExit", "__init__.py": b"raise SystemExit"})
    refused(said)
    assert hub.got(WEIGHTS) == []


def test_a_configuration_of_a_later_version_is_nobodys_fault(hub, repository):
    for changes in ({"format": "pcsr-checkpoint-2"}, {"novel": 1}):
        config_with(repository, **changes)
        assert "owner" not in refused("update pcsr-zoo$")


def test_a_configuration_of_gigabytes_is_not_fetched(hub, repository):
    hub.faults = Faults("config.json", headers={"X-Linked-Size": str(10**10)})
    refused("10,000,000,000 bytes")
    assert hub.got("config.json") == []


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
    refused("HF_ENDPOINT")
    after = {path for path in tmp_path.rglob("*") if "hf" not in path.relative_to(tmp_path).parts}
    assert after == before
    assert not [*tmp_path.parent.rglob("evil*"), *Path("/tmp").glob("evil*")]
    assert not hub.got(on)


def test_another_commit_than_was_asked_for(hub, repository, tmp_path):
    """A mirror that answers with what it has is no pinned revision."""
    asked = repository.branches["main"]
    other = repository.commit_folder(save_with_card(tmp_path / "b", trained(2), name="toy-x4"))
    repository.commits[asked] = repository.commits[other]
    hub.faults = Faults("config.json", headers={"X-Repo-Commit": other})
    refused(f"{other} for {asked}", f"hf:{NAME}@{asked}")
    assert in_the_cache(tmp_path) == set()
