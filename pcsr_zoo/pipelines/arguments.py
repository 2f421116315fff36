"""What every whole-cloud call checks of its arguments before it begins."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..errors import CloudError, OptionError
from ..geometry.grid import MOST_BITS

MOST_POINTS = 2_000_000_000  # more would not fit the memory of any machine


def as_ratio(ratio: Any, below_one: str) -> float:
    """The ratio as a number of at least 1; `below_one` is what to say of one that is less."""
    try:
        value = float(ratio)
    except (TypeError, ValueError):
        raise OptionError(f"the ratio must be a number, got {ratio!r}") from None
    if not math.isfinite(value) or value <= 0:
        raise OptionError(f"the ratio must be a positive number, got {ratio}")
    if value < 1:
        raise OptionError(f"the ratio must be at least 1, got {ratio}; {below_one}")
    return value


def as_count(n: Any) -> int:
    """The count as a whole number of at least 1."""
    try:
        count = 0 if isinstance(n, bool) or int(n) != n else int(n)
    except (TypeError, ValueError, OverflowError):
        count = 0
    if count < 1:
        raise OptionError(f"the count n must be a whole number of at least 1, got {n!r}")
    return count


def denser_count(size: int, ratio: Any, n: Any, verb: str) -> int:
    """How many points a denser cloud has: n, or round(ratio size); at least `size`. `verb` is for the messages."""
    if n is None:
        if ratio is None:
            raise OptionError("give a ratio or a count n")
        n = round(size * as_ratio(ratio, f"{verb.rstrip('e')}ing by less than 1 removes points: use sample"))
    n = as_count(n)
    if n > MOST_POINTS:
        raise OptionError(f"cannot {verb} to {n:,} points, more than {MOST_POINTS:,}; give a smaller ratio or count n")
    if n < size:
        raise OptionError(f"cannot {verb} {size} points to {n}; use sample to remove points")
    return n


def sparser_count(
    size: int, ratio: Any, n: Any, below_one: str = "sampling by less than 1 adds points: use upsample"
) -> int:
    """How many points a thinner cloud has: n, or round(size / ratio), at least 1; at most `size`."""
    if n is None:
        if ratio is None:
            raise OptionError("give a ratio or a count n")
        n = max(1, round(size / as_ratio(ratio, below_one)))
    n = as_count(n)
    if n > size:
        raise OptionError(f"cannot sample {n} of {size} points; use upsample to add points")
    return n


def as_bits(bits: Any) -> int | None:
    """Bits of a grid, 1 to `MOST_BITS`; None for no grid."""
    if bits is None:
        return None
    if isinstance(bits, bool) or not isinstance(bits, (int, np.integer)) or not 1 <= bits <= MOST_BITS:
        raise OptionError(f"bits must be a whole number from 1 to {MOST_BITS}, got {bits!r}")
    return int(bits)


def as_temperature(temperature: Any) -> float:
    """A factor on a standard deviation: a finite number of at least 0."""
    try:
        value = float(temperature)
    except (TypeError, ValueError):
        value = math.nan
    if not (math.isfinite(value) and value >= 0):
        raise OptionError(f"the temperature must be a number of at least 0, got {temperature!r}")
    return value


def require_distinct(distinct: np.ndarray, model: Any) -> None:
    """Raise a CloudError where a model needs more distinct points than (D, 3)."""
    needed = getattr(model, "min_points", 1)
    if len(distinct) < needed:
        raise CloudError(
            f"the cloud has {len(distinct)} distinct point{'s' if len(distinct) > 1 else ''}; "
            f"'{model.name}' needs at least {needed}"
        )


def check_result(found: Any, n: int, model: Any, what: str) -> np.ndarray:
    """What a model gave as (n, 3) float64, or a CloudError: a fault of the model's."""
    points = np.asarray(found, dtype=np.float64)
    if points.shape != (n, 3):
        raise CloudError(f"'{model.name}' {what} an array of shape {points.shape} where ({n}, 3) was asked for")
    if not np.isfinite(points).all():
        raise CloudError(f"'{model.name}' {what} points that are not finite")
    return points
