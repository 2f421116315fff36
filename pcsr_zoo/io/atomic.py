"""Atomic writing: a file is written completely or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from os import PathLike
from pathlib import Path

from ..errors import FileError

_REMEDIES = {
    errno.ENOSPC: "free some space or write to another disk",
    errno.EACCES: "check the permissions, or write to another folder",
    errno.EPERM: "check the permissions, or write to another folder",
    errno.EROFS: "write to another folder",
    errno.ENAMETOOLONG: "choose a shorter name",
}
if hasattr(errno, "EDQUOT"):  # not on Windows
    _REMEDIES[errno.EDQUOT] = "free some space or write to another disk"


@contextlib.contextmanager
def atomic_path(path: str | PathLike[str]) -> Iterator[Path]:
    """A temporary path with the suffix of `path`; it is renamed to `path` when the block ends without an exception.

    The data are flushed to the disk before the old file is replaced. On any exception, including Ctrl-C, the temporary
    file is removed and an older file at `path` is unchanged.

    Raises:
        FileError: the folder does not exist or is not writable, the disk is full, or `path` is a folder or a device.
    """
    target = Path(path)
    if target.is_dir():
        raise FileError(f"cannot write {path}: it is a folder; add a file name")
    if not target.parent.is_dir():
        raise FileError(f"cannot write {path}: the folder {target.parent} does not exist; create it first")
    if target.exists() and not target.is_file():
        raise FileError(f"cannot write {path}: it is not a regular file; choose another name")
    real = Path(os.path.realpath(target))  # the target of a symbolic link is replaced, not the link
    temporary = real.with_name(f".pcsr-{secrets.token_hex(6)}{target.suffix}")
    try:
        yield temporary
        with open(temporary, "rb+") as handle:
            os.fsync(handle.fileno())
        if real.exists():
            shutil.copymode(real, temporary)
        os.replace(temporary, real)
    except FileError:
        raise
    except OSError as error:
        remedy = _REMEDIES.get(error.errno or 0, "check the path and the disk")
        cause = error.strerror or str(error) or type(error).__name__
        raise FileError(f"cannot write {path}: {cause}; {remedy}") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
