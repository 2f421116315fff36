"""One training at a time in a folder: a file that its process holds locked.

The operating system holds the lock, whether the file is there or not, so it ends with the process, even by SIGKILL or a
power cut: nothing is ever stale, and no process number that somebody else has by now is taken for the former's.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import socket
import sys
from pathlib import Path

from ..errors import FileError, TrainingError

NAME = "training.lock"
_ATTEMPTS = 10
_HELD_BY_OTHERS = {errno.EACCES, errno.EAGAIN, errno.EDEADLK}
_FAR = 1 << 20  # Windows lets nobody read what is locked, so a byte is locked beyond all that is written
_held: set[str] = set()  # by this process, which the operating system would let have a lock twice

_log = logging.getLogger("pcsr_zoo")


class FolderLock:
    """The right to write to a folder, until `release`.

    Processes that are forked meanwhile do not inherit it. Where the file system knows no locks there is but a warning.

    Args:
        folder: made if need be; `release` takes it away again if nothing was written to it.

    Raises:
        TrainingError: another process, or this one, writes to the folder already.
        FileError: the folder cannot be made or written to.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._path, self._key = folder, folder / NAME, os.path.realpath(folder)
        if self._key in _held:
            raise self._refusal(f"process {os.getpid()}")
        self._made = not folder.exists()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file: int | None = self._lock()
        except OSError as error:
            self._remove_made()
            what = "is not writable" if folder.is_dir() else "cannot be made"
            raise FileError(f"{folder}: this folder {what} ({error.strerror or error}); name another") from None
        _held.add(self._key)

    def release(self) -> None:
        """Let others have the folder; one that was made for nothing is removed."""
        if self._file is None:
            return
        if sys.platform == "win32":  # where no open file can be removed; it stays if somebody else has it by then
            os.close(self._file)
            self._unlink()
        else:  # while it is locked: who opens it before, will see that it was removed
            self._unlink()
            os.close(self._file)
        self._file = None
        _held.discard(self._key)
        self._remove_made()

    def _lock(self) -> int:
        for _ in range(_ATTEMPTS):
            file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
            try:
                _lock_file(file)
            except OSError as error:
                if error.errno in _HELD_BY_OTHERS:
                    os.lseek(file, 0, os.SEEK_SET)
                    holder = os.read(file, 200).decode("utf-8", "replace").strip()
                    os.close(file)
                    raise self._refusal(holder) from None
                _log.warning("%s cannot be locked (%s): start no other training there", self._path, error.strerror)
                return file
            if self._is_there(file):
                with contextlib.suppress(OSError):  # a disk that is full; it is only for the message
                    os.ftruncate(file, 0)
                    os.lseek(file, 0, os.SEEK_SET)
                    os.write(file, f"process {os.getpid()} on {socket.gethostname()}\n".encode())
                return file
            os.close(file)
        raise self._refusal("")

    def _is_there(self, file: int) -> bool:
        """Whether an open file is the one in the folder, and not one that was just removed."""
        try:
            return os.path.samestat(os.fstat(file), os.stat(self._path))
        except OSError:
            return False

    def _refusal(self, holder: str) -> TrainingError:
        by = f" ({holder})" if holder else ""
        return TrainingError(
            f"{self._folder}: another training is writing to this folder{by}; wait for its end, or name another folder "
            "with -o"
        )

    def _unlink(self) -> None:
        with contextlib.suppress(OSError):
            self._path.unlink()

    def _remove_made(self) -> None:
        if self._made:
            with contextlib.suppress(OSError):  # it is not empty, or not there
                self._folder.rmdir()


if sys.platform == "win32":
    import msvcrt

    def _lock_file(file: int) -> None:
        os.lseek(file, _FAR, os.SEEK_SET)
        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock_file(file: int) -> None:
        # Not `flock`: forked workers would inherit it, and hold it for a moment when their training was killed.
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, _FAR)
