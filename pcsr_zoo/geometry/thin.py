"""Thinning: Poisson-disk and voxel-grid subsets, by size or to an exact count."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ..errors import OptionError

_BISECTIONS = 24


def poisson_disk_thin(points: np.ndarray, radius: float, seed: int = 0) -> NDArray[np.int64]:
    """A maximal subset of (N, C) points in which no two are nearer than `radius`: dart throwing in random order.

    Returns ascending indices; every point left out has a kept one nearer than `radius` (Bridson's criterion).
    """
    if radius <= 0:
        return np.arange(len(points))
    order = np.random.default_rng(seed).permutation(len(points))
    turn = np.empty(len(points), np.int64)
    turn[order] = np.arange(len(points))
    pairs = cKDTree(points).query_pairs(np.nextafter(radius, 0.0), output_type="ndarray")
    first = np.where(turn[pairs[:, 0]] < turn[pairs[:, 1]], pairs[:, 0], pairs[:, 1])
    second = pairs[:, 0] + pairs[:, 1] - first
    waiting = np.ones(len(points), bool)
    kept = np.zeros(len(points), bool)
    while waiting.any():
        blocked = np.zeros(len(points), bool)
        blocked[second] = True  # some waiting neighbour throws first
        now = waiting & ~blocked
        kept |= now
        waiting &= ~now
        waiting[second[now[first]]] = False
        left = waiting[first] & waiting[second]
        first, second = first[left], second[left]
    return np.flatnonzero(kept)


def poisson_disk_sample(points: np.ndarray, n: int, seed: int = 0) -> NDArray[np.int64]:
    """A Poisson-disk subset of exactly n of (N, C) points, with the largest radius (to 2^-24) that leaves n of them.

    Where ties leave more than n, those nearest to another kept point go.
    """
    _check(n, len(points))
    if n == len(points):
        return np.arange(n)
    low, high = 0.0, float(np.ptp(points, axis=0).max()) or 1.0
    # a disk of radius r / 2 around each of n points: start near the packing bound of a surface, for short pair lists
    guess = 2.0 * float(np.median(cKDTree(points).query(points[:: max(1, len(points) // 4096)], k=2)[0][:, -1]))
    guess = min(high, max(guess * np.sqrt(len(points) / n), 1e-12 * high))
    best = np.arange(len(points))
    for step in range(_BISECTIONS):
        middle = guess if step == 0 else (low + high) / 2 if high < 4 * guess else 2 * max(low, guess)
        kept = poisson_disk_thin(points, middle, seed)
        if len(kept) >= n:
            low, best = middle, kept
            if len(kept) == n:
                return kept
        else:
            high = middle
        if len(best) - n <= max(1, n // 500) and step >= 8:
            break
    return _drop_nearest(points, best, n)


def voxel_sample(points: np.ndarray, n: int, seed: int = 0) -> NDArray[np.int64]:
    """Exactly n of (N, 3) points, one for each occupied voxel of the coarsest cubic grid that leaves at least n.

    The point nearest to its voxel's mean stays; where the grid leaves more than n, random ones go (by `seed`).
    """
    _check(n, len(points))
    if n == len(points):
        return np.arange(n)
    origin = points.min(axis=0)
    low, high = 0.0, float(np.ptp(points, axis=0).max()) * 1.001 or 1.0
    best = np.arange(len(points))
    for _ in range(_BISECTIONS):
        size = (low + high) / 2
        kept = voxel_thin(points, size, origin)
        if len(kept) >= n:
            low, best = size, kept
        else:
            high = size
        if len(best) == n:
            return best
    return np.sort(np.random.default_rng(seed).choice(best, n, replace=False))


def voxel_thin(points: np.ndarray, size: float, origin: np.ndarray | None = None) -> NDArray[np.int64]:
    """Ascending indices of one of (N, 3) points for each occupied voxel: the one nearest to the voxel's mean."""
    cell = np.floor((points - (points.min(axis=0) if origin is None else origin)) / size).astype(np.int64)
    _, voxel = np.unique(cell, axis=0, return_inverse=True)
    voxel = voxel.ravel()
    counts = np.bincount(voxel)
    mean = np.stack([np.bincount(voxel, points[:, c]) for c in range(points.shape[1])], axis=1) / counts[:, None]
    distance = ((points - mean[voxel]) ** 2).sum(axis=1)
    order = np.lexsort((distance, voxel))
    return np.sort(order[np.cumsum(counts) - counts])


def _drop_nearest(points: np.ndarray, kept: np.ndarray, n: int) -> NDArray[np.int64]:
    if len(kept) > n:
        gap = cKDTree(points[kept]).query(points[kept], k=2)[0][:, 1]
        kept = kept[np.sort(np.argsort(gap, kind="stable")[len(kept) - n :])]
    return kept


def _check(n: int, size: int) -> None:
    if n < 1 or n > size:
        raise OptionError(f"cannot keep {n} of {size} points")
