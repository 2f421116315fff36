"""What a ray between two rings of a scan may hit: ranges that follow from the rings below and above it.

Along a vertical plane through the sensor, 1 / range = a cos(elevation) + b sin(elevation) on every flat surface. Two
points determine it, and every further one follows. Each hypothesis names such a surface.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# The names of the hypotheses: the surface through the points below and above; the ranges of these points; the surfaces
# through two points below, or above, continued; upright and level surfaces through the point below, or above.
NAMES = ("through", "below", "above", "on", "back", "upright below", "upright above", "level below", "level above")


class Hypotheses(NamedTuple):
    """K hypotheses for M rays.

    Attributes:
        inverse: (M, K), 1 / range; positive.
        possible: (M, K), whether the points exist that the hypothesis follows from, and its range is in front of the
            sensor.
    """

    inverse: Floats
    possible: NDArray[np.bool_]


def hypotheses(elevation: Floats, rings: Floats, inverse: Floats, found: NDArray[np.bool_]) -> Hypotheses:
    """Hypotheses for rays of some elevations (M,), radians.

    Args:
        elevation: (M,), of the rays.
        rings: (M, 4), elevations of the two rings below a ray and the two above it, ascending.
        inverse: (M, 4), their 1 / range at the ray's azimuth.
        found: (M, 4), whether they have a point there.
    """
    below, above = found[:, 1], found[:, 2]
    sine, cosine = np.sin(elevation), np.cos(elevation)
    level = np.where(np.abs(np.sin(rings)) > 0.01, np.sin(rings), np.inf)
    values = np.stack(
        [
            _plane(elevation, rings[:, 1], rings[:, 2], inverse[:, 1], inverse[:, 2]),
            inverse[:, 1],
            inverse[:, 2],
            _plane(elevation, rings[:, 0], rings[:, 1], inverse[:, 0], inverse[:, 1]),
            _plane(elevation, rings[:, 2], rings[:, 3], inverse[:, 2], inverse[:, 3]),
            inverse[:, 1] * cosine / np.cos(rings[:, 1]),
            inverse[:, 2] * cosine / np.cos(rings[:, 2]),
            inverse[:, 1] * sine / level[:, 1],
            inverse[:, 2] * sine / level[:, 2],
        ],
        axis=1,
    )
    exist = np.stack(
        [below & above, below, above, found[:, 0] & below, above & found[:, 3], below, above, below, above], axis=1
    )
    nearest = np.where(found, inverse, 0).max(axis=1, keepdims=True)
    farthest = np.where(found, inverse, np.inf).min(axis=1, keepdims=True)
    possible = exist & (values > 0.1 * farthest) & (values < 5 * nearest)
    return Hypotheses(np.where(possible, values, 1.0), possible)


def _plane(at: Floats, first: Floats, second: Floats, from_first: Floats, from_second: Floats) -> Floats:
    """1 / range at an elevation, on the surface through points at two elevations."""
    width = np.sin(second - first)
    width = np.where(np.abs(width) > 1e-6, width, 1e-6)
    return (from_first * np.sin(second - at) + from_second * np.sin(at - first)) / width
