"""Compressed files (.gz) and the standard streams (-): every format has them, through a temporary file."""

from __future__ import annotations

import contextlib
import gzip
import logging
import sys
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast

from ..errors import FileError, PcsrError
from .atomic import atomic_path
from .files import readable_file
from .formats import GZ, split_name
from .limits import check_expansion

_BLOCK = 1 << 20
_STARTS = (
    (b"ply\n", ".ply"),
    (b"ply\r", ".ply"),
    (b"# .PCD", ".pcd"),
    (b"VERSION", ".pcd"),
    (b"\x93NUMPY", ".npy"),
    (b"PK\x03\x04", ".npz"),
    (b"ASTM-E57", ".e57"),
    (b"glTF", ".glb"),
    (b"OFF", ".off"),
)
_log = logging.getLogger("pcsr_zoo")


def is_stream(path: Path) -> bool:
    """Whether a path is `-`, or `-` and a suffix that names the format: standard input or output."""
    return path.parent == Path() and split_name(path)[0] == "-"


@contextlib.contextmanager
def plain_source(path: Path) -> Iterator[Path]:
    """The file to read: `path`, or a temporary file with what is compressed there or comes from standard input.

    Errors and warnings about the temporary file are about `path`.

    Raises:
        FileError: the compressed file is broken, or standard input has no bytes.
    """
    stem, suffix = split_name(path)
    stream = is_stream(path)
    if not stream and not suffix.lower().endswith(GZ):
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="pcsr-") as folder:
        if stream:
            stem, file = "stdin", Path(folder, "stdin")
            _copy(sys.stdin.buffer, file)
            if not file.stat().st_size:
                raise FileError("standard input is empty (0 bytes)")
            if file.read_bytes()[:2] == b"\x1f\x8b":
                _expand(file, Path(folder, "expanded"), "standard input")
                file = Path(folder, "expanded")
            suffix = suffix[: -len(GZ)] if suffix.lower().endswith(GZ) else suffix
            file = file.rename(Path(folder, stem + (suffix or _suffix_of(file))))
        else:
            file = Path(folder, path.name[: -len(GZ)])
            _expand(readable_file(path), file, str(path))
        with _named(file, "standard input" if stream else str(path)):
            yield file


@contextlib.contextmanager
def plain_target(path: Path, overwrite: bool) -> Iterator[Path]:
    """The file to write: `path`, or a temporary file, which is then compressed or written to standard output."""
    suffix = split_name(path)[1]
    stream = is_stream(path)
    if not stream and not suffix.lower().endswith(GZ):
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="pcsr-") as folder:
        name = "stdout" + suffix if stream else path.name
        file = Path(folder, name[: -len(GZ)] if name.lower().endswith(GZ) else name)
        with _named(file, "standard output" if stream else str(path)):
            yield file
        with open(file, "rb") as plain:
            if not stream:
                with atomic_path(path, overwrite) as temporary, open(temporary, "wb") as handle:
                    _compress(plain, handle)
            elif suffix.lower().endswith(GZ):
                _compress(plain, sys.stdout.buffer)
            else:
                _pour(plain, sys.stdout.buffer)
    if stream:
        sys.stdout.buffer.flush()


def _compress(source: IO[bytes], target: IO[bytes]) -> None:
    with gzip.GzipFile("", "wb", 6, target, mtime=0) as handle:  # the same cloud gives the same bytes
        _pour(source, cast(IO[bytes], handle))


def _pour(source: IO[bytes], target: IO[bytes]) -> None:
    while block := source.read(_BLOCK):
        target.write(block)


def _copy(source: IO[bytes], file: Path) -> None:
    with open(file, "wb") as handle:
        _pour(source, handle)


def _expand(source: Path, file: Path, shown: str) -> None:
    """Decompress a file, but not to more than a real file of its size expands to."""
    size, total = source.stat().st_size, 0
    try:
        with gzip.open(source, "rb") as plain, open(file, "wb") as handle:
            while block := plain.read(_BLOCK):
                total += len(block)
                check_expansion(Path(shown), total, size, "its content")
                handle.write(block)
    except FileError:
        raise
    except (OSError, EOFError, zlib.error) as error:
        raise FileError(f"{shown} is not a gzip file, or is truncated: {error}") from None
    if not total:
        raise FileError(f"{shown} is empty (0 bytes, compressed)")


def _suffix_of(file: Path) -> str:
    """The suffix for bytes without a name."""
    with open(file, "rb") as handle:
        head = handle.read(4096)
    if head.startswith(b"LASF"):
        return ".laz" if len(head) > 104 and head[104] & 0x80 else ".las"
    text = head.decode("utf-8", "ignore")
    if text.lstrip().startswith("# .PCD") or ("\nFIELDS " in text and "\nDATA " in text):
        return ".pcd"
    return next((suffix for start, suffix in _STARTS if head.startswith(start)), ".txt")


@contextlib.contextmanager
def _named(file: Path, shown: str) -> Iterator[None]:
    """Errors and warnings about a temporary file, with another name."""

    def rename(record: logging.LogRecord) -> bool:
        record.msg, record.args = record.getMessage().replace(str(file), shown), ()
        return True

    _log.addFilter(rename)
    try:
        yield
    except PcsrError as error:
        raise type(error)(str(error).replace(str(file), shown)) from error
    finally:
        _log.removeFilter(rename)
