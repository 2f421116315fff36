"""The header of a PCD file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import FileError
from .columns import free_name
from .limits import check_columns

_TYPES = {
    **{("F", 4): "<f4", ("F", 8): "<f8"},
    **{("I", size): f"<i{size}" for size in (1, 2, 4, 8)},
    **{("U", size): f"<u{size}" for size in (1, 2, 4, 8)},
}
_WIDEST = 1 << 16  # bytes of a number, and numbers of a field
_MAX_HEADER = 1 << 20


@dataclass
class Header:
    row: np.dtype  # a structured type; fields of kind V are padding
    width: int
    height: int
    points: int
    viewpoint: list[float]
    encoding: str
    size: int  # bytes up to the first byte of the body
    lines: int
    comments: list[str]


def parse_header(data: bytes, path: Path) -> Header:
    """Parse the header at the start of `data`.

    Raises:
        FileError: a line is wrong or missing; the message names it.
    """
    said: dict[str, list[str]] = {}
    comments: list[str] = []
    at = number = 0
    while "DATA" not in said:
        end = data.find(b"\n", at, _MAX_HEADER)
        if end < 0:
            what = "its header does not end with a line 'DATA'" if said else "it has no header"
            raise FileError(f"{path} is not a PCD file: {what}")
        line = data[at:end].decode("utf-8", "replace").strip()
        at, number = end + 1, number + 1
        if line.startswith("#"):
            comments.append(line[1:].strip())
        words = line.split("#", 1)[0].split()
        if words:
            known = ("VERSION", "FIELDS", "COLUMNS", "SIZE", "TYPE", "COUNT", "WIDTH", "HEIGHT")
            words[0] = words[0].upper()
            if words[0] not in (*known, "VIEWPOINT", "POINTS", "DATA"):
                raise FileError(f"{path}, line {number}: not a PCD header line: '{line[:60]}'")
            said[words[0]] = words[1:]
    try:
        check_columns(path, len(said.get("FIELDS", said.get("COLUMNS", []))))
        return _build(said, at, number, comments)
    except KeyError as error:
        raise FileError(f"{path}: the PCD header has no valid line {error.args[0]}") from None
    except (ValueError, IndexError) as error:
        raise FileError(f"{path}: the PCD header is broken: {error}") from None


def _build(said: dict[str, list[str]], size: int, lines: int, comments: list[str]) -> Header:
    fields = said["FIELDS"] if "FIELDS" in said else said["COLUMNS"]
    sizes = [int(word) for word in said["SIZE"]]
    counts = [int(word) for word in said.get("COUNT", ["1"] * len(fields))]
    types = [word.upper() for word in said["TYPE"]]
    if not len(fields) == len(sizes) == len(counts) == len(types):
        raise ValueError("FIELDS, SIZE, TYPE and COUNT have different lengths")
    row: dict[str, tuple] = {}
    for i, (name, kind, width, count) in enumerate(zip(fields, types, sizes, counts, strict=True)):
        if not (0 < width <= _WIDEST and 0 < count <= _WIDEST):
            raise ValueError(f"field '{name}' has the size {width} and the count {count}")
        name = name.lower() if name.lower() in ("x", "y", "z") else name
        if name == "_":
            row[f"_{i} "] = (f"V{width}", (count,))  # padding; field names do not end with a space
            continue
        if (kind, width) not in _TYPES:
            raise ValueError(f"field '{name}' has the unknown type {kind} {width}")
        row[free_name(name, row)] = (_TYPES[kind, width],) if count == 1 else (_TYPES[kind, width], (count,))
    if not all(axis in row and len(row[axis]) == 1 for axis in ("x", "y", "z")):
        raise ValueError(f"it has no fields x, y and z; found: {' '.join(fields)}")
    width, height = int(said["WIDTH"][0]), int(said.get("HEIGHT", ["1"])[0])
    points = int(said["POINTS"][0]) if "POINTS" in said else width * height
    if min(width, height, points) < 0 or width * height != points:
        raise ValueError(f"WIDTH {width} x HEIGHT {height} is not POINTS {points}")
    viewpoint = [float(word) for word in said.get("VIEWPOINT", ["0", "0", "0", "1", "0", "0", "0"])]
    encoding = said["DATA"][0].lower()
    if encoding not in ("ascii", "binary", "binary_compressed"):
        raise ValueError(f"unknown DATA {encoding}")
    dtype = np.dtype([(name, *spec) for name, spec in row.items()])
    return Header(dtype, width, height, points, viewpoint, encoding, size, lines, comments)
