"""Overlapping patches that cover a cloud."""

from __future__ import annotations

import math

import numpy as np

from .fps import farthest_point_sample
from .knn import KNN


def cut(points: np.ndarray, size: int, overlap: float = 3.0) -> np.ndarray:
    """Patches of neighboring points around seeds, such that each point is in at least one.

    The seeds are a farthest point sampling. Each patch has the `size` nearest points of its seed. Points that are in no
    patch then get seeds of their own, until there are none.

    Args:
        points: (N, 3), distinct.
        size: points of a patch; all N if the cloud has fewer.
        overlap: how many patches a point is in, on average, before the last seeds are added.

    Returns:
        Indices (P, min(size, N)) into `points`, the seed first, then nearest first.
    """
    tree = KNN(points)
    size = min(size, len(points))
    patches: list[np.ndarray] = []
    covered = np.zeros(len(points), bool)
    while len(missing := np.flatnonzero(~covered)):
        wanted = math.ceil(overlap * len(missing) / size) if size < len(points) else 1
        seeds = missing[farthest_point_sample(points[missing], min(wanted, len(missing)))]
        patches.append(tree.query(points[seeds], size)[1])
        covered[patches[-1]] = True
    return np.concatenate(patches)
