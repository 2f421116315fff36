"""Checkpoints from a Hub in processes of their own: the environment that users set, and disks that misbehave."""

# ruff: noqa: F811 - fixtures of hub_server and toy_model are imported and asked for by name

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hub_server import Faults, HubServer
from toy_model import toy, trained  # noqa: F401

from pcsr_zoo.checkpoints import save_checkpoint

TESTS = Path(__file__).parent
NAME = "somebody/toy-x4"
# Without torch, which takes its time: what is fetched is checked, and its class is known, but it is not built.
CODE = """
import sys
from pcsr_zoo.errors import PcsrError
from pcsr_zoo.listing import pull
from pcsr_zoo.models.base import Learned, Upsampler
from pcsr_zoo.registry import register_model

@register_model
class Toy(Learned, Upsampler):
    name, summary, source = "toy", "", ""

    def __init__(self, width=8, layers=1, scale=0.01):
        raise AssertionError("built")

for name in sys.argv[1:]:
    try:
        print(pull(name).joinpath("model.safetensors").stat().st_size)
    except PcsrError as error:
        sys.exit(f"{type(error).__name__}: {error}")
"""


@pytest.fixture
def server(toy, tmp_path: Path) -> Iterator[HubServer]:
    folder = save_checkpoint(tmp_path / "made", trained(1, width=300, layers=2), name="toy-x4")
    with HubServer() as server:
        server.add(NAME, folder)
        server.add("somebody/gated", folder, token="hf_mine", gated=True)
        yield server


def environment(server: HubServer, home: Path, **more: str) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "HUGGING"))}
    ours = {"HF_ENDPOINT": server.endpoint, "HF_HOME": str(home), "PYTHONPATH": f"{TESTS}{os.pathsep}{TESTS.parent}"}
    return {**kept, **ours, "OMP_NUM_THREADS": "1", **more}


def start(env: dict[str, str], *names: str, before: tuple[str, ...] = ()) -> subprocess.Popen[str]:
    command = [*before, sys.executable, "-c", CODE, *names]
    return subprocess.Popen(command, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def end(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def test_first_with_progress_then_from_the_cache_without_a_server(server, tmp_path):
    env = environment(server, tmp_path / "home", HF_TOKEN="hf_mine", TQDM_POSITION="-1")  # a bar, terminal or not
    code, out, err = end(start(env, f"hf:{NAME}", "hf:somebody/gated"))
    assert (code, out) == (0, 2 * expected(server)), err
    assert "model.safetensors: 100%" in err
    assert {request.token for request in server.got("config.json")} == {"hf_mine"}
    assert list((tmp_path / "home" / "hub").glob("models--*"))
    server.stop()
    env |= {"HF_HUB_OFFLINE": "1"}
    code, out, err = end(start(env, f"hf:{NAME}", "hf:no/where"))
    assert (code, out) == (1, expected(server))
    assert err.startswith(
        f"FileError: hf:no/where: it is not in the cache {tmp_path / 'home' / 'hub'}, and HF_HUB_OFFLINE"
    )


def test_two_processes_at_once(server, tmp_path):
    server.faults = Faults("model.safetensors", delay=1.0)
    env = environment(server, tmp_path / "home")
    both = [start(env, f"hf:{NAME}") for _ in range(2)]
    assert [end(process)[:2] for process in both] == [(0, expected(server))] * 2
    assert 1 <= len(server.got("model.safetensors")) <= 2
    assert not list((tmp_path / "home").rglob("*incomplete*"))


def expected(server: HubServer) -> str:
    repository = server.repositories[NAME]
    return f"{len(repository.commits[repository.branches['main']]['model.safetensors'])}\n"


def mounts() -> bool:
    """Whether this user can have a file system of its own (Linux, where user name spaces are allowed)."""
    if shutil.which("unshare") is None:
        return False
    return (
        subprocess.run(["unshare", "-rm", "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True).returncode == 0
    )


needs_mounts = pytest.mark.skipif(not mounts(), reason="no file system of its own can be had")


@needs_mounts
def test_a_full_disk(server, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    script = f'mount -t tmpfs -o size=128k none "{home}" && "$@"; end=$?; find "{home}" -name "*incomplete*"; exit $end'
    code, out, err = end(
        start(environment(server, home), f"hf:{NAME}", before=("unshare", "-rm", "sh", "-c", script, "sh"))
    )
    assert (code, out) == (1, ""), err  # and no half of a file
    assert f"FileError: hf:{NAME}: cannot write to the cache {home / 'hub'}; the disk is full: free some space" in err


@needs_mounts
def test_a_read_only_cache(server, tmp_path):
    home = tmp_path / "home"
    assert end(start(environment(server, home), f"hf:{NAME}"))[0] == 0
    script = f'mount --bind "{home}" "{home}" && mount -o remount,bind,ro "{home}" && exec "$@"'
    before = ("unshare", "-rm", "sh", "-c", script, "sh")
    env = environment(server, home, HF_TOKEN="hf_mine")
    code, out, err = end(start(env, f"hf:{NAME}", "hf:somebody/gated", before=before))
    assert (code, out) == (1, expected(server)), err  # what is there is used
    assert (
        f"FileError: hf:somebody/gated: cannot write to the cache {home / 'hub'}; it is read-only: set HF_HOME" in err
    )
