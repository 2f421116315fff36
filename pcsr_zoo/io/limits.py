"""What a file may ask for. Counts in a header are checked against the size of the file before anything is allocated."""

from __future__ import annotations

from pathlib import Path

from ..errors import FileError

MOST_COLUMNS = 4096  # scalar columns of a cloud; scanners have tens, descriptors of points have hundreds
_SMALL_FILE = 10_000_000
_MOST_OF_SMALL = 1 << 28  # bytes that a smaller file may expand to: 8 million points of a LAZ file
_MOST_EXPANDED = 200  # and how many times its size a larger one


def check_expansion(path: Path, wanted: int, size: int, what: str) -> None:
    """Check the bytes that a compressed or repeated part of a file will take, against the size of the file.

    Raises:
        FileError: it would take more than a real file of this size does.
    """
    if wanted > (_MOST_OF_SMALL if size < _SMALL_FILE else _MOST_EXPANDED * size):
        raise FileError(
            f"{path} is broken: {what} would take {wanted:,} bytes in memory, but the file has only {size:,}"
        )


def check_columns(path: Path, count: int) -> None:
    """Check the number of columns of a table.

    Raises:
        FileError: there are too many.
    """
    if count > MOST_COLUMNS:
        raise FileError(
            f"{path}: {count:,} columns are more than the limit of {MOST_COLUMNS:,}; store wide features in a .npz file"
        )
