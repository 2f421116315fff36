"""Two trainings in one folder: the second is refused, whatever became of the first it is never refused for long."""

from __future__ import annotations

import errno
import logging
import os
import signal

import pytest
from forked import posix
from resuming import LONG, start, wait_for_step
from toy_training import one_thread, write_toy_data  # noqa: F401

from pcsr_zoo.errors import FileError, TrainingError
from pcsr_zoo.training import lock, train
from pcsr_zoo.training.lock import NAME, FolderLock
from pcsr_zoo.training.state import load_state


@posix
def test_a_second_training_is_refused_until_the_first_has_ended_or_was_killed(tmp_path):
    path = write_toy_data(tmp_path / "toy.npz")
    settings = {**LONG["settings"], "steps": 100_000, "save_every": 9, "workers": 2}
    with start(path, tmp_path / "r", settings=settings) as process:
        wait_for_step(process, 10)
        for restart in (False, True):
            with pytest.raises(TrainingError, match=f"r: another training is writing .*process {process.pid} on .*-o"):
                train("toy-patches", path, tmp_path / "r", settings=settings, restart=restart)
        wait_for_step(process, load_state(tmp_path / "r/state/last.pt").step + 3)  # it was not disturbed
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert (tmp_path / "r" / NAME).exists()
        # its workers live for another second, and do not hold the folder
        other = {**settings, "steps": 2, "workers": 0}
        assert train("toy-patches", path, tmp_path / "r", settings=other, restart=True).steps == 2
    assert not (tmp_path / "r" / NAME).exists()


def test_one_process_locks_once_and_takes_empty_folders_away(tmp_path):
    first = FolderLock(tmp_path / "a/b")
    with pytest.raises(TrainingError, match=f"another training is writing to this folder .process {os.getpid()}"):
        FolderLock(tmp_path / "a" / ".." / "a/b")
    FolderLock(tmp_path / "c").release()
    first.release()
    first.release()
    assert [entry.name for entry in tmp_path.iterdir()] == ["a"]
    second = FolderLock(tmp_path / "d")
    (tmp_path / "d/mine").touch()
    second.release()
    assert [entry.name for entry in (tmp_path / "d").iterdir()] == ["mine"]


def test_a_file_that_was_left_says_nothing(tmp_path):
    (tmp_path / NAME).write_text(f"process {os.getppid()} on a machine that has lost its power, long ago\n" * 3)
    held = FolderLock(tmp_path)
    assert (tmp_path / NAME).read_text().startswith(f"process {os.getpid()} on ")
    assert len((tmp_path / NAME).read_text().splitlines()) == 1
    held.release()


def test_a_lock_on_a_file_that_was_just_removed_is_no_lock(tmp_path, monkeypatch):
    """The former holder removes its file between our opening and locking it."""
    real, calls = lock._lock_file, []

    def late(file):
        if not calls:
            (tmp_path / NAME).unlink()
        calls.append(file)
        real(file)

    monkeypatch.setattr(lock, "_lock_file", late)
    held = FolderLock(tmp_path)
    assert len(calls) == 2
    assert (tmp_path / NAME).exists()
    held.release()
    assert not (tmp_path / NAME).exists()


def test_without_locks_in_the_file_system_it_warns(tmp_path, monkeypatch, caplog):
    def none(file):
        raise OSError(errno.ENOLCK, "no locks available")

    monkeypatch.setattr(lock, "_lock_file", none)
    with caplog.at_level(logging.WARNING, "pcsr_zoo"):
        FolderLock(tmp_path / "r").release()
    assert "cannot be locked (no locks available)" in caplog.text
    assert not (tmp_path / "r").exists()


def test_folders_that_cannot_be(tmp_path):
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file/r"):
        with pytest.raises(FileError, match=r"this folder cannot be made .*name another"):
            FolderLock(folder)
    (tmp_path / "r" / NAME).mkdir(parents=True)
    with pytest.raises(FileError, match="is not writable"):
        FolderLock(tmp_path / "r")
