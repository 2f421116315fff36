"""Rows of numbers in text, fast (NumPy's C reader), with errors that name the line."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from ..errors import FileError


def parse_table(text: str, path: Path, delimiter: str | None = None, first_line: int = 1) -> np.ndarray:
    """The numbers in `text` as (N, C) float64; blank lines are skipped.

    Args:
        text: one row a line.
        path: for the messages.
        delimiter: a character, or None for white space.
        first_line: the number that the first line of `text` has in the file.

    Raises:
        FileError: a row has another number of columns than the first, or something that is no number.
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
    """What is wrong with the first row that is wrong."""
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
                f"{where}{len(words)} columns, where the rows before have {width}; correct or delete this row"
            )
    return FileError(f"{path} cannot be read as rows of numbers: {error}")
