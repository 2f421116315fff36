"""Checkpoints from a Hub in processes of their own: the environment that users set, and disks that misbehave."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hub_server import Faults, HubServer
from toy_model import Toy, trained

from pcsr_zoo.cards.card import save_with_card
from pcsr_zoo.models import registry

NAME = "somebody/toy-x4"
# Without torch, which takes its time: what is fetched is checked, and its class is known, but it is not built.
CODE = """
import sys
from pcsr_zoo.catalog import resolve
from pcsr_zoo.errors import PcsrError
from pcsr_zoo.models.base import Learned, Upsampler
from pcsr_zoo.models.registry import register_model

@register_model
class Toy(Learned, Upsampler):
    name, summary, source = "toy", "", ""

    def __init__(self, width=8, layers=1, scale=0.01):
        raise AssertionError("built")

for name in sys.argv[1:]:
    try:
        print(resolve(name).with_weights().joinpath("model.safetensors").stat().st_size)
    except PcsrError as error:
        sys.exit(f"{type(error).__name__}: {error}")
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(registry._registered, "toy", Toy)
        return save_with_card(tmp_path_factory.mktemp("made"), trained(1, width=300, layers=2), name="toy-x4")


@pytest.fixture
def server(folder: Path) -> Iterator[HubServer]:
    with HubServer() as server:
        yield stocked(server, folder)


def stocked(server: HubServer, folder: Path) -> HubServer:
    server.add(NAME, folder)
    server.add("somebody/gated", folder, token="hf_mine", gated=True)
    return server


@pytest.fixture(scope="module")
def first(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list, list]:
    """A first download by two processes at once: HF_HOME, how they ended, and what they asked for."""
    home = tmp_path_factory.mktemp("first") / "home"  # which does not exist yet
    with HubServer() as server:
        stocked(server, folder).faults = Faults("model.safetensors", delay=1.0)
        env = environment(server, home, HF_TOKEN="hf_mine", TQDM_POSITION="-1")  # a bar, terminal or not
        env["HF_ENDPOINT"] += "/"
        both = [start(env, f"hf:{NAME}") for _ in range(2)]
        return home, [end(process) for process in both], server.requests


def environment(server: HubServer, home: Path, **more: str) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "HUGGING"))}
    return {**kept, "HF_ENDPOINT": server.endpoint, "HF_HOME": str(home), "OMP_NUM_THREADS": "1", **more}


def start(env: dict[str, str], *names: str, before: tuple[str, ...] = ()) -> subprocess.Popen[str]:
    command = [*before, sys.executable, "-c", CODE, *names]
    return subprocess.Popen(command, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def end(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def size(folder: Path) -> str:
    return f"{(folder / 'model.safetensors').stat().st_size}\n"


def test_a_first_download_by_two_processes_at_once(first, folder):
    """With progress, a token, and an HF_ENDPOINT that ends in a slash."""
    home, ended, requests = first
    assert [(code, out) for code, out, _ in ended] == [(0, size(folder))] * 2, ended
    assert any("model.safetensors: 100%" in err for _, _, err in ended)
    got = [request.path for request in requests if request.method == "GET"]
    assert 1 <= len([path for path in got if path.endswith("model.safetensors")]) <= 2
    assert {request.token for request in requests} == {"hf_mine"}
    assert list((home / "hub").glob("models--*"))
    assert not list(home.rglob("*incomplete*"))


def test_then_from_the_cache_without_a_server(first, server, folder):
    server.stop()
    env = environment(server, first[0], HF_HUB_OFFLINE="1")
    code, out, err = end(start(env, f"hf:{NAME}", "hf:no/where"))
    assert (code, out) == (1, size(folder))
    assert err.startswith("FileError: hf:no/where: ")
    assert str(first[0] / "hub") in err
    assert "HF_HUB_OFFLINE" in err


def mounts() -> bool:
    """Whether this user can have a file system of its own (Linux, where user name spaces are allowed)."""
    mount = ["unshare", "-rm", "mount", "-t", "tmpfs", "none", "/mnt"]
    return shutil.which("unshare") is not None and subprocess.run(mount, capture_output=True).returncode == 0


needs_mounts = pytest.mark.skipif(not mounts(), reason="no file system of its own can be had")


@needs_mounts
def test_a_full_disk(server, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    script = f'mount -t tmpfs -o size=128k none "{home}" && "$@"; end=$?; find "{home}" -name "*incomplete*"; exit $end'
    before = ("unshare", "-rm", "sh", "-c", script, "sh")
    code, out, err = end(start(environment(server, home), f"hf:{NAME}", before=before))
    assert (code, out) == (1, ""), err  # and no half of a file
    assert f"FileError: hf:{NAME}: " in err
    assert str(home / "hub") in err
    assert "disk is full" in err


@needs_mounts
def test_a_read_only_cache(first, server, folder, tmp_path):
    home = tmp_path / "home"
    shutil.copytree(first[0], home, symlinks=True)
    script = f'mount --bind "{home}" "{home}" && mount -o remount,bind,ro "{home}" && exec "$@"'
    before = ("unshare", "-rm", "sh", "-c", script, "sh")
    repository = server.repositories[NAME]
    (commit,) = (path.name for path in home.glob("hub/models--*/snapshots/*"))
    repository.commits[commit] = repository.commits.pop(repository.branches["main"])
    repository.branches["main"] = commit
    env = environment(server, home, HF_TOKEN="hf_mine")
    code, out, err = end(start(env, f"hf:{NAME}", "hf:somebody/gated", before=before))
    assert (code, out) == (1, size(folder)), err  # what is there is used
    assert "FileError: hf:somebody/gated: " in err
    assert str(home / "hub") in err
    assert "read-only" in err
