"""Chamfer distance, in the variants that published tables mix."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .nearest import nearest_distances


def chamfer_distance(a: Any, b: Any, *, squared: bool = True, halved: bool = False) -> float:
    """CD(a, b) = mean_i min_j |a_i - b_j|^q + mean_j min_i |a_i - b_j|^q, in the frame of the input.

    Fan, Su and Guibas, "A point set generation network for 3D object reconstruction from a single image",
    CVPR 2017, sec. 4.1, with means in place of sums, so that the two sets may differ in size.

    Args:
        a, b: clouds of (N, 3) and (M, 3) points.
        squared: q = 2 (the unit is the input's, squared); otherwise q = 1.
        halved: half of the sum, which is the mean of both directions.
    """
    return chamfer_from_nearest(nearest_distances(a, b), nearest_distances(b, a), squared=squared, halved=halved)


def chamfer_from_nearest(
    forward: NDArray[np.float64], backward: NDArray[np.float64], *, squared: bool = True, halved: bool = False
) -> float:
    """`chamfer_distance` from the two one-sided distances (N,) and (M,) of `nearest_distances`."""
    power = 2 if squared else 1
    total = float(np.mean(forward**power) + np.mean(backward**power))
    return total / 2 if halved else total
