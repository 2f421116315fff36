"""Weighted sample elimination (Yuksel 2015): an even, blue-noise subset of exactly n points, in numpy alone.

The greedy algorithm takes away, again and again, the point with the most and nearest neighbors. A point's weight can
only fall, and only when a neighbor goes. So a point that outweighs all its neighbors goes before they do whatever
happens elsewhere, and one round can take all such points at once; weights at removal fall along the greedy order, so
where a round takes too many, those that went with the least weight come back. The result is the greedy one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ..errors import OptionError

_ALPHA, _BETA, _GAMMA = 8, 0.65, 1.5  # the paper's


def eliminate(points: np.ndarray, n: int, area: float) -> NDArray[np.int64]:
    """Ascending indices (n,) of an even subset of points spread randomly over a surface.

    Args:
        points: (M, 3), in random order where two weigh the same (duplicates).
        n: how many stay; M = 3 n to 5 n gives a good spread.
        area: of the surface, in squared units of the points; sets the radius 2 r_max that counts as near.

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
    last: list[np.ndarray] = []  # the weight that each had when it went
    surplus = size - n
    while surplus > 0:
        # no further down than needed: half of what is left to go, as far as the present weights tell
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
            out_a, out_b = ~stays[a], ~stays[b]  # never both: neighbors do not go in the same round
            weight -= np.bincount(b[out_a], share[out_a], size) + np.bincount(a[out_b], share[out_b], size)
            keep = ~(out_a | out_b)
            a, b, share = a[keep], b[keep], share[keep]
    order = np.concatenate(removed)[np.argsort(-np.concatenate(last), kind="stable")]
    stays[order[size - n :]] = True
    return np.flatnonzero(stays)
