"""Atomic writing: a file is written completely or not at all."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import platform
import re
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


_TEMPORARY = re.compile(r"\.pcsr-(?P<host>[0-9a-f]{8})-(?P<process>\d+)-[0-9a-f]{12}")


@contextlib.contextmanager
def atomic_path(path: str | PathLike[str], overwrite: bool = True) -> Iterator[Path]:
    """A temporary path with the suffix of `path`; it is renamed to `path` when the block ends without an exception.

    The data are flushed to the disk before the old file is replaced. On any exception, including Ctrl-C, the temporary
    file is removed and an older file at `path` is unchanged. Temporary files that killed processes of this machine left
    in the folder are removed.

    Args:
        path: the file to write.
        overwrite: whether an existing file may be replaced, also one that another process makes in the meantime.

    Raises:
        FileError: the folder does not exist or is not writable, the disk is full, `path` is a folder or a device, or it
            exists and `overwrite` is False.
    """
    target = Path(path)
    if target.is_dir():
        raise FileError(f"cannot write {path}: it is a folder; add a file name")
    if not target.parent.is_dir():
        raise FileError(f"cannot write {path}: the folder {target.parent} does not exist; create it first")
    if target.exists() and not target.is_file():
        raise FileError(f"cannot write {path}: it is not a regular file; choose another name")
    real = Path(os.path.realpath(target))  # the target of a symbolic link is replaced, not the link
    _remove_stale(real.parent)
    temporary = real.with_name(f".pcsr-{_host()}-{os.getpid()}-{secrets.token_hex(6)}{target.suffix}")
    try:
        yield temporary
        with open(temporary, "rb+") as handle:
            os.fsync(handle.fileno())
        if overwrite:
            if real.exists():
                shutil.copymode(real, temporary)
            os.replace(temporary, real)
        else:
            _move_to_new(temporary, real)
    except FileError:
        raise
    except FileExistsError:
        raise FileError(f"{path} exists; use --overwrite to replace it, or name another output with -o") from None
    except OSError as error:
        remedy = _REMEDIES.get(error.errno or 0, "check the path and the disk")
        cause = error.strerror or str(error) or type(error).__name__
        raise FileError(f"cannot write {path}: {cause}; {remedy}") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _move_to_new(temporary: Path, real: Path) -> None:
    """Rename a file; a FileExistsError if the other name is taken. `os.replace` would replace it."""
    try:
        os.link(temporary, real)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        os.close(os.open(real, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        os.replace(temporary, real)


def _host() -> str:
    """Eight digits that tell this machine from others that share its folders."""
    return hashlib.sha256(platform.node().encode()).hexdigest()[:8]


def _remove_stale(folder: Path) -> None:
    """Remove the temporary files of processes of this machine that do not run any more."""
    if os.name != "posix":  # elsewhere, asking whether a process runs may end it
        return
    with contextlib.suppress(OSError):
        for name in os.listdir(folder):
            found = _TEMPORARY.match(name)
            if found and found["host"] == _host() and not _runs(int(found["process"])):
                (folder / name).unlink(missing_ok=True)


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # a process of another user
        return True
    return True
