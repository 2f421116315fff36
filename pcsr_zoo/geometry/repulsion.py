"""Repulsion: points that push each other apart along a surface, towards blue noise (after Huang et al. 2009, WLOP)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .knn import KNN

_NEIGHBORS = 8
_REACH = 1.7  # of the force, in mean distances to the three nearest
_STEP = 0.35  # of the reach, for a neighbor at no distance


def pushing_neighbors(points: np.ndarray) -> NDArray[np.int64]:
    """The 8 nearest others (N, 8) of each of (N, 3) points; good for a few steps, which are short."""
    index = KNN(points).query(points, _NEIGHBORS + 1)[1]
    own = index == np.arange(len(points))[:, None]
    own[~own.any(axis=1), -1] = True  # among many equal points one's own number may not be there
    return index[~own].reshape(len(points), -1)


def repulsion(points: np.ndarray, neighbors: np.ndarray, moving: slice) -> NDArray[np.float64]:
    """One step (M, 3) of the `moving` ones among (N, 3) points, away from their `neighbors` (N, k), k at least 3.

    A neighbor at distance d pushes by 1 - d / h, in units of .35 h, out to the reach h: 1.7 times the mean distance
    to the three nearest, averaged over the neighborhood. In an even set they balance.
    """
    offset = points[:, None] - points[neighbors]
    length = np.sqrt(np.einsum("nkc,nkc->nk", offset, offset))
    near = np.partition(length, 2, axis=1)[:, :3].mean(axis=1)
    reach = _REACH * (near + near[neighbors].sum(axis=1))[moving] / (neighbors.shape[1] + 1)
    length = length[moving]
    push = np.maximum(0.0, 1 - length / np.maximum(reach, 1e-300)[:, None]) / np.maximum(length, 1e-300)
    push[length == 0] = 0.0
    return _STEP * reach[:, None] * np.einsum("nkc,nk->nc", offset[moving], push)
