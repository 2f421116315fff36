"""Borders: how far a place lies to one side of the points around it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .knn import KNN

_NEIGHBOURS = 8


def one_sidedness(tree: KNN, places: np.ndarray) -> NDArray[np.float64]:
    """Length (M,) of the sum of the offsets from the 8 nearest points to a place, over the sum of their lengths.

    0 in the midst of even points, about 2 / pi on a straight border, 1 far outside.
    """
    distance, index = tree.query(places, _NEIGHBOURS)
    total = (places[:, None] - np.asarray(tree.tree.data)[index]).sum(axis=1)
    return np.linalg.norm(total, axis=1) / np.maximum(distance.sum(axis=1), 1e-300)
