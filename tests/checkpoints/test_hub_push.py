"""Publishing a checkpoint, by the client's own requests, and from the command line."""

# ruff: noqa: F811 - fixtures of hub_server and toy_model are imported and asked for by name

from __future__ import annotations

import hashlib
import json
import re
import socket
from pathlib import Path

import pytest
from cli_run import run
from hub_server import HubServer, hub  # noqa: F401
from huggingface_hub import ModelCard, constants
from toy_model import same, toy, trained  # noqa: F401

from pcsr_zoo import load
from pcsr_zoo.cards.card import render_card, save_with_card
from pcsr_zoo.checkpoints import shipped
from pcsr_zoo.checkpoints.folder import read_config
from pcsr_zoo.checkpoints.push import Plan, plan_push, push
from pcsr_zoo.errors import FileError, OptionError

pytestmark = pytest.mark.usefixtures("toy")

CHECKPOINT = ("README.md", "config.json", "model.safetensors")


@pytest.fixture
def folder(tmp_path: Path, hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkpoint as a training leaves it."""
    monkeypatch.setenv("HF_TOKEN", "hf_write")
    folder = save(tmp_path / "runs" / "mine", 1)
    (folder / "train.yml").write_text("seed: 0\n")
    (folder / "state.pt").write_bytes(b"not for others")
    (folder / "metrics.jsonl").write_text("{}\n")
    (folder / "data").mkdir()
    return folder


def save(folder: Path, seed: int) -> Path:
    return save_with_card(folder, trained(seed), name="toy-x4", license="MIT", seed=0)


def plan(folder: Path, to: str = "me/toy") -> Plan:
    return plan_push(folder, to, render_card)


def files(hub: HubServer, name: str = "me/toy", branch: str = "main") -> dict[str, bytes]:
    repository = hub.repositories[name]
    return repository.commits[repository.branches[branch]]


def test_a_checkpoint_is_published_and_loads_from_there(hub, folder):
    commit = push(plan(folder))
    there = files(hub)
    assert sorted(there) == [".gitattributes", *CHECKPOINT, "train.yml"]
    for name in ("config.json", "model.safetensors", "train.yml"):
        assert there[name] == (folder / name).read_bytes()
    text = there["README.md"].decode()
    assert 'pcsr_zoo.load("hf:me/toy")' in text
    assert "path/to" not in text
    assert ModelCard(text).data.license == "mit"
    assert hub.repositories["me/toy"].branches["main"] == commit
    assert same(load(f"hf:me/toy@{commit}").model, trained(1))
    assert b"path/to/mine" in (folder / "README.md").read_bytes()  # here it is still a folder


def test_a_loaded_model_is_pushed_with_what_is_known_of_it(hub, folder, monkeypatch):
    commit = load(folder).push("me/toy@trial", private=True, failures=["none"])
    assert hub.repositories["me/toy"].token == "hf_write"
    assert sorted(files(hub, branch="trial")) == [".gitattributes", *CHECKPOINT]
    assert "config.json" not in files(hub)
    again = load(f"hf:me/toy@{commit}")
    assert same(again.model, trained(1))
    assert again.config["about"] == {"license": "MIT", "seed": 0, "failures": ["none"]}
    assert b'load("hf:me/toy@trial")' in files(hub, branch="trial")["README.md"]
    monkeypatch.setenv("HF_TOKEN", "hf_reads_only")
    hub.repositories["me/toy"].token = None
    with pytest.raises(FileError, match=r"hf:me/toy@trial: .*403.*HF_TOKEN"):
        load(folder).push("me/toy@trial")


def test_the_plan_says_what_would_change_and_changes_nothing(hub, folder):
    first = plan(folder)
    assert not first.exists
    assert {change.file: change.state for change in first.changes} == dict.fromkeys((*CHECKPOINT, "train.yml"), "new")
    assert hub.repositories == {}
    push(first)
    hub.repositories["me/toy"].commit({"notes.md": b"theirs"})
    again = plan(folder)
    assert (again.exists, again.nothing_to_do, again.others) == (True, True, ["notes.md"])
    before = len(hub.repositories["me/toy"].commits)
    push(again)
    assert len(hub.repositories["me/toy"].commits) == before
    save(folder, 2)
    changed = {change.file: change.state for change in plan(folder).changes}
    assert changed == {**dict.fromkeys(CHECKPOINT, "changed"), "train.yml": "same"}
    push(plan(folder))
    assert same(load("hf:me/toy").model, trained(2))
    assert files(hub)["notes.md"] == b"theirs"


def test_a_branch_that_the_repository_does_not_have_yet(hub, folder):
    first = push(plan(folder))
    trial = plan(folder, "me/toy@trial")
    assert (trial.exists, trial.branch_exists, trial.nothing_to_do) == (True, False, False)
    assert {change.state for change in trial.changes if change.file != "README.md"} == {"same"}
    assert list(hub.repositories["me/toy"].branches) == ["main"]
    push(plan(save(folder, 2), "me/toy@trial"))
    assert same(load("hf:me/toy@trial").model, trained(2))
    assert same(load("hf:me/toy").model, trained(1))
    assert hub.repositories["me/toy"].branches["main"] == first


def test_a_repository_that_changed_after_it_was_looked_at(hub, folder):
    push(plan(folder))
    late = plan(save(folder, 2))
    theirs = hub.repositories["me/toy"].commit({"model.safetensors": b"theirs"})
    with pytest.raises(FileError, match=r"hf:me/toy: .*changed"):
        push(late)
    assert hub.repositories["me/toy"].branches["main"] == theirs


def test_cards_that_somebody_wrote_and_those_of_the_package_go_as_they_are(hub, folder, tmp_path, monkeypatch):
    (folder / "README.md").write_text("# all mine\n")
    push(plan(folder))
    assert files(hub)["README.md"] == b"# all mine\n"
    (folder / "README.md").write_text("---\ntags: 3\n---\n# which the Hub does not take\n")
    with pytest.raises(FileError, match=r'hf:me/toy: .*README\.md.*"tags" must be an array'):
        push(plan(folder))
    monkeypatch.setattr(shipped, "package_folder", lambda: tmp_path / "hub_configs")
    save(tmp_path / "hub_configs" / "toy-x4", 1)
    ours = save(tmp_path / "hub_configs" / "toy-x4", 1)  # by now it is found by its name
    push(plan(ours, "pcsr-zoo/toy-x4"))
    assert files(hub, "pcsr-zoo/toy-x4")["README.md"] == (ours / "README.md").read_bytes()
    assert b'pcsr_zoo.load("toy-x4")' in files(hub, "pcsr-zoo/toy-x4")["README.md"]


def test_what_cannot_be_published(hub, folder, tmp_path):
    for to in ("toy", "a/../b", "me/toy@" + "0" * 40):
        with pytest.raises(OptionError, match=f"'.*{re.escape(to)}'"):
            plan(folder, to)
    with pytest.raises(FileError, match="nowhere"):
        plan(tmp_path / "nowhere")
    (tmp_path / "secret").write_text("token")
    (folder / "train.yml").unlink()
    (folder / "train.yml").symlink_to(tmp_path / "secret")
    with pytest.raises(FileError, match=r"train\.yml is a link"):
        plan(folder)
    (folder / "train.yml").unlink()
    content = bytearray((folder / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (folder / "model.safetensors").write_bytes(content)
    with pytest.raises(FileError, match=r"model\.safetensors.*sha256"):
        plan(folder)
    assert hub.requests == []


def test_refusals_of_the_hub(hub, folder, monkeypatch):
    first = plan(folder)
    for token in ("", "hf_reads_only"):
        monkeypatch.setenv("HF_TOKEN", token)
        with pytest.raises(FileError, match=r"hf:me/toy: .*HF_TOKEN"):
            push(first)
    assert hub.repositories == {}
    hub.stop()
    with pytest.raises(FileError, match=f"hf:me/toy: .*{hub.endpoint}"):
        plan(folder)


def test_the_command(hub, folder):
    out, _ = run("models", "push", folder, "--to", "me/toy", "--message", "first")
    (found,) = re.findall(r'pcsr_zoo\.load\("(hf:me/toy@[0-9a-f]{40})"\)', out)
    assert same(load(found).model, trained(1))
    assert "Nothing to push" in run("models", "push", folder, "--to", "me/toy")[0]
    for arguments, said in (((folder / "none", "--to", "me/toy"), "none"), ((folder, "--to", "toy"), "'toy'")):
        assert said in run("models", "push", *arguments, code=1)[1]
    run("models", "push", folder, code=2)


def test_an_address_is_shown_and_tried(hub, folder):
    commit = push(plan(folder))
    out, _ = run("models", f"hf:me/toy@{commit}")
    assert f"repository: hf:me/toy@{commit}" in out
    out, _ = run("models", "try", "hf:me/toy", "-x", 2)
    assert out.startswith("toy-x4: ")
    assert "2,048 -> 4,096 points" in out
    assert "hf:me/nothing" in run("models", "try", "hf:me/nothing", code=1)[1]


def test_a_dry_run_makes_no_request(tmp_path, monkeypatch):
    """It lists the same files that a push uploads, with their hashes, and refuses what cannot be published."""
    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, lambda *_: pytest.fail("the network was used"))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: pytest.fail("the network was used"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    folder = save(tmp_path / "mine", 1)
    (folder / "state.pt").write_bytes(b"not for others")
    dry = ("models", "push", folder, "--dry-run", "--to")
    out, _ = run(*dry, "me/toy@trial")
    assert all(words in out.splitlines()[0] for words in ("toy-x4", "me/toy", "trial"))
    listed = {
        file: (size, digest) for file, size, digest in re.findall(r"^  (\S+) +(\S+) bytes +sha256 (\w+)$", out, re.M)
    }
    assert set(listed) == set(CHECKPOINT)
    for name in ("config.json", "model.safetensors"):
        content = (folder / name).read_bytes()
        assert listed[name] == (f"{len(content):,}", hashlib.sha256(content).hexdigest())
    assert "'toy'" in run(*dry, "toy", code=1)[1]
    (folder / "README.md").write_text("---\ntags: [\n---\n# broken\n")
    assert "README.md" in run(*dry, "me/toy", code=1)[1]
    (folder / "README.md").unlink()
    (folder / "model.safetensors").write_bytes(b"rotten")
    assert "model.safetensors" in run(*dry, "me/toy", code=1)[1]


def test_pull_and_verify(hub, folder, tmp_path, monkeypatch):
    root = tmp_path / "hub_configs"
    pins = {"toy-x4": {"repository": "me/toy", "revision": push(plan(folder))}}
    (save(root / "toy-x4", 1) / "model.safetensors").unlink()
    save_with_card(root / "toy-b", trained(2), name="toy-b")
    (root / "hub.json").write_text(json.dumps(pins))
    monkeypatch.setattr(shipped, "package_folder", lambda: root)
    monkeypatch.chdir(tmp_path)  # where folders have the names of models
    for name in ("toy-b", "toy-x4"):
        save_with_card(name, trained(9), name=name, license="ISC")

    def where() -> dict[str, str]:
        return {row["name"]: row["where"] for row in json.loads(run("models", "toy-*4", "--json")[0])}

    assert [line.split()[0] for line in run("models", "verify")[0].splitlines()] == ["toy-b:"]
    assert where() == {"toy-x4": "Hub"}
    assert run("models", "pull", "--all")[0].startswith(f"toy-x4: {constants.HF_HUB_CACHE}")
    assert where() == {"toy-x4": "cache"}
    good = f"toy-x4: valid, 75 parameters, sha256 {read_config(folder)['sha256']}"
    assert good in run("models", "verify")[0]
    (root / "toy-b" / "model.safetensors").write_bytes(b"rotten")
    out, err = run("models", "verify", code=1)
    assert good in out
    assert "toy-b" in err
    for arguments in (("pull", "jet"), ("pull", "tuy"), ("verify", tmp_path / "nowhere"), ("verify", "jet")):
        assert str(arguments[-1]) in run("models", *arguments, code=1)[1]
    assert "--all" in run("models", "pull", code=2)[1]
