"""Parsing of rows of numbers: by NumPy's C reader, or by words where programs wrote more than numbers."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..errors import FileError
from .columns import is_number
from .limits import check_columns

_MISSING = {"", "na", "n/a", "nan", "null", "none", "-", "?", "#n/a"}
_NOT_A_NUMBER = re.compile(r"[-+]?(?:1\.#\w+|nan(?:\(\w*\))?)", re.IGNORECASE)  # as C libraries print it


def parse_table(text: str, path: Path, delimiter: str | None = None, first_line: int = 1) -> np.ndarray:
    """Parse numbers to (N, C) float64; blank lines are skipped.

    Args:
        text: one row per line.
        path: the file, for messages.
        delimiter: a character, or None for white space.
        first_line: number of the first line of `text` in the file.

    Raises:
        FileError: a row has another number of columns than the first, or a word that is not a number.
    """
    return parse_rows(text, path, delimiter, first_line)[0]


def parse_rows(
    text: str,
    path: Path,
    delimiter: str | None = None,
    first_line: int = 1,
    needed: Sequence[int] | None = None,
) -> tuple[np.ndarray, dict[int, list[str]]]:
    """`parse_table` for tables that programs wrote for people.

    Quotes are removed, and a last column that is empty in all rows is dropped. Words such as "NA" and "1.#QNAN" are
    NaN. In columns that are not `needed`, so are empty words, and there may be columns of other words, which get whole
    numbers, from 0, in the order of the alphabet.

    Returns:
        The table; and, for each column of words, by its number from 0, the words.
    """
    if not text.strip():
        return np.empty((0, 0)), {}
    try:
        first = next(line for line in text.split("\n") if line.strip())
        check_columns(path, len(first.split(delimiter)))
        return np.loadtxt(io.StringIO(text), delimiter=delimiter, comments=None, ndmin=2), {}
    except ValueError as error:
        found = _by_words(text, delimiter, needed)
        if found is None:
            raise _explain(text, path, delimiter, first_line, error) from None
        return found


def _by_words(
    text: str, delimiter: str | None, needed: Sequence[int] | None
) -> tuple[np.ndarray, dict[int, list[str]]] | None:
    """The table and the words of its columns of words, or None if it is not a table."""
    lines = [line for line in text.split("\n") if line.strip()]
    rows: list[list[str]]
    if delimiter is None:
        rows = [line.replace('"', "").split() for line in lines]
    else:
        try:
            rows = list(csv.reader(lines, delimiter=delimiter, skipinitialspace=True))
        except csv.Error:
            return None
    width = len(rows[0])
    if any(len(row) != width for row in rows):
        return None
    columns = [[word.strip().strip("'") for word in column] for column in zip(*rows, strict=True)]
    if width > 1 and not any(columns[-1]):
        columns.pop()
    out = np.empty((len(rows), len(columns)))
    words: dict[int, list[str]] = {}
    for i, column in enumerate(columns):
        must = needed is None or i in needed
        values = _numbers(column, missing=_MISSING - {""} if must else _MISSING)
        if values is None:
            if must or sum(is_number(word) for word in column) * 2 > len(column):
                return None  # numbers, and a mistake
            distinct, values = np.unique(np.array(column), return_inverse=True)
            words[i] = distinct.tolist()
        out[:, i] = values
    return (out, words) if len(words) < len(columns) else None


def _numbers(words: Sequence[str], missing: set[str]) -> np.ndarray | None:
    """The numbers, with NaN for missing ones; None if a word is neither."""
    plain = ["nan" if word.lower() in missing or _NOT_A_NUMBER.fullmatch(word) else word for word in words]
    try:
        return np.array([float(word) for word in plain])
    except ValueError:
        return None


def _explain(text: str, path: Path, delimiter: str | None, first_line: int, error: ValueError) -> FileError:
    """The error of the first wrong row."""
    width = 0
    for number, line in enumerate(text.split("\n"), start=first_line):
        if not line.strip():
            continue
        words = line.split(delimiter)
        width = width or len(words)
        where = f"{path}, line {number}: "
        for word in words:
            if not is_number(word):
                return FileError(f"{where}'{word.strip()[:40]}' is not a number; correct or delete this row")
        if len(words) != width:
            return FileError(
                f"{where}{len(words)} columns, but the rows before have {width}; correct or delete this row"
            )
    return FileError(f"{path} cannot be read as rows of numbers: {error}")
