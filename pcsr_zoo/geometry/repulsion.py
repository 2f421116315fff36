"""Repulsion: points that push each other apart along a surface, towards blue noise (after Huang et al. 2009, WLOP)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .knn import KNN

_NEIGHBOURS = 6
_REACH = 1.3  # of the force, in mean distances to the three nearest
_STEP = 0.25  # of the reach, for a neighbour at no distance


def repulsion(points: np.ndarray, moving: slice) -> NDArray[np.float64]:
    """One step (M, 3) of the `moving` ones among (N, 3) points, away from their near neighbours.

    A neighbour at distance d pushes by 1 - d / h, in units of h / 4, out to the reach h: 1.3 times the mean distance
    to three neighbours, averaged over the neighbourhood. An even set has no neighbour much within the reach.
    """
    if len(points) < 4:
        return np.zeros_like(points[moving])
    distance, index = KNN(points).query(points, _NEIGHBOURS + 1)
    near = distance[:, 1:4].mean(axis=1)
    reach = _REACH * near[index].mean(axis=1)[moving]
    offset = points[moving][:, None] - points[index[moving]]
    length = distance[moving]
    push = np.maximum(0.0, 1 - length / np.maximum(reach, 1e-300)[:, None]) / np.maximum(length, 1e-300)
    push[length == 0] = 0.0
    return _STEP * reach[:, None] * (offset * push[:, :, None]).sum(axis=1)
