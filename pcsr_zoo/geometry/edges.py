"""Edges between neighbouring points, whose midpoints are where new points start."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .knn import KNN


def neighbour_edges(points: np.ndarray, k: int, tree: KNN | None = None) -> NDArray[np.int64]:
    """The edges (E, 2), i < j and sorted, between each of (N, 3) points and its k nearest others."""
    if len(points) < 2:
        return np.empty((0, 2), np.int64)
    _, index = (tree or KNN(points)).query(points, k + 1)
    i = np.repeat(np.arange(len(points)), index.shape[1])
    j = index.ravel()
    low, high = np.minimum(i, j), np.maximum(i, j)
    keys = np.unique((low * len(points) + high)[low != high])
    return np.stack(np.divmod(keys, len(points)), axis=1)


def rank_at_ends(edges: np.ndarray, score: np.ndarray, n: int) -> NDArray[np.int64]:
    """The rank (E,) of each edge by ascending score among the edges of its ends, the better of the two ranks."""
    ends = np.concatenate([edges[:, 0], edges[:, 1]])
    order = np.lexsort((np.concatenate([score, score]), ends))
    counts = np.bincount(ends, minlength=n)
    first = np.cumsum(counts) - counts
    rank = np.empty(len(ends), np.int64)
    rank[order] = np.arange(len(ends)) - first[ends[order]]
    return np.minimum(rank[: len(edges)], rank[len(edges) :])
