"""The columns of rows of numbers without a header: given by the user, or guessed from the values."""

from __future__ import annotations

import numpy as np

from ..cloud import INTENSITY, LABELS
from ..errors import OptionError
from .columns import axes_among

NORMALS, COLORS = ("nx", "ny", "nz"), ("red", "green", "blue")
_FEW = 40  # classes are fewer than this, and each has many points
_POINTS_OF_A_CLASS = 20


def parse_columns(text: str) -> list[str]:
    """The names in a text such as "x,y,z,r,g,b,_"; i is intensity.

    Raises:
        OptionError: x, y or z is missing, or a name occurs twice.
    """
    names = [INTENSITY if name.strip().lower() == "i" else name.strip() for name in text.split(",")]
    given = [name for name in names if name != "_"]
    if axes_among(given) is None or "" in names or len({name.lower() for name in given}) != len(given):
        raise OptionError(
            f"columns must be distinct names with x, y and z among them, separated by commas, and _ for a column that "
            f"is left out, such as x,y,z,r,g,b,_; got {text!r}"
        )
    return names


def guess_names(extra: np.ndarray, suffix: str = "") -> list[str]:
    """Guess names of the columns (N, C) after x, y and z.

    Three columns are normals if they have unit length, else colors if their values are in the range of colors. There
    may be both, in either order, and one more column beside them: alpha after colors if it is constant; a label after
    normals, or after colors if it has few different whole values; else intensity. A single column is intensity. In .pts
    files intensity comes before colors, and in .pts and .xyzrgb files there are no normals. Columns that this does not
    explain are `features`.
    """
    width = extra.shape[1]
    unknown = ["features"] if width == 1 else [f"features_{i}" for i in range(width)]
    if width in (4, 7) and look_like_colors(extra[:, 1:4]) and not _unit_length(extra[:, :3]):
        rest = guess_names(extra[:, 1:], suffix)
        if (suffix == ".pts" or not look_like_colors(extra[:, :3])) and "features_0" not in rest:
            return [INTENSITY, *rest]
    names: list[str] = []
    at = 0
    while at < width:
        part = extra[:, at : at + 3]
        three = part.shape[1] == 3
        if three and NORMALS[0] not in names and suffix not in (".pts", ".xyzrgb") and _unit_length(part):
            names += NORMALS
        elif three and COLORS[0] not in names and look_like_colors(part):
            names += COLORS
        elif width - at == 1 and (width == 1 or names):
            names.append(_single(extra[:, at], names))
        else:
            return unknown
        at = len(names)
    return names


def _single(values: np.ndarray, before: list[str]) -> str:
    """The name of a last column after the columns `before`."""
    whole = np.array_equal(values, np.rint(values))
    if before and before[-1] == COLORS[-1] and whole and (values == values[0]).all() and values[0] in (1, 255, 65535):
        return "alpha"
    if before and before[-1] == NORMALS[-1] and whole:
        return LABELS
    if before and whole:
        classes = len(np.unique(values))
        if 1 < classes < _FEW and len(values) >= _POINTS_OF_A_CLASS * classes:
            return LABELS
    return INTENSITY


def _unit_length(values: np.ndarray) -> bool:
    """Whether at least 95 % of the rows have unit length; estimated normals have some zeros or NaN."""
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.mean(np.abs(np.linalg.norm(values, axis=1) - 1) < 1e-2) >= 0.95)


def look_like_colors(values: np.ndarray) -> bool:
    """Whether the values are from 0 to 1, or whole numbers from 0 to 255."""
    whole = np.array_equal(values, np.rint(values))
    return bool(values.min() >= 0 and (values.max() <= 1 or (whole and values.max() <= 255)))
