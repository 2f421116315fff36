"""Thinning: Poisson-disk and voxel-grid subsets, by radius or voxel size, or to an exact count."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ..errors import OptionError
from .dart_throwing import resolve_darts
from .fps import farthest_point_sample
from .kinds import is_tensor

_BISECTIONS = 24


def poisson_disk_thin(points: Any, radius: float, seed: int = 0) -> Any:
    """A maximal subset of points (N, C) in which no two are closer than `radius`, by dart throwing in random order.

    Args:
        points: (N, C) array or tensor.
        radius: in units of the points.
        seed: seed of the random order.

    Returns:
        Ascending indices (M,), an array or a tensor on the device of `points`. Every point that is left out is closer
        than `radius` to a kept one (Bridson's criterion).
    """
    if is_tensor(points):
        from . import thin_torch

        return thin_torch.poisson_disk_thin(points, radius, seed)
    order = np.random.default_rng(seed).permutation(len(points))
    if radius <= 0:
        return np.arange(len(points))
    # With blocks of doubling size, early points exclude most of a dense region before its pairs are listed.
    kept = order[:0]
    begin = 0
    while begin < len(points):
        block = order[begin : begin + max(1024, begin)]
        begin += len(block)
        if len(kept):
            gap = cKDTree(points[kept]).query(points[block], distance_upper_bound=2 * radius, workers=-1)[0]
            block = block[gap >= radius]
        kept = np.concatenate([kept, block[_throw(points[block], radius)]])
    return np.sort(kept)


def _throw(points: np.ndarray, radius: float) -> NDArray[np.bool_]:
    """Mask (N,) of the points that are kept: each one, in order, unless an earlier kept point is closer than radius."""
    pairs = cKDTree(points).query_pairs(np.nextafter(radius, 0.0), output_type="ndarray")
    first, second = pairs[:, 0], pairs[:, 1]  # first < second
    return resolve_darts(first, second, np.ones(len(points), bool))


def poisson_disk_sample(points: np.ndarray, n: int, seed: int = 0) -> NDArray[np.int64]:
    """Ascending indices (n,) of a Poisson-disk subset of exactly n points of (N, C).

    The radius is the smallest one, up to the precision of the search, that keeps at most n points. If it keeps fewer,
    farthest point sampling adds others.
    """
    _check(n, len(points))
    if n == len(points):
        return np.arange(n)
    extent = float(np.linalg.norm(np.ptp(points, axis=0))) or 1.0
    low, high, few = 0.0, 2.0 * extent, poisson_disk_thin(points, 2.0 * extent, seed)
    # the spacing of n random points is about half of the radius of n disks
    some = points[np.random.default_rng(seed).permutation(len(points))[: max(n, 2)]]
    middle = 1.6 * float(np.median(cKDTree(some).query(some, k=2)[0][:, 1])) or extent / np.sqrt(n)
    for _ in range(_BISECTIONS):
        kept = poisson_disk_thin(points, middle, seed)
        if len(kept) > n:
            low = middle
        else:
            high, few = middle, kept
        if 0 <= n - len(few) <= n // 500:
            break
        middle = (low + high) / 2 if low and high < 4 * low else 2 * low if low else high / 2
    rest = np.random.default_rng(seed).permutation(
        np.delete(np.arange(len(points)), few)
    )  # no bias where distances tie
    fill = farthest_point_sample(points[rest], n - len(few), selected=points[few])
    return np.sort(np.concatenate([few, rest[fill]]))


def voxel_sample(points: np.ndarray, n: int, seed: int = 0) -> NDArray[np.int64]:
    """Ascending indices (n,) of one point in each occupied voxel, for the coarsest cubic grid with at least n of them.

    In each voxel, the point closest to the mean is kept. If the grid keeps more than n points, random ones are dropped
    (by `seed`).
    """
    _check(n, len(points))
    if n == len(points):
        return np.arange(n)
    origin = points.min(axis=0)
    low, high = 0.0, float(np.ptp(points, axis=0).max()) * 1.001 or 1.0
    for _ in range(_BISECTIONS):
        size = (low + high) / 2
        cells = np.sort(_cells(points, size, origin))  # np.unique hashes, which is far slower
        count = 1 + np.count_nonzero(cells[1:] != cells[:-1])
        if count >= n:
            low = size
        else:
            high = size
        if count == n:
            break
    best = voxel_thin(points, low, origin) if low else np.arange(len(points))
    turn = np.random.default_rng(seed).permutation(len(points))  # by point, so that one more voxel changes little
    return np.sort(best[np.argsort(turn[best])[:n]])


def voxel_thin(points: Any, size: float, origin: Any | None = None) -> Any:
    """Ascending indices (M,) of the point closest to the mean in each occupied voxel, for points (N, 3).

    The indices are an array, or a tensor on the device of `points`. `size` and `origin` are in units of the points.
    """
    if is_tensor(points):
        from . import thin_torch

        return thin_torch.voxel_thin(points, size, origin)
    cells = _cells(points, size, points.min(axis=0) if origin is None else origin)
    _, voxel = np.unique(cells, return_inverse=True)
    counts = np.bincount(voxel)
    mean = np.stack([np.bincount(voxel, points[:, c]) for c in range(points.shape[1])], axis=1) / counts[:, None]
    distance = ((points - mean[voxel]) ** 2).sum(axis=1)
    distance = np.round(distance / size**2, 9)  # two points in a voxel tie, without rounding errors
    order = np.lexsort((distance, voxel))
    return np.sort(order[np.cumsum(counts) - counts])


def _cells(points: np.ndarray, size: float, origin: np.ndarray) -> NDArray[np.int64]:
    """The number (N,) of each point's voxel."""
    cell = np.floor((points - origin) / size).astype(np.int64)
    cell -= cell.min(axis=0)
    shape = cell.max(axis=0) + 1
    if np.prod(shape.astype(np.float64)) < 2.0**62:  # sorting single numbers is ten times faster than rows
        return (cell[:, 0] * shape[1] + cell[:, 1]) * shape[2] + cell[:, 2]
    return np.unique(cell, axis=0, return_inverse=True)[1].ravel()


def _check(n: int, size: int) -> None:
    if n < 1 or n > size:
        raise OptionError(f"cannot keep {n} of {size} points")
