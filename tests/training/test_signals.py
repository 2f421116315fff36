"""Signals that reach all processes at once, workers included; workers whose training process is gone, or that are."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
from pathlib import Path

import pytest
from forked import Forked
from resuming import LONG, start, wait_for_step
from toy_training import write_toy_data

import pcsr_zoo
from pcsr_zoo.errors import TrainingError
from pcsr_zoo.training import train
from pcsr_zoo.training.state import load_state

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="workers are forked, and found in /proc, on Linux")
MANY = {"settings": {**LONG["settings"], "steps": 20_000, "save_every": 0, "validate_every": 0, "workers": 2}}


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return write_toy_data(tmp_path_factory.mktemp("data") / "toy.npz")


def workers_of(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def alive(pid: int) -> bool:
    """Zombies that nobody has asked for yet have ended, too."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_for_end(pids: list[int], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while lingering := [pid for pid in pids if alive(pid)]:
        if time.monotonic() > deadline:
            for pid in lingering:
                os.kill(pid, signal.SIGKILL)
            pytest.fail(f"{lingering} linger")
        time.sleep(0.05)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_all_processes_saves_the_step_that_was_under_way(path, tmp_path, number):
    with start(path, tmp_path / "r", **MANY) as process:
        wait_for_step(process, 10)
        workers = workers_of(process.pid)
        for worker in workers:
            os.kill(worker, number)  # to them alone: nothing ends
        wait_for_step(process, 40)
        os.killpg(process.pid, number)
        os.killpg(process.pid, number)  # as a scheduler and torchrun may, one after the other
        out, err = process.communicate(timeout=60)
    assert len(workers) == 2
    assert process.returncode == (143 if number == signal.SIGTERM else -signal.SIGINT), err
    assert "stopped after step" in out
    assert "DataLoader" not in err
    assert load_state(tmp_path / "r/state/last.pt").step >= 40
    assert pcsr_zoo.load(str(tmp_path / "r"))
    wait_for_end(workers, 4)


def test_workers_end_when_their_training_is_killed(path, tmp_path):
    """Even where they are stuck handing over: nobody reads any longer, and the pipe is full."""
    settings = {**MANY["settings"], "batch": 64, "accumulate": 64}
    with start(path, tmp_path / "r", settings=settings, recipe={"points": 16}) as process:
        wait_for_step(process, 2)
        workers = workers_of(process.pid)
        process.send_signal(signal.SIGSTOP)
        time.sleep(1.5)
        assert len(workers) == 2
        assert all(map(alive, workers))
        process.send_signal(signal.SIGKILL)
    wait_for_end(workers, 4)


def test_a_worker_that_is_killed_is_named(path, tmp_path):
    """As the kernel does where memory is short."""

    def kill(stage, fraction):
        os.kill(multiprocessing.active_children()[0].pid, signal.SIGKILL)

    with pytest.raises(TrainingError, match=r"worker.*training\.workers"):
        train("toy-patches", path, tmp_path / "r", **MANY, device="cpu", progress=kill)
    assert load_state(tmp_path / "r/state/last.pt").step == 0


def command():
    from pcsr_zoo.cli import main

    os.dup2(1, 2)  # all that it says, in order
    main(sys.argv[1:])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_says_once_that_it_was_interrupted(path, tmp_path, number):
    settings = "steps: 20000, workers: 1, batch: 2, log_every: 1"
    (tmp_path / "c.yml").write_text(f"model: toy-patches\ndata: {path}\ntraining: {{{settings}}}\n")
    with Forked(command, ["train", tmp_path / "c.yml", "-o", tmp_path / "r"]) as process:
        log = tmp_path / "r/logs/metrics.jsonl"
        deadline = time.monotonic() + 60
        while not (log.exists() and log.read_text()):  # it is in its loop
            assert time.monotonic() < deadline
            time.sleep(0.1)
        os.killpg(process.pid, number)
        out, _ = process.communicate()
        assert process.returncode == 128 + number
    lines = out.splitlines()
    assert "stopped after step" in lines[-1]
    assert sum("nterrupted" in line or "stopped" in line for line in lines) == 1
