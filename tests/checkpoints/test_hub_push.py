"""Publishing a checkpoint, by the client's own requests, and from the command line."""

# ruff: noqa: F811 - fixtures of hub_server and toy_model are imported and asked for by name

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from cli_run import run
from hub_server import HubServer, hub  # noqa: F401
from huggingface_hub import ModelCard, constants
from toy_model import same, toy, trained  # noqa: F401

from pcsr_zoo import load
from pcsr_zoo.cards.card import update_card
from pcsr_zoo.checkpoints.folder import folder as checkpoints
from pcsr_zoo.checkpoints.folder import read_config, save_checkpoint
from pcsr_zoo.checkpoints.push import plan_push, push
from pcsr_zoo.errors import FileError, OptionError

pytestmark = pytest.mark.usefixtures("toy")


@pytest.fixture
def folder(tmp_path: Path, hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkpoint as a training leaves it."""
    monkeypatch.setenv("HF_TOKEN", "hf_write")
    folder = save_checkpoint(tmp_path / "runs" / "mine", trained(1), name="toy-x4", license="MIT", seed=0)
    (folder / "train.yml").write_text("seed: 0\n")
    (folder / "state.pt").write_bytes(b"not for others")
    (folder / "metrics.jsonl").write_text("{}\n")
    (folder / "data").mkdir()
    return folder


def files(hub: HubServer, name: str, branch: str = "main") -> dict[str, bytes]:
    repository = hub.repositories[name]
    return repository.commits[repository.branches[branch]]


def test_a_checkpoint_is_published_and_loads_from_there(hub, folder):
    commit = push(plan_push(folder, "me/toy"))
    there = files(hub, "me/toy")
    assert sorted(there) == [".gitattributes", "README.md", "config.json", "model.safetensors", "train.yml"]
    for name in ("config.json", "model.safetensors", "train.yml"):
        assert there[name] == (folder / name).read_bytes()
    text = there["README.md"].decode()
    assert 'pcsr_zoo.load("hf:me/toy")' in text
    assert "path/to" not in text
    assert ModelCard(text).data.license == "mit"
    assert hub.repositories["me/toy"].branches["main"] == commit
    assert same(load(f"hf:me/toy@{commit}"), trained(1))
    assert b"path/to/mine" in (folder / "README.md").read_bytes()  # here it is still a folder


def test_the_plan_says_what_would_change_and_changes_nothing(hub, folder, tmp_path):
    plan = plan_push(folder, "me/toy")
    assert not plan.exists
    assert {change.file: change.state for change in plan.changes} == dict.fromkeys(
        ("config.json", "model.safetensors", "README.md", "train.yml"), "new"
    )
    assert hub.repositories == {}
    push(plan)
    hub.repositories["me/toy"].commit({"notes.md": b"theirs"})
    again = plan_push(folder, "me/toy")
    assert (again.exists, again.nothing_to_do, again.others) == (True, True, ["notes.md"])
    before = len(hub.repositories["me/toy"].commits)
    push(again)
    assert len(hub.repositories["me/toy"].commits) == before
    save_checkpoint(folder, trained(2), name="toy-x4", license="MIT", seed=0)
    changed = {change.file: change.state for change in plan_push(folder, "me/toy").changes}
    assert changed == {
        "config.json": "changed",
        "model.safetensors": "changed",
        "README.md": "changed",
        "train.yml": "same",
    }
    push(plan_push(folder, "me/toy"))
    assert same(load("hf:me/toy"), trained(2))
    assert files(hub, "me/toy")["notes.md"] == b"theirs"


def test_a_branch_and_a_private_repository(hub, folder):
    push(plan_push(folder, "me/toy@trial"), private=True)
    assert hub.repositories["me/toy"].token == "hf_write"
    assert "config.json" not in files(hub, "me/toy")
    assert same(load("hf:me/toy@trial"), trained(1))


def test_a_branch_that_the_repository_does_not_have_yet(hub, folder):
    first = push(plan_push(folder, "me/toy"))
    plan = plan_push(folder, "me/toy@trial")
    assert (plan.exists, plan.branch_exists, plan.nothing_to_do) == (True, False, False)
    assert {change.state for change in plan.changes if change.file != "README.md"} == {"same"}
    assert "trial (would be made)" in run("models", "push", folder, "--to", "me/toy@trial", "--dry-run")[0]
    assert list(hub.repositories["me/toy"].branches) == ["main"]
    save_checkpoint(folder, trained(2), name="toy-x4")
    push(plan_push(folder, "me/toy@trial"))
    assert same(load("hf:me/toy@trial"), trained(2))
    assert same(load("hf:me/toy"), trained(1))
    assert hub.repositories["me/toy"].branches["main"] == first


def test_a_repository_that_changed_after_it_was_looked_at(hub, folder):
    push(plan_push(folder, "me/toy"))
    save_checkpoint(folder, trained(2), name="toy-x4")
    plan = plan_push(folder, "me/toy")
    theirs = hub.repositories["me/toy"].commit({"model.safetensors": b"theirs"})
    with pytest.raises(FileError, match="hf:me/toy: the repository changed while it was looked at"):
        push(plan)
    assert hub.repositories["me/toy"].branches["main"] == theirs


def test_a_card_that_the_hub_does_not_take(hub, folder):
    (folder / "README.md").write_text("---\ntags: 3\n---\n# mine\n")
    with pytest.raises(
        FileError, match=r'hf:me/toy: the Hub refuses the head of README\.md: - "tags" must be an array; mend'
    ):
        push(plan_push(folder, "me/toy"))


def test_without_a_token(hub, folder, monkeypatch):
    monkeypatch.delenv("HF_TOKEN")
    plan = plan_push(folder, "me/toy")  # to look, none is needed
    with pytest.raises(FileError, match=r"hf:me/toy: .*log in .*HF_TOKEN"):
        push(plan)
    assert hub.repositories == {}


def test_cards_that_somebody_wrote_and_those_of_the_package_go_as_they_are(hub, folder, tmp_path, monkeypatch):
    (folder / "README.md").write_text("# all mine\n")
    push(plan_push(folder, "me/toy"))
    assert files(hub, "me/toy")["README.md"] == b"# all mine\n"
    ours = save_checkpoint(tmp_path / "hub_configs" / "toy-x8", trained(1), name="toy-x8")
    monkeypatch.setattr(checkpoints, "package_folder", lambda: ours.parent)
    update_card(ours)
    push(plan_push(ours, "pcsr-zoo/toy-x8"))
    assert files(hub, "pcsr-zoo/toy-x8")["README.md"] == (ours / "README.md").read_bytes()
    assert b'pcsr_zoo.load("toy-x8")' in files(hub, "pcsr-zoo/toy-x8")["README.md"]


def test_what_cannot_be_published(hub, folder, tmp_path, monkeypatch):
    for to, said in (("toy", "no repository"), ("a/../b", "no repository"), ("me/toy@" + "0" * 40, "is a commit")):
        with pytest.raises(OptionError, match=said):
            plan_push(folder, to)
    with pytest.raises(FileError, match="no such folder"):
        plan_push(tmp_path / "nowhere", "me/toy")
    secret = tmp_path / "secret"
    secret.write_text("token")
    (folder / "train.yml").unlink()
    (folder / "train.yml").symlink_to(secret)
    with pytest.raises(FileError, match=r"train\.yml is a link"):
        plan_push(folder, "me/toy")
    (folder / "train.yml").unlink()
    content = bytearray((folder / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (folder / "model.safetensors").write_bytes(content)
    with pytest.raises(FileError, match="sha256"):
        plan_push(folder, "me/toy")
    assert hub.requests == []


def test_refusals_of_the_hub(hub, folder, monkeypatch):
    plan = plan_push(folder, "me/toy")
    monkeypatch.setenv("HF_TOKEN", "hf_reads_only")
    with pytest.raises(FileError, match=r"hf:me/toy: the Hub refuses pushing to it \(status 403\); log in.*HF_TOKEN"):
        push(plan)
    hub.add("me/toy").commit({})
    with pytest.raises(FileError, match=r"hf:me/toy: the Hub refuses pushing"):
        push(plan_push(folder, "me/toy"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    hub.stop()
    with pytest.raises(FileError, match=r"hf:me/toy: (HF_HUB_OFFLINE is set|the Hub at .* cannot be reached)"):
        plan_push(folder, "me/toy")


def test_the_command(hub, folder):
    out, _ = run("models", "push", folder, "--to", "me/toy", "--dry-run")
    assert out.startswith("toy-x4 -> me/toy, branch main (would be made)\n")
    assert re.search(r"new +model\.safetensors +\d\.\d kB\n", out)
    assert "state.pt" not in out
    assert hub.repositories == {}
    out, _ = run("models", "push", folder, "--to", "me/toy", "--message", "first")
    (found,) = re.findall(r'pcsr_zoo\.load\("(hf:me/toy@[0-9a-f]{40})"\)', out)
    assert same(load(found), trained(1))
    assert "Nothing to push" in run("models", "push", folder, "--to", "me/toy")[0]
    _, err = run("models", "push", folder / "none", "--to", "me/toy", code=1)
    assert "no such folder" in err
    run("models", "push", folder, code=2)


def test_pull_and_verify(hub, folder, tmp_path, monkeypatch):
    commit = push(plan_push(folder, "pcsr-zoo/toy-x4"))
    root = tmp_path / "hub_configs"
    (root / "toy-x4").mkdir(parents=True)
    for name in ("config.json", "README.md"):
        (root / "toy-x4" / name).write_bytes((folder / name).read_bytes())
    save_checkpoint(root / "toy-b", trained(2), name="toy-b")
    pins = {"toy-x4": {"repository": "pcsr-zoo/toy-x4", "revision": commit}}
    (root / "hub.json").write_text(json.dumps(pins))
    monkeypatch.setattr(checkpoints, "package_folder", lambda: root)
    assert [line.split()[0] for line in run("models", "verify")[0].splitlines()] == ["toy-b:"]
    rows = {row["name"]: row for row in json.loads(run("models", "toy*", "--json")[0])}
    assert (rows["toy-x4"]["where"], rows["toy-b"]["where"]) == ("Hub", "package")
    _, err = run("models", "verify", "toy-x4", code=1)
    assert "pcsr models pull toy-x4" in err
    out, _ = run("models", "pull", "--all")
    assert out.startswith(f"toy-x4: {constants.HF_HUB_CACHE}")
    rows = {row["name"]: row for row in json.loads(run("models", "toy*", "--json")[0])}
    assert rows["toy-x4"]["where"] == "cache"
    sha256 = read_config(folder)["sha256"]
    assert f"toy-x4: good, 75 parameters, sha256 {sha256}" in run("models", "verify")[0]
    monkeypatch.chdir(tmp_path)  # where folders have the names of models
    for name in ("toy-b", "toy-x4"):
        save_checkpoint(name, trained(9), name=name, license="ISC")
    assert f"toy-x4: good, 75 parameters, sha256 {sha256}" in run("models", "verify")[0]
    assert run("models", "pull", "--all")[0].startswith(f"toy-x4: {constants.HF_HUB_CACHE}")
    rows = {row["name"]: row for row in json.loads(run("models", "toy*", "--json")[0])}
    assert (rows["toy-x4"]["license"], rows["toy-x4"]["weights"]) == ("MIT", f"sha256:{sha256}")
    (root / "toy-b" / "model.safetensors").write_bytes(b"rotten")
    out, err = run("models", "verify", code=1)
    assert "toy-x4: good" in out
    assert "toy-b" in err
    for arguments, said in (
        (("pull",), "or give --all"),
        (("pull", "jet"), "no weights to pull"),
        (("pull", "tuy"), "toy"),
        (("pull", tmp_path / "nowhere"), "no such folder"),
        (("pull", folder), "is a folder on this machine already"),
        (("verify", tmp_path / "nowhere"), "no such folder"),
        (("verify", "jet"), "has no weights"),
        (("push", folder, "--to", "toy"), "write hf:owner/repo"),
        (("push", "toy-q", "--to", "me/toy"), "toy-q: no such folder"),
    ):
        _, err = run("models", *arguments, code=2 if arguments == ("pull",) else 1)
        assert said in err
