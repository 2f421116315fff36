"""Checkpoints from a Hub in processes of their own: the environment that users set, and disks that misbehave."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hub_server import Faults, HubServer, Request
from toy_model import Toy, trained

from pcsr_zoo.checkpoints.folder import save_checkpoint
from pcsr_zoo.models import registry

TESTS = Path(__file__).parent
NAME = "somebody/toy-x4"
# Without torch, which takes its time: what is fetched is checked, and its class is known, but it is not built.
CODE = """
import sys
import time
from pcsr_zoo.errors import PcsrError
from pcsr_zoo.zoo import pull
from pcsr_zoo.models.base import Learned, Upsampler
from pcsr_zoo.models.registry import register_model

@register_model
class Toy(Learned, Upsampler):
    name, summary, source = "toy", "", ""

    def __init__(self, width=8, layers=1, scale=0.01):
        raise AssertionError("built")

start = time.monotonic()
for name in sys.argv[1:]:
    try:
        print(pull(name).joinpath("model.safetensors").stat().st_size)
    except PcsrError as error:
        sys.exit(f"{type(error).__name__}: {error} [{time.monotonic() - start:.1f} s]")
    except KeyboardInterrupt:
        sys.exit(130)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(registry._registered, "toy", Toy)
        model = trained(1, width=300, layers=2)
        return save_checkpoint(tmp_path_factory.mktemp("made"), model, name="toy-x4")


@pytest.fixture
def server(folder: Path) -> Iterator[HubServer]:
    with HubServer() as server:
        yield stocked(server, folder)


def stocked(server: HubServer, folder: Path) -> HubServer:
    server.add(NAME, folder)
    server.add("somebody/gated", folder, token="hf_mine", gated=True)
    return server


@dataclass
class First:
    """A first download by two processes at once, and what came of it."""

    home: Path
    ended: list[tuple[int, str, str]]
    requests: list[Request]


@pytest.fixture(scope="module")
def first(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> First:
    home = tmp_path_factory.mktemp("first") / "home"  # which does not exist yet
    with HubServer() as server:
        stocked(server, folder).faults = Faults("model.safetensors", delay=1.0)
        env = environment(server, home, HF_TOKEN="hf_mine", TQDM_POSITION="-1")  # a bar, terminal or not
        env["HF_ENDPOINT"] += "/"
        both = [start(env, f"hf:{NAME}") for _ in range(2)]
        return First(home, [end(process) for process in both], server.requests)


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


def test_a_first_download_by_two_processes_at_once(first, folder):
    """With progress, a token, and an HF_ENDPOINT that ends in a slash."""
    size = f"{(folder / 'model.safetensors').stat().st_size}\n"
    assert [(code, out) for code, out, _ in first.ended] == [(0, size)] * 2, first.ended
    assert any("model.safetensors: 100%" in err for _, _, err in first.ended)
    got = [request for request in first.requests if request.method == "GET"]
    assert 1 <= len([request for request in got if request.path.endswith("model.safetensors")]) <= 2
    assert {request.token for request in first.requests} == {"hf_mine"}
    assert list((first.home / "hub").glob("models--*"))
    assert not list(first.home.rglob("*incomplete*"))


def test_then_from_the_cache_without_a_server(first, server, folder):
    server.stop()
    env = environment(server, first.home, HF_HUB_OFFLINE="1")
    code, out, err = end(start(env, f"hf:{NAME}", "hf:no/where"))
    assert (code, out) == (1, f"{(folder / 'model.safetensors').stat().st_size}\n")
    where = first.home / "hub"
    assert err.startswith(f"FileError: hf:no/where: it is not in the cache {where}, and HF_HUB_OFFLINE")


def test_an_outage_is_told_in_seconds_and_in_one_line(server, tmp_path):
    """Where the client alone goes on for 24 seconds, and tells each of its tries."""
    server.stop()
    code, out, err = end(start(environment(server, tmp_path / "home"), f"hf:{NAME}"))
    assert (code, out) == (1, "")
    assert err.startswith(f"FileError: hf:{NAME}: it is not in the cache")
    assert f"the Hub at {server.endpoint} cannot be reached" in err
    assert err.count("\n") == 1
    assert float(err.rpartition("[")[2].partition(" s]")[0]) < 10


@pytest.mark.skipif(os.name == "nt", reason="signals are of POSIX")
def test_interrupted_in_the_middle_of_a_download(server, folder, tmp_path):
    go_on = threading.Event()
    server.faults = Faults("model.safetensors", stall=go_on)
    env = environment(server, tmp_path / "home")
    process = start(env, f"hf:{NAME}")
    deadline = time.monotonic() + 60
    while not server.got("model.safetensors") and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.3)  # by now it reads
    process.send_signal(signal.SIGINT)
    assert end(process)[0] == 130
    go_on.set()
    assert not list((tmp_path / "home").rglob("model.safetensors"))  # no half of a file that a later load could take
    server.faults = Faults()
    size = f"{(folder / 'model.safetensors').stat().st_size}\n"
    assert end(start(env, f"hf:{NAME}"))[:2] == (0, size)


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
def test_a_read_only_cache(first, server, folder, tmp_path):
    home = tmp_path / "home"
    shutil.copytree(first.home, home, symlinks=True)
    script = f'mount --bind "{home}" "{home}" && mount -o remount,bind,ro "{home}" && exec "$@"'
    before = ("unshare", "-rm", "sh", "-c", script, "sh")
    (commit,) = (path.name for path in home.glob("hub/models--*/snapshots/*"))
    server.repositories[NAME].commits[commit] = server.repositories[NAME].commits.pop(
        server.repositories[NAME].branches["main"]
    )
    server.repositories[NAME].branches["main"] = commit
    env = environment(server, home, HF_TOKEN="hf_mine")
    code, out, err = end(start(env, f"hf:{NAME}", "hf:somebody/gated", before=before))
    assert (code, out) == (1, f"{(folder / 'model.safetensors').stat().st_size}\n"), err  # what is there is used
    assert (
        f"FileError: hf:somebody/gated: cannot write to the cache {home / 'hub'}; it is read-only: set HF_HOME" in err
    )


def test_a_cache_that_is_a_file(server, tmp_path):
    (tmp_path / "home").write_text("")
    code, _, err = end(start(environment(server, tmp_path / "home"), f"hf:{NAME}"))
    assert code == 1
    assert err.startswith(f"FileError: hf:{NAME}: cannot write to the cache {tmp_path / 'home' / 'hub'}; ")
    assert "set HF_HOME to a folder" in err
