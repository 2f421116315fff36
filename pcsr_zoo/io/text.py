"""Text files: .xyz .xyzn .xyzrgb .pts .txt .asc .csv, with one point per line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from os import PathLike
from pathlib import Path

import numpy as np

from ..cloud import INTENSITY, LABELS, Cloud
from ..errors import CloudError, FileError
from .atomic import atomic_path
from .columns import Columns, cloud_from_columns, columns_from_cloud, float32_is_enough, free_name
from .files import read_bytes
from .table import is_number, parse_table

_COMMENTS = ("#", "//")
_ROWS_AT_A_TIME = 100_000


def read_text(path: str | PathLike[str]) -> Cloud:
    """Read rows of numbers, separated by white space, commas or semicolons. Comment lines begin with # or //.

    Column names come from a header line, which may be a comment. Without a header, 3 columns are x, y, z. A fourth is
    intensity. Three more columns are normals if they have unit length, else colors if their values are in the range of
    colors. Four more columns are intensity and colors, or normals and a label. Other columns become `features` (N, C).
    A first line with a single number is the number of points.

    Raises:
        FileError: a line is wrong; the message names it.
    """
    path = Path(path)
    lines = read_bytes(path).decode("utf-8-sig", "replace").splitlines()
    header, lines = _strip_comments(lines)
    first = next((i for i, line in enumerate(lines) if line.strip()), len(lines))
    count = None
    if first < len(lines) and re.fullmatch(r"\s*\d+\s*", lines[first]):
        count, lines[first] = int(lines[first]), ""
        first = next((i for i, line in enumerate(lines) if line.strip()), len(lines))
    if first < len(lines) and not any(is_number(word) for word in _split(lines[first])):
        header, lines[first] = lines[first], ""
        first = next((i for i, line in enumerate(lines) if line.strip()), len(lines))
    delimiter = _delimiter(lines[first]) if first < len(lines) else None
    text = "\n".join(lines)
    if delimiter == ";" and "," in text:  # decimal commas
        text = text.replace(",", ".")
    table = parse_table(text, path, delimiter)
    if count is not None and count != len(table):
        raise FileError(
            f"{path} has {len(table)} points, but its first line says {count}; it is truncated or the count is wrong"
        )
    if not table.size:
        return Cloud(np.empty((0, 3)), metadata={"format": path.suffix[1:].upper(), "encoding": "ascii"})
    if table.shape[1] < 3:
        raise FileError(f"{path} has {table.shape[1]} columns; at least three, x, y and z, are required")
    columns = _name_columns(table, header, path)
    try:
        return cloud_from_columns(columns, {"format": path.suffix[1:].upper(), "encoding": "ascii"})
    except CloudError as error:
        raise FileError(f"{path}: {error}") from None


def write_text(cloud: Cloud, path: str | PathLike[str]) -> None:
    """Write a text file, with enough digits that positions are read back exactly.

    .csv has a header and all attributes. .txt and .asc have all attributes, and a comment line with the column names if
    `read_text` could not guess them. .xyz has normals if the cloud has any. .xyzn has normals, .xyzrgb has colors in
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
    with atomic_path(path) as temporary, open(temporary, "w", encoding="utf-8", newline="\n") as handle:
        handle.write(header)
        for start in range(0, len(cloud), _ROWS_AT_A_TIME):
            words = [_format(values[start : start + _ROWS_AT_A_TIME]) for values in columns.values()]
            handle.write("\n".join(map(separator.join, zip(*words, strict=True))) + "\n")


def _strip_comments(lines: list[str]) -> tuple[str | None, list[str]]:
    """The column names in the last comment before the data, if any, and the lines with comments made blank."""
    header = None
    data_seen = False
    for i, line in enumerate(lines):
        stripped = line.lstrip()
        if not stripped.startswith(_COMMENTS):
            data_seen = data_seen or bool(stripped)
            continue
        words = [_clean_name(word) for word in _split(stripped.lstrip("#/ "))]
        if not data_seen and {"x", "y", "z"} <= {word.lower() for word in words}:
            header = stripped.lstrip("#/ ")
        lines[i] = ""
    return header, lines


