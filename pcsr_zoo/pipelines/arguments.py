"""Checks of the arguments of sampling, upsampling and recovery."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..devices import check_memory
from ..errors import CloudError, OptionError
from ..geometry.grid import MOST_BITS

_LARGEST_RATIO = 64  # ratios beyond this and beyond the number of points are typing errors
_BYTES = 400  # of memory for each point of the result, at the least: candidates, neighbors, positions


def as_ratio(ratio: Any, below_one: str) -> float:
    """The ratio as a number of at least 1; `below_one` ends the error message for a smaller one."""
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
    """The count as an integer of at least 1."""
    try:
        count = 0 if isinstance(n, bool) or int(n) != n else int(n)
    except (TypeError, ValueError, OverflowError):
        count = 0
    if count < 1:
        raise OptionError(f"the count n must be an integer of at least 1, got {n!r}")
    return count


def denser_count(size: int, ratio: Any, n: Any, verb: str) -> int:
    """The number of points of a denser cloud: n, or round(ratio * size); at least `size`.

    Args:
        size: number of input points.
        ratio, n: the arguments of the call; exactly one of them is used, n before the ratio.
        verb: "upsample" or "recover", for the messages.
    """
    if n is None:
        if ratio is None:
            raise OptionError("give a ratio or a count n")
        wanted = size * as_ratio(ratio, "to remove points, use sample")
        n = round(min(wanted, 1e18))
    n = as_count(n)
    check_points(n, f"{n:,} points")
    if n < size:
        raise OptionError(f"cannot {verb} {size} points to {n}; to remove points, use sample")
    return n


def check_points(n: int, what: str) -> None:
    """Raise an OptionError if n points do not fit into memory; `what` begins the message."""
    check_memory(n * _BYTES, what, "give a smaller ratio or count n, or split the cloud into parts")


def sparser_count(size: int, ratio: Any, n: Any, below_one: str = "to add points, use upsample") -> int:
    """The number of points of a sparser cloud: n, or round(size / ratio); from 1 to `size`."""
    if n is None:
        if ratio is None:
            raise OptionError("give a ratio or a count n")
        value = as_ratio(ratio, below_one)
        if value > max(size, _LARGEST_RATIO):
            raise OptionError(f"the ratio {value:g} is larger than the {size} points of the cloud; give a count n")
        n = max(1, round(size / value))
    n = as_count(n)
    if n > size:
        raise OptionError(f"cannot sample {n} of {size} points; to add points, use upsample")
    return n


def as_bits(bits: Any) -> int | None:
    """Bits per axis of a grid, 1 to `MOST_BITS`; None for no grid."""
    if bits is None:
        return None
    if isinstance(bits, bool) or not isinstance(bits, (int, np.integer)) or not 1 <= bits <= MOST_BITS:
        raise OptionError(f"bits must be an integer from 1 to {MOST_BITS}, got {bits!r}")
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


def as_origin(origin: Any) -> tuple[float, float, float] | None:
    """The place of a sensor: three finite numbers, or None."""
    if origin is None:
        return None
    try:
        x, y, z = (float(value) for value in origin)
    except (TypeError, ValueError):
        raise OptionError(f"origin must be three numbers, got {origin!r}") from None
    if not all(map(math.isfinite, (x, y, z))):
        raise OptionError(f"origin must be three finite numbers, got {origin!r}")
    return x, y, z


def require_distinct(distinct: np.ndarray, model: Any) -> None:
    """Raise a CloudError if `distinct` (D, 3) has fewer points than the model needs."""
    needed = getattr(model, "min_points", 1)
    if len(distinct) < needed:
        raise CloudError(
            f"the cloud has {len(distinct)} distinct point{'s' if len(distinct) > 1 else ''}; "
            f"'{model.name}' needs at least {needed}"
        )


def check_result(found: Any, n: int, model: Any, what: str) -> np.ndarray:
    """The result of a model as (n, 3) float64; a CloudError if the model returned something else."""
    points = np.asarray(found, dtype=np.float64)
    if points.shape != (n, 3):
        raise CloudError(f"'{model.name}' {what} an array of shape {points.shape} instead of ({n}, 3)")
    if not np.isfinite(points).all():
        raise CloudError(f"'{model.name}' {what} points that are NaN or infinite")
    return points
