"""What every reader does first: is there such a file, and can it be opened?"""

from __future__ import annotations

import hashlib
from os import PathLike
from pathlib import Path

from ..errors import FileError


def readable_file(path: str | PathLike[str]) -> Path:
    """The path, if it is a file with at least one byte.

    Raises:
        FileError: it is missing, a folder, or empty.
    """
    path = Path(path)
    try:
        if path.is_dir():
            raise FileError(f"{path} is a folder; name a file in it")
        if not path.exists():
            raise FileError(f"{path}: no such file")
        if path.is_file() and path.stat().st_size == 0:
            raise FileError(f"{path} is empty (0 bytes)")
    except FileError:
        raise
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror or error}") from error
    return path


def read_bytes(path: str | PathLike[str]) -> bytes:
    """The whole file.

    Raises:
        FileError: it cannot be read.
    """
    path = readable_file(path)
    try:
        return path.read_bytes()
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror or error}") from error


def file_sha256(path: str | PathLike[str]) -> str:
    """The sha256 of a file, as 64 hexadecimal digits.

    Raises:
        FileError: it cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as handle:
            while block := handle.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror or error}") from error
    return digest.hexdigest()
