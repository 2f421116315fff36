"""Reading of text files: .xyz .xyzn .xyzrgb .pts .txt .asc .csv, with one point per line."""

from __future__ import annotations

import codecs
import logging
import re
from os import PathLike
from pathlib import Path

import numpy as np

from ..cloud import INTENSITY, Cloud
from ..errors import CloudError, FileError
from .columns import (
    LONGITUDES,
    Columns,
    axes_among,
    free_name,
    is_number,
)
from .files import read_bytes
from .layout import COLORS, NORMALS, guess_names, parse_columns
from .named import cloud_from_named
from .table import parse_rows

_log = logging.getLogger("pcsr_zoo")

_COMMENTS = ("#", "//")
_BYTE_ORDERS = ((codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"), (codecs.BOM_UTF8, "utf-8-sig"))
_COUNT = re.compile(r"\s*\d{1,18}\s*")
_DECIMAL_COMMA = re.compile(r"[-+]?\d*,\d+(?:[eE][-+]?\d+)?")
_COMMA_IN_NUMBER = re.compile(r"(?<![^;\s\"'])([-+]?\d*),(\d+(?:[eE][-+]?\d+)?)(?![^;\s\"'])")
_LETTER = re.compile(r"[^\W\d_eE]")
_GRID = re.compile(r"\s*(ncols|nrows|xllcorner|yllcorner|xllcenter|yllcenter)\b", re.IGNORECASE)


def read_text(path: str | PathLike[str], columns: str | None = None) -> Cloud:
    """Read rows of numbers, separated by white space, commas or semicolons. Comment lines begin with # or //.

    Column names come from a header line, which may be a comment, or are guessed, see `layout.guess_names`; a warning
    in the log then says what was assumed, unless the suffix says it. A first line with a single number is the number of
    points; .pts files may have several such blocks. Words of a column become whole numbers, and are written again, see
    `named`.

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
    first = _first(lines)
    if first < len(lines) and _GRID.match(lines[first]):
        raise FileError(f"{path} is an ESRI ASCII grid of heights, not a list of points; convert it with GDAL, to .xyz")
    count = _take_counts(lines, first, path.suffix.lower())
    first = _first(lines)
    header, place = None, 0
    if first < len(lines) and not any(_is_value(word) for word in _split(lines[first])):
        header, place, lines[first] = lines[first], first + 1, ""
        first = _first(lines)
    sample = lines[first] if first < len(lines) else ""
    delimiter, text = _delimiter(sample), "\n".join(lines)
    if header is not None and (marked := _delimiter(header)) is not None and marked in sample:
        delimiter = marked  # words may have other marks
    if commas := _has_decimal_commas(sample, delimiter, text):
        text = _with_points(text)
    known = given or (None if header is None else _names_in(header))
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
    style = None if header is None else "plain"
    if header is None:
        header = next((c for c in reversed(comments) if _names_columns(c, table.shape[1])), None)
        style = None if header is None else "comment"
    names = given or _names(table, header, path)
    if len(names) != table.shape[1]:
        raise FileError(f"{path}: there are {len(names)} names of columns, but the rows have {table.shape[1]} columns")
    titles = [] if header is None else [word.strip("\"'") for word in _split(header)]
    columns_read: Columns = {}
    raw, meaning = {}, {}
    for i, (name, values) in enumerate(zip(names, table.T, strict=True)):
        if name == "_" and given:
            continue
        key = free_name(name, columns_read)
        if i in words:
            meaning[key] = words[i]
            values = values.astype(np.int32)
            _log.warning("%s: the words of the column %s are kept as numbers: %s", path, key, _shown(words[i]))
        columns_read[key] = _as_stored(name, values, path.suffix.lower())
        if i < len(titles) and not given:
            raw[key] = titles[i]
    if any(name.lower() in LONGITUDES for name in axes_among(list(columns_read)) or ()):
        metadata["degrees"] = "longitude and latitude"
    layout = {"suffix": path.suffix.lower(), "header": style, "raw": raw, "delimiter": delimiter, "commas": commas}
    try:
        return cloud_from_named(columns_read, metadata, "text", meaning, **layout)
    except CloudError as error:
        raise FileError(f"{path}: {error}") from None


def _shown(words: list[str]) -> str:
    shown = ", ".join(f"{i} {word[:20]}" for i, word in enumerate(words[:4]))
    return shown + (f", and {len(words) - 4:,} more" if len(words) > 4 else "")


def _decode(data: bytes, path: Path) -> str:
    head = np.frombuffer(data[:1024], np.uint8)
    encoding = next((name for mark, name in _BYTE_ORDERS if data.startswith(mark)), "utf-8")
    if encoding == "utf-8" and not head.all():
        zeros = [float((head[start::2] == 0).mean()) if len(head) > 1 else 0.0 for start in (0, 1)]
        if max(zeros) < 0.9 or min(zeros) > 0.1:
            raise FileError(f"{path} is not a text file: it has zero bytes")
        encoding = "utf-16-le" if zeros[1] > zeros[0] else "utf-16-be"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        return data.decode("cp1252" if encoding.startswith("utf-8") else encoding, "replace")


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
    return delimiter in (None, "\t") and "," in line and any(map(_DECIMAL_COMMA.fullmatch, line.split()))


def _with_points(text: str) -> str:
    """The text with decimal points; the commas in words stay."""
    return _COMMA_IN_NUMBER.sub(r"\1.\2", text) if _LETTER.search(text) else text.replace(",", ".")


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
    cells = line.split("\t")
    if len(cells) > 2 and not any(len(words := cell.split()) > 1 and all(map(_is_value, words)) for cell in cells):
        return "\t"
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
