"""Decompression of LAZ in a child process.

lazrs, the only maintained reader with wheels, ends the process where a broken file makes it allocate too much memory,
and prints a backtrace where it panics. A child process bounds its memory and its time, and keeps its messages.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from ..errors import FileError
from .limits import check_expansion

_SECONDS, _SECONDS_PER_BYTE = 10.0, 1e-6  # it takes 1e-7 s a byte on one core
_CHILD = """
import sys
path, site, offset, points, row, compression, memory = sys.argv[1:]
sys.path[:0] = site.split(chr(0x1f))
try:
    import resource
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_DATA, (int(memory), int(memory)))
except (ImportError, OSError, ValueError):
    pass
import lazrs
record = bytes.fromhex(compression)
out = bytearray(int(points) * int(row))
if lazrs.LazVlr(record).item_size() != int(row):
    sys.exit("its compression record is for points of another size")
with open(path, "rb") as source:
    source.seek(int(offset))
    lazrs.ParLasZipDecompressor(source, record).decompress_many(out)
sys.stdout.buffer.write(out)
"""


def decompress(path: Path, offset: int, points: int, row: int, record: bytes) -> bytes:
    """The point records of a LAZ file, `points` of `row` bytes each.

    Args:
        path: the file.
        offset: the first byte of the compressed points.
        points, row: number and size of the records, from the header.
        record: the data of the variable length record that describes the compression.

    Raises:
        FileError: they are broken.
    """
    if not points:
        return b""
    size = path.stat().st_size
    check_expansion(path, points * row, size, f"{points:,} points of {row} bytes")
    memory = 3 * points * row + 4 * size + (1 << 29)
    words = [str(path), chr(0x1F).join(sys.path), offset, points, row, record.hex(), memory]
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", _CHILD, *map(str, words)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env={**os.environ, "RUST_BACKTRACE": "0"},
            timeout=_SECONDS + _SECONDS_PER_BYTE * (points * row + size),
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise FileError(f"{path} is broken: its points cannot be decompressed in reasonable time") from None
    except OSError as error:
        raise FileError(f"{path} cannot be decompressed: {error.strerror or error}") from error
    if done.returncode or len(done.stdout) != points * row:
        said = done.stderr.decode("utf-8", "replace").splitlines()
        marks = ("Error: ", "Exception: ", "memory allocation", "its ")
        reason = next((line for line in reversed(said) if any(mark in line for mark in marks)), "")
        reason = re.sub(r"^\S*(Error|Exception): ", "", reason) or f"the decoder ended with status {done.returncode}"
        raise FileError(f"{path} is truncated, or its compressed points are broken: {reason[:200]}")
    return done.stdout
