"""Edges between neighboring points. New points start at their midpoints."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .compiled import kernels_for
from .knn import KNN

_CHUNK = 1 << 16


def neighbor_edges(
    points: np.ndarray, k: int, tree: KNN | None = None, emptiness: float = 0.0, near: np.ndarray | None = None
) -> NDArray[np.int64]:
    """The edges (E, 2), i < j and sorted, between each of (N, 3) points and its k nearest others.

    With `emptiness`, only the edges with an empty midpoint: no point is closer to it than this fraction (below 1) of
    half the edge, as in the beta-skeletons of Kirkpatrick and Radke (1985). Such a point would be closer to i than j,
    so it is among the neighbors before j, and no further search is needed. The nearest points `near` (N, k + 1) of each
    point, itself included, are looked for unless they are given.
    """
    if len(points) < 2:
        return np.empty((0, 2), np.int64)
    search: Any = tree or KNN(points) if near is None else None
    fast = kernels_for(len(points))
    keys = []
    for begin in range(0, len(points), _CHUNK):
        center = points[begin : begin + _CHUNK]
        index = near[begin : begin + _CHUNK] if near is not None else search.query(center, k + 1)[1]
        i = np.arange(begin, begin + len(center))[:, None]
        empty = index != i
        if emptiness > 0 and fast is not None:
            fast.empty_edges(points, index, begin, emptiness, empty)
        elif emptiness > 0:
            offset = points[index] - center[:, None]
            for far in range(2, index.shape[1]):
                half = offset[:, far] / 2
                gap = ((offset[:, :far] - half[:, None]) ** 2).sum(axis=2)
                blocked = (gap < emptiness**2 * (half**2).sum(axis=1)[:, None]) & (index[:, :far] != i)
                empty[:, far] &= ~blocked.any(axis=1)
        low, high = np.minimum(i, index), np.maximum(i, index)
        keys.append((low.astype(np.int64, copy=False) * len(points) + high)[empty])
    key = np.sort(np.concatenate(keys))  # np.unique hashes, which is slower
    key = key[np.concatenate([[True], key[1:] != key[:-1]])] if len(key) else key
    return np.stack(np.divmod(key, len(points)), axis=1)


def rank_at_ends(edges: np.ndarray, score: np.ndarray, n: int) -> NDArray[np.int64]:
    """The rank (E,) of each edge by ascending score among the edges at each of its ends; the smaller of both ranks."""
    if (fast := kernels_for(n)) is not None:
        best = np.empty(len(edges), np.int64)
        fast.ranks(edges, score, n, best)
        return best
    ends = np.concatenate([edges[:, 0], edges[:, 1]])
    order = np.lexsort((np.concatenate([score, score]), ends))
    counts = np.bincount(ends, minlength=n)
    first = np.cumsum(counts) - counts
    rank = np.empty(len(ends), np.int64)
    rank[order] = np.arange(len(ends)) - first[ends[order]]
    return np.minimum(rank[: len(edges)], rank[len(edges) :])
