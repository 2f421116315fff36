"""Parsing of rows of numbers with NumPy's C reader, and errors that name the line."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from ..errors import FileError


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
    if not text.strip():
        return np.empty((0, 0))
    try:
        return np.loadtxt(io.StringIO(text), delimiter=delimiter, comments=None, ndmin=2)
    except ValueError as error:
        raise _explain(text, path, delimiter, first_line, error) from None


def is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


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
