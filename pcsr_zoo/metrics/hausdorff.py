"""Hausdorff distance, in the variants that published tables mix."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .nearest import nearest_distances


def hausdorff_distance(a: Any, b: Any, *, squared: bool = False, summed: bool = False, halved: bool = False) -> float:
    """The largest nearest-neighbor distance between a (N, 3) and b (M, 3), in the frame of the input.

    By default, it is the textbook definition, max(max_i min_j |a_i - b_j|, max_j min_i |a_i - b_j|).

    Args:
        a, b: the clouds.
        squared: use squared distances; the unit is that of the input, squared.
        summed: add the two one-sided maxima, as PU-GAN's evaluator does, instead of taking the larger one.
        halved: half of the result.
    """
    forward, backward = nearest_distances(a, b), nearest_distances(b, a)
    return hausdorff_from_nearest(forward, backward, squared=squared, summed=summed, halved=halved)


def hausdorff_from_nearest(
    forward: NDArray[np.float64],
    backward: NDArray[np.float64],
    *,
    squared: bool = False,
    summed: bool = False,
    halved: bool = False,
) -> float:
    """`hausdorff_distance` from the two one-sided distances (N,) and (M,) of `nearest_distances`."""
    power = 2 if squared else 1
    sides = float(forward.max()) ** power, float(backward.max()) ** power
    total = sum(sides) if summed else max(sides)
    return total / 2 if halved else total
