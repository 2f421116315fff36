"""Repulsion between points on a surface, which leads to blue noise (after Huang et al. 2009, WLOP)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .compiled import kernels_for
from .knn import KNN

_NEIGHBORS = 8
_REACH = 1.7  # range of the force, in mean distances to the three nearest
_STEP = 0.35  # step for a neighbor at distance 0, as a fraction of the range


def pushing_neighbors(points: np.ndarray) -> NDArray[np.int64]:
    """Indices (N, 8) of the 8 nearest neighbors of points (N, 3). They stay valid for a few small steps."""
    index = KNN(points).query(points, _NEIGHBORS + 1)[1]
    own = index == np.arange(len(points))[:, None]
    own[~own.any(axis=1), -1] = True  # among many equal points, the point itself may be missing
    return index[~own].reshape(len(points), -1)


def repulsion(points: np.ndarray, neighbors: np.ndarray, moving: slice) -> NDArray[np.float64]:
    """A repulsion step (M, 3) for the `moving` ones of points (N, 3), away from their `neighbors` (N, k), k >= 3.

    A neighbor at distance d contributes 0.35 h (1 - d / h), up to the range h: 1.7 times the mean distance to the
    three nearest, averaged over the neighborhood. In an even point set, the contributions cancel.
    """
    if (fast := kernels_for(len(points))) is not None:
        near, step = np.empty(len(points)), np.empty((len(points[moving]), 3))
        fast.mean_of_three(points, neighbors, near)
        fast.repulse(points, neighbors, near, moving.indices(len(points))[0], _REACH, _STEP, step)
        return step
    offset = points[:, None] - points[neighbors]
    length = np.sqrt(np.einsum("nkc,nkc->nk", offset, offset))
    near = np.partition(length, 2, axis=1)[:, :3].mean(axis=1)
    reach = _REACH * (near + near[neighbors].sum(axis=1))[moving] / (neighbors.shape[1] + 1)
    length = length[moving]
    push = np.maximum(0.0, 1 - length / np.maximum(reach, 1e-300)[:, None]) / np.maximum(length, 1e-300)
    push[length == 0] = 0.0
    return _STEP * reach[:, None] * np.einsum("nkc,nk->nc", offset[moving], push)
