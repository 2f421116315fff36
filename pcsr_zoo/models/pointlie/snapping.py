"""Snapping: points of a cloud in place of points near it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...geometry.knn import KNN

_FEW = 8  # nearest points that are tried before a wider search


def nearest_distinct(points: np.ndarray, places: np.ndarray) -> NDArray[np.int64]:
    """Indices (n,) into points (N, 3), n <= N, no one twice: for each of (n, 3) places, about the nearest point.

    Nearer pairs go first: a place whose nearest points are taken by nearer places gets the nearest that is left.
    """
    tree = KNN(points)
    chosen = np.full(len(places), -1)
    free = np.ones(len(points), bool)
    waiting = np.arange(len(places))
    k = min(_FEW, len(points))
    while len(waiting):
        distance, index = tree.query(places[waiting], k)
        rows = np.repeat(np.arange(len(waiting)), index.shape[1])
        for pair in np.argsort(distance, axis=None, kind="stable"):
            row, point = waiting[rows[pair]], index.flat[pair]
            if chosen[row] < 0 and free[point]:
                chosen[row], free[point] = point, False
        waiting = waiting[chosen[waiting] < 0]
        k = min(4 * k, len(points))
    return chosen
