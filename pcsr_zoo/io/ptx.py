"""Leica's PTX: scans as grids of rows and columns, each with the pose of the scanner.

columns, rows, then the place (3) and the axes (3 x 3) of the scanner, then a matrix (4 x 4) for row vectors, and a
line x y z intensity [red green blue] for each cell, column by column. Cells without a return are at the origin.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterator
from os import PathLike
from pathlib import Path

import numpy as np

from ..cloud import COLORS, INTENSITY, Cloud
from ..errors import FileError
from .files import readable_file

_HEADER = (3, 3, 3, 3, 4, 4, 4, 4)  # numbers in the lines after columns and rows
_SHORTEST = 7  # bytes of a line "0 0 0 0"
_WIDTHS = (3, 4, 6, 7)


def read_ptx(path: str | PathLike[str]) -> Cloud:
    """Read the returns of all scans, in their common frame.

    Raises:
        FileError: a line is wrong or missing; the message names it.
    """
    path = readable_file(path)
    size = path.stat().st_size
    parts: list[Cloud] = []
    try:
        with open(path, encoding="utf-8", errors="replace") as handle:
            lines = iter(handle)
            at = 0
            while (head := _header(lines, path, at)) is not None:
                columns, rows, matrix, at = head
                cells = columns * rows
                if cells * _SHORTEST > size:
                    raise FileError(f"{path}, line {at - 9}: {columns} x {rows} points do not fit into {size:,} bytes")
                table = _table(lines, cells, path, at)
                at += cells
                parts.append(_scan(table, rows, matrix))
    except OSError as error:
        if isinstance(error, FileError):
            raise
        raise FileError(f"{path} cannot be read: {error.strerror or error}") from error
    if not parts:
        raise FileError(f"{path} has no scan: it begins with no number of columns")
    cloud = Cloud.concatenate(parts)
    if len(parts) > 1:
        cloud.attributes["scan"] = np.repeat(np.arange(len(parts), dtype=np.int32), [len(part) for part in parts])
    return cloud


def _header(lines: Iterator[str], path: Path, at: int) -> tuple[int, int, np.ndarray, int] | None:
    """The columns, the rows, the matrix (4, 4), and the number of lines so far; None at the end of the file."""
    first = ""
    for line in lines:
        at += 1
        if first := line.strip("\ufeff \t\r\n"):
            break
    if not first:
        return None
    counts = []
    try:
        counts = [int(first), int(next(lines, "").strip())]
        if min(counts) < 1:
            raise ValueError
    except ValueError:
        where = at + len(counts)
        raise FileError(f"{path}, line {where}: expected the numbers of columns and rows of a PTX scan") from None
    at += 1
    numbers = []
    for width in _HEADER:
        at += 1
        try:
            row = [float(word) for word in next(lines, "").split()]
        except ValueError:
            row = []
        if len(row) != width or not np.isfinite(row).all():
            raise FileError(f"{path}, line {at}: expected {width} numbers of the pose of a PTX scan")
        numbers.append(row)
    return counts[0], counts[1], np.array(numbers[4:]), at


def _table(lines: Iterator[str], cells: int, path: Path, at: int) -> np.ndarray:
    """The numbers (cells, C) of a scan."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of no rows
        try:
            table = np.loadtxt(itertools.islice(lines, cells), ndmin=2, comments=None)
        except ValueError as error:
            reason = str(error).split(";")[0]
            raise FileError(f"{path}: in the scan from line {at + 1} on: {reason}; correct this row") from None
    if len(table) != cells:
        raise FileError(f"{path} is truncated: the scan from line {at + 1} on has {len(table):,} of {cells:,} points")
    if table.shape[1] not in _WIDTHS:
        raise FileError(f"{path}, line {at + 1}: expected x y z intensity [red green blue]")
    return table


def _scan(table: np.ndarray, rows: int, matrix: np.ndarray) -> Cloud:
    """The cells with a return, in the common frame."""
    found = np.flatnonzero(table[:, :3].any(axis=1))
    points = table[found]
    attributes: dict[str, np.ndarray] = {}
    if points.shape[1] >= 6:
        attributes[COLORS] = np.clip(np.rint(np.nan_to_num(points[:, -3:])), 0, 255).astype(np.uint8)
    if points.shape[1] in (4, 7):
        attributes[INTENSITY] = points[:, 3]
    attributes["row"] = (found % rows).astype(np.int32)
    attributes["column"] = (found // rows).astype(np.int32)
    metadata = {"format": "PTX", "encoding": "ascii", "position_dtype": "float64"}
    return Cloud(points[:, :3] @ matrix[:3, :3] + matrix[3, :3], attributes, metadata)
