"""Reading files as bytes, with clear errors."""

from __future__ import annotations

import hashlib
from os import PathLike
from pathlib import Path

from ..errors import FileError


def readable_file(path: str | PathLike[str]) -> Path:
    """Return the path if it is a regular file with at least one byte.

    Raises:
        FileError: it does not exist, is a folder, a pipe or a device, or is empty.
    """
    path = Path(path)
    try:
        if path.is_dir():
            raise FileError(f"{path} is a folder; name a file in it")
        if not path.exists():
            raise FileError(f"{path}: no such file")
        if not path.is_file():  # reading a pipe or a device may never end
            raise FileError(f"{path} is a pipe or a device; copy its content to a file first")
        if path.stat().st_size == 0:
            raise FileError(f"{path} is empty (0 bytes)")
    except FileError:
        raise
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror or error}") from error
    return path


def read_bytes(path: str | PathLike[str]) -> bytes:
    """Read the whole file.

    Raises:
        FileError: the file cannot be read.
    """
    path = readable_file(path)
    try:
        return path.read_bytes()
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror or error}") from error


def file_sha256(path: str | PathLike[str]) -> str:
    """The sha256 of a file, as 64 hexadecimal digits.

    Raises:
        FileError: the file cannot be read.
    """
    digest = hashlib.sha256()
    readable_file(path)
    try:
        with open(path, "rb") as handle:
            while block := handle.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror or error}") from error
    return digest.hexdigest()