def _delimiter(line: str) -> str | None:
    return ";" if ";" in line else "," if "," in line else None


def _split(line: str) -> list[str]:
    return [word.strip() for word in line.strip().split(_delimiter(line))]


def _clean_name(word: str) -> str:
    """A column name without quotes, units or comment signs: '"X [m]"' -> 'X'."""
    return re.sub(r"[\(\[].*?[\)\]]", "", word.strip().strip("\"'")).strip(" #/")


def _name_columns(table: np.ndarray, header: str | None, path: Path) -> Columns:
    names: list[str] = []
    if header is not None:
        names = [_clean_name(word) for word in _split(header)]
        if len(names) != table.shape[1]:
            raise FileError(f"{path}: the header names {len(names)} columns, but the rows have {table.shape[1]}")
        names = [INTENSITY if name.lower() == "i" else name for name in names]
    else:
        names = ["x", "y", "z", *_guess_names(table[:, 3:])]
    columns: Columns = {}
    for name, values in zip(names, table.T, strict=True):
        columns[free_name(name, columns)] = values
    return columns


def _guess_names(extra: np.ndarray) -> list[str]:
    """Guess names of the columns after x, y and z, for a file without a header."""
    width = extra.shape[1]
    features = ["features"] if width == 1 else [f"features_{i}" for i in range(width)]
    normals, colors = ["nx", "ny", "nz"], ["red", "green", "blue"]
    if width == 1:
        return [INTENSITY]
    if width == 3:
        return normals if _unit_length(extra) else colors if _look_like_colors(extra) else features
    if width == 4:
        if _unit_length(extra[:, :3]) and np.array_equal(extra[:, 3], np.rint(extra[:, 3])):
            return [*normals, LABELS]
        return [INTENSITY, *colors] if _look_like_colors(extra[:, 1:]) else features
    return features


def _unit_length(values: np.ndarray) -> bool:
    """Whether at least 95 % of the rows have unit length; estimated normals have some zeros or NaN."""
    return bool(np.mean(np.abs(np.linalg.norm(values, axis=1) - 1) < 1e-2) >= 0.95)


def _look_like_colors(values: np.ndarray) -> bool:
    whole = np.array_equal(values, np.rint(values))
    return bool(values.min() >= 0 and (values.max() <= 1 or (whole and values.max() <= 255)))


def _layout(cloud: Cloud, suffix: str) -> tuple[str, Columns]:
    """The first line of the file, or "", and the columns in order."""
    columns = columns_from_cloud(cloud)
    names: tuple[str, ...] = ("x", "y", "z")
    normals, colors = ("nx", "ny", "nz"), ("red", "green", "blue")
    has_normals = all(name in columns for name in normals)
    has_colors = all(name in columns for name in colors)
    header = ""
    if suffix == ".csv":
        return ",".join(columns) + "\n", columns
    if suffix in (".txt", ".asc"):
        if not _guessed_right(columns):
            header = "# " + " ".join(columns) + "\n"
        return header, columns
    if suffix == ".pts":
        header = f"{len(cloud)}\n"
        names += ((INTENSITY,) if INTENSITY in columns else ()) + (colors if has_colors else ())
    elif suffix == ".xyzrgb":
        if not has_colors:
            raise CloudError("the cloud has no colors; write .xyz instead")
        as_float = cloud.colors_as_float()
        assert as_float is not None
        columns.update(zip(colors, as_float.T, strict=True))
        names += colors
    elif suffix == ".xyzn" or has_normals:
        if not has_normals:
            raise CloudError("the cloud has no normals; write .xyz instead")
        names += normals
    return header, {name: columns[name] for name in names}


def _guessed_right(columns: Columns) -> bool:
    """Whether `_guess_names` would give these columns their names."""
    extra = list(columns)[3:]
    if not extra:
        return True
    return _guess_names(np.stack([columns[name].astype(np.float64) for name in extra], axis=1)) == extra


def _format(values: np.ndarray) -> Iterator[str]:
    """The shortest text that is read back as the same number."""
    if values.dtype.kind in "iu":
        return map(str, values.tolist())
    if values.dtype.itemsize <= 4:
        return map("%.9g".__mod__, values.tolist())
    return map(repr, values.tolist())
