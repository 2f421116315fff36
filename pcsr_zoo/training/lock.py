"""A lock file that allows one training at a time in a folder.

The operating system releases the lock when the process ends, even by SIGKILL or a power cut, so there are no stale
locks.
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
_FAR = 1 << 20  # on Windows locked bytes cannot be read, so the locked byte is beyond the text
_held: set[str] = set()  # locks of this process, which the operating system would grant twice

_log = logging.getLogger("pcsr_zoo")


class FolderLock:
    """An exclusive lock on a folder, until `release`.

    Forked processes do not inherit it. If the file system does not support locks, there is only a warning.

    Args:
        folder: the folder; it is made if it does not exist, and removed by `release` if it is empty.

    Raises:
        TrainingError: another process, or this one, has locked the folder.
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
        """Release the lock; remove the folder if the lock made it and it is empty."""
        if self._file is None:
            return
        if sys.platform == "win32":  # open files cannot be removed; another process may have it by now
            os.close(self._file)
            self._unlink()
        else:  # while it is locked, so that others notice the removal
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
                _log.warning("%s cannot be locked (%s); start no other training there", self._path, error.strerror)
                return file
            if self._is_there(file):
                with contextlib.suppress(OSError):  # the text is only for messages
                    os.ftruncate(file, 0)
                    os.lseek(file, 0, os.SEEK_SET)
                    os.write(file, f"process {os.getpid()} on {socket.gethostname()}\n".encode())
                return file
            os.close(file)
        raise self._refusal("")

    def _is_there(self, file: int) -> bool:
        """Whether an open file is still the one in the folder."""
        try:
            return os.path.samestat(os.fstat(file), os.stat(self._path))
        except OSError:
            return False

    def _refusal(self, holder: str) -> TrainingError:
        by = f" ({holder})" if holder else ""
        return TrainingError(
            f"{self._folder}: another training is writing to this folder{by}; wait until it ends, or give another "
            "folder with -o"
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
        # Not `flock`: forked workers would inherit it, and keep it for a moment after their training was killed.
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, _FAR)
