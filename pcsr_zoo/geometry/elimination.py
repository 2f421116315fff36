"""Weighted sample elimination (Yuksel 2015): an even, blue-noise subset of exactly n points, in numpy.

The greedy algorithm repeatedly removes the point with the largest weight, which sums over its near neighbors. A weight
can only decrease, and only when a neighbor is removed. A point whose weight is the largest among its neighbors is
therefore removed before they are, and one round can remove all such points at once. Weights at removal decrease along
the greedy order, so if a round removes too many points, those with the smallest weights are restored. The result is
that of the greedy algorithm.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ..errors import OptionError

_ALPHA, _BETA, _GAMMA = 8, 0.65, 1.5  # values of the paper


def eliminate(points: np.ndarray, n: int, area: float) -> NDArray[np.int64]:
    """Ascending indices (n,) of an even subset of points that are spread randomly over a surface.

    Args:
        points: (M, 3), in random order if weights may be equal (duplicates).
        n: the size of the subset; M = 3 n to 5 n gives an even one.
        area: area of the surface, in squared units of the points; it determines the radius 2 r_max of neighbors.

    Raises:
        OptionError: n is negative or larger than M, or the area is not positive.
    """
    size = len(points)
    if not 0 <= n <= size:
        raise OptionError(f"cannot keep {n} of {size} points")
    if not (np.isfinite(area) and area > 0):
        raise OptionError(f"the area of the surface must be positive, got {area}")
    if n in (0, size):
        return np.arange(n)
    r_max = np.sqrt(area / (2 * np.sqrt(3) * n))
    r_min = r_max * (1 - (n / size) ** _GAMMA) * _BETA
    pairs = cKDTree(points).query_pairs(2 * r_max, output_type="ndarray")
    distance = np.sqrt(((points[pairs[:, 0]] - points[pairs[:, 1]]) ** 2).sum(axis=1))
    share = (1 - np.clip(distance, 2 * r_min, 2 * r_max) / (2 * r_max)) ** _ALPHA
    a, b = pairs[:, 0], pairs[:, 1]
    weight = np.bincount(a, share, size) + np.bincount(b, share, size)
    stays = np.ones(size, bool)
    removed: list[np.ndarray] = []
    last: list[np.ndarray] = []  # their weights at removal
    surplus = size - n
    while surplus > 0:
        # only points above this weight are candidates: by the present weights, they suffice
        left = np.flatnonzero(stays)
        level = np.partition(weight[left], len(left) - surplus)[len(left) - surplus]
        while True:
            lower = (weight[a] < weight[b]) | ((weight[a] == weight[b]) & (a > b))
            beaten = np.zeros(size, bool)
            beaten[np.where(lower, a, b)] = True
            gone = np.flatnonzero(stays & ~beaten & (weight >= level))
            if not len(gone):
                break
            removed.append(gone)
            last.append(weight[gone])
            stays[gone] = False
            surplus -= len(gone)
            out_a, out_b = ~stays[a], ~stays[b]  # never both: neighbors are not removed in the same round
            weight -= np.bincount(b[out_a], share[out_a], size) + np.bincount(a[out_b], share[out_b], size)
            keep = ~(out_a | out_b)
            a, b, share = a[keep], b[keep], share[keep]
    order = np.concatenate(removed)[np.argsort(-np.concatenate(last), kind="stable")]
    stays[order[size - n :]] = True
    return np.flatnonzero(stays)
