"""Text files: .xyz .xyzn .xyzrgb .pts .txt .asc .csv, with one point per line."""

from __future__ import annotations

import codecs
import logging
import re
from collections.abc import Iterator
from os import PathLike
from pathlib import Path

import numpy as np

from ..cloud import INTENSITY, Cloud
from ..errors import CloudError, FileError
from .atomic import atomic_path
from .columns import (
    LONGITUDES,
    Columns,
    axes_among,
    cloud_from_columns,
    columns_from_cloud,
    float32_is_enough,
    free_name,
    is_number,
)
from .files import read_bytes
from .layout import COLORS, NORMALS, guess_names, parse_columns
from .table import parse_rows

_log = logging.getLogger("pcsr_zoo")

_COMMENTS = ("#", "//")
_ROWS_AT_A_TIME = 100_000
_BYTE_ORDERS = ((codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"), (codecs.BOM_UTF8, "utf-8-sig"))
_COUNT = re.compile(r"\s*\d{1,18}\s*")
_DECIMAL_COMMA = re.compile(r"[-+]?\d*,\d+(?:[eE][-+]?\d+)?")
_GRID = re.compile(r"\s*(ncols|nrows|xllcorner|yllcorner|xllcenter|yllcenter)\b", re.IGNORECASE)
_COLMAP = ["POINT3D_ID", "x", "y", "z", "red", "green", "blue", "ERROR"]  # and tracks of any length


def read_text(path: str | PathLike[str], columns: str | None = None) -> Cloud:
    """Read rows of numbers, separated by white space, commas or semicolons. Comment lines begin with # or //.

    Column names come from a header line, which may be a comment, or are guessed, see `layout.guess_names`; a warning
    in the log then says what was assumed, unless the suffix says it. A first line with a single number is the number of
    points; .pts files may have several such blocks. Columns of words are left out, with a warning. COLMAP's
    points3D.txt is read without its tracks.

    Args:
        path: the file.
        columns: names of the columns, separated by commas, instead; those named _ are left out.

    Raises:
        FileError: a line is wrong; the message names it.
        OptionError: `columns` is invalid.
    """
    path = Path(path)
    given = None if columns is None else parse_columns(columns)
    lines = re.split(r"\r\n|\n|\r", _decode(read_bytes(path), path))
    comments, lines = _strip_comments(lines)
    colmap = any("POINT3D_ID" in comment for comment in comments)
    if colmap:
        lines = [" ".join(line.split()[: len(_COLMAP)]) for line in lines]
    first = _first(lines)
    if first < len(lines) and _GRID.match(lines[first]):
        raise FileError(f"{path} is an ESRI ASCII grid of heights, not a list of points; convert it with GDAL, to .xyz")
    count = _take_counts(lines, first, path.suffix.lower())
    first = _first(lines)
    header, place = None, 0
    if first < len(lines) and not any(_is_value(word) for word in _split(lines[first])):
        header, place, lines[first] = lines[first], first + 1, ""
        first = _first(lines)
    delimiter, text = _delimiter(lines[first]) if first < len(lines) else None, "\n".join(lines)
    if _has_decimal_commas(lines[first] if first < len(lines) else "", delimiter, text):
        text = text.replace(",", ".")
    known = given or (_COLMAP if colmap else None) or (None if header is None else _names_in(header))
    axes = None if known is None else axes_among(known)
    needed = range(3) if known is None or axes is None else [known.index(axis) for axis in axes]
    table, words = parse_rows(text, path, delimiter, needed=needed)
    if count is not None and count != len(table):
        raise FileError(
            f"{path} has {len(table)} points, but its first line says {count}; it is truncated or the count is wrong"
        )
    metadata = {"format": path.suffix[1:].upper(), "encoding": "ascii"}
    if not table.size:
        if header is not None and axes_among(_names_in(header)) is None:
            raise FileError(f"{path}, line {place}: expected at least three numbers, x, y and z, found '{header[:60]}'")
        return Cloud(np.empty((0, 3)), metadata=metadata)
    if table.shape[1] < 3:
        raise FileError(f"{path} has {table.shape[1]} columns; at least three, x, y and z, are required")
    if header is None:
        header = next((c for c in reversed(comments) if _names_columns(c, table.shape[1])), None)
    names = given or (_COLMAP if colmap else None) or _names(table, header, path)
    if len(names) != table.shape[1]:
        raise FileError(f"{path}: there are {len(names)} names of columns, but the rows have {table.shape[1]} columns")
    if words:
        _log.warning("%s: %s has words and is left out", path, " and ".join(f"column {i + 1}" for i in words))
    named: Columns = {}
    for i, (name, values) in enumerate(zip(names, table.T, strict=True)):
        if i not in words and not (name == "_" and given):
            named[free_name(name, named)] = _as_stored(name, values, path.suffix.lower())
    if any(name.lower() in LONGITUDES for name in axes_among(list(named)) or ()):
        metadata["degrees"] = "longitude and latitude"
    try:
        return cloud_from_columns(named, metadata)
    except CloudError as error:
        raise FileError(f"{path}: {error}") from None


def _decode(data: bytes, path: Path) -> str:
    encoding = next((name for mark, name in _BYTE_ORDERS if data.startswith(mark)), "utf-8")
    if encoding == "utf-8" and b"\0" in data[:1024]:
        raise FileError(f"{path} is not a text file: it has zero bytes")
    return data.decode(encoding, "replace")


def _first(lines: list[str]) -> int:
    """The index of the first line that is not blank."""
    return next((i for i, line in enumerate(lines) if line.strip()), len(lines))


def _take_counts(lines: list[str], first: int, suffix: str) -> int | None:
    """The number of points that the file says, and make these lines blank; None if it says none."""
    at, total, said = first, 0, False
    while at < len(lines) and _COUNT.fullmatch(lines[at]):
        count, said = int(lines[at]), True
        lines[at] = ""
        total += count
        if suffix != ".pts":
            break
        while at < len(lines) and (count > 0 or not lines[at].strip()):
            count -= bool(lines[at].strip())
            at += 1
    return total if said else None


def _is_value(word: str) -> bool:
    return is_number(word.strip("\"'")) or _DECIMAL_COMMA.fullmatch(word) is not None


def _has_decimal_commas(line: str, delimiter: str | None, text: str) -> bool:
    if delimiter == ";":
        return "," in text
    return delimiter is None and "," in line


def _strip_comments(lines: list[str]) -> tuple[list[str], list[str]]:
    """The comments before the data, without their marks, and the lines with comments made blank."""
    comments = []
    data_seen = False
    for i, line in enumerate(lines):
        stripped = line.lstrip()
        if not stripped.startswith(_COMMENTS):
            data_seen = data_seen or bool(stripped)
            continue
        if not data_seen:
            comments.append(stripped.lstrip("#/ "))
        lines[i] = ""
    return comments, lines


def _delimiter(line: str) -> str | None:
    if ";" in line:
        return ";"
    words = line.split()
    decimal = len(words) > 2 and all(map(_is_value, words))
    return "," if "," in line and not decimal else None


def _split(line: str) -> list[str]:
    return [word.strip() for word in line.strip().split(_delimiter(line))]


def _clean_name(word: str) -> str:
    """A column name without quotes, units or comment signs: '"X [m]"' -> 'X'."""
    return re.sub(r"[\(\[].*?[\)\]]", "", word.strip().strip("\"'")).strip(" #/")


def _names_in(header: str) -> list[str]:
    names = [_clean_name(word) for word in _split(header)]
    return names[:-1] if len(names) > 1 and not names[-1] else names


def _names_columns(comment: str, width: int) -> bool:
    """Whether a comment has the names of so many columns."""
    names = _names_in(comment)
    return axes_among(names) is not None and len(names) == width


def _names(table: np.ndarray, header: str | None, path: Path) -> list[str]:
    """The names in the header, or guessed ones."""
    if header is not None:
        names = _names_in(header)
        if len(names) != table.shape[1]:
            raise FileError(f"{path}: the header names {len(names)} columns, but the rows have {table.shape[1]}")
        return [INTENSITY if name.lower() == "i" else name for name in names]
    suffix = path.suffix.lower()
    extra = guess_names(table[:, 3:], suffix)
    known = {".xyzrgb": [*COLORS], ".xyz": [*NORMALS], ".xyzn": [*NORMALS]}.get(suffix)
    if extra and extra != known and suffix != ".pts":
        _log.warning(
            "%s does not name its columns; those after x, y, z are read as %s (--columns x,y,z,... sets the names)",
            *(path, ", ".join(extra)),
        )
    return ["x", "y", "z", *extra]


def _as_stored(name: str, values: np.ndarray, suffix: str) -> np.ndarray:
    """Colors of .pts files as bytes, also where all of them are 0 or 1."""
    if suffix == ".pts" and name in COLORS and np.array_equal(values, np.rint(values)) and values.min() >= 0:
        return values.astype(np.uint8 if values.max() <= 255 else np.uint16) if values.max() <= 65535 else values
    return values


def write_text(cloud: Cloud, path: str | PathLike[str], overwrite: bool = True) -> None:
    """Write a text file, with enough digits that positions are read back exactly.

    .csv has a header and all attributes. .txt and .asc have all attributes, and a comment line with the column names if
    there are any. .xyz has normals if the cloud has any. .xyzn has normals, .xyzrgb has colors in
    [0, 1]. .pts has the number of points in the first line, then x y z [intensity] [r g b]. Other attributes are left
    out.

    Raises:
        FileError: the file cannot be written; or the cloud has no normals for .xyzn, or no colors for .xyzrgb.
    """
    path = Path(path)
    try:
        header, columns = _layout(cloud, path.suffix.lower())
    except CloudError as error:
        raise FileError(f"cannot write {path}: {error}") from None
    if cloud.metadata.get("position_dtype") == "float32" and float32_is_enough(cloud.positions):
        columns.update({axis: columns[axis].astype(np.float32) for axis in ("x", "y", "z")})
    separator = "," if path.suffix.lower() == ".csv" else " "
    with atomic_path(path, overwrite) as temporary, open(temporary, "w", encoding="utf-8", newline="\n") as handle:
        handle.write(header)
        for start in range(0, len(cloud), _ROWS_AT_A_TIME):
            words = [_format(values[start : start + _ROWS_AT_A_TIME]) for values in columns.values()]
            handle.write("\n".join(map(separator.join, zip(*words, strict=True))) + "\n")


def _layout(cloud: Cloud, suffix: str) -> tuple[str, Columns]:
    """The first line of the file, or "", and the columns in order."""
    columns = columns_from_cloud(cloud)
    names: tuple[str, ...] = ("x", "y", "z")
    has_normals = all(name in columns for name in NORMALS)
    as_float = cloud.colors_as_float()
    header = ""
    if suffix == ".csv":
        return ",".join(columns) + "\n", columns
    if suffix in (".txt", ".asc"):
        if len(columns) > 3:
            header = "# " + " ".join(columns) + "\n"
        return header, columns
    if suffix == ".pts":
        header = f"{len(cloud)}\n"
        names += ((INTENSITY,) if INTENSITY in columns else ()) + (() if as_float is None else COLORS)
    elif suffix == ".xyzrgb":
        if as_float is None:
            raise CloudError("the cloud has no colors; write .xyz instead")
        columns.update(zip(COLORS, as_float.T, strict=True))
        names += COLORS
    elif suffix == ".xyzn" or has_normals:
        if not has_normals:
            raise CloudError("the cloud has no normals; write .xyz instead")
        names += NORMALS
    return header, {name: columns[name] for name in names}


def _format(values: np.ndarray) -> Iterator[str]:
    """The shortest text that is read back as the same number."""
    if values.dtype.kind in "iu":
        return map(str, values.tolist())
    if values.dtype.itemsize <= 4:
        return map("%.9g".__mod__, values.tolist())
    return map(repr, values.tolist())
