"""Operations on batches of points: farthest point sampling, nearest neighbors, gathering."""

from __future__ import annotations

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from ..geometry.fps import farthest_point_sample
from ..geometry.knn import knn

_SMALL = 8192  # below this number of points, threads are not worth their cost
_FLAT = 3  # up to this number of channels, a tree is faster than all distances
_BLOCK = 1 << 26  # largest number of entries of a distance matrix


def gather(values: Tensor, index: Tensor) -> Tensor:
    """Values (B, ..., C): those of `values` (B, N, C) at `index` (B, ...)."""
    batch, size, channels = values.shape
    if batch > 1:
        begin = torch.arange(batch, device=index.device) * size
        index = index + begin.view(batch, *[1] * (index.ndim - 1))
    return values.reshape(-1, channels).index_select(0, index.flatten()).view(*index.shape, channels)


def nearest(points: Tensor, queries: Tensor, k: int) -> Tensor:
    """Indices (B, M, min(k, N)) of the points (B, N, C) nearest to queries (B, M, C), nearest first."""
    points, queries, k = points.detach(), queries.detach(), min(k, points.shape[1])
    if points.dtype != torch.float64:  # features of 16 bits, under autocast
        points, queries = points.float(), queries.float()
    if points.device.type == "cpu" and points.shape[2] <= _FLAT:
        found = [_nearest(one.numpy(), ask.numpy(), k) for one, ask in zip(points, queries, strict=True)]
        return torch.from_numpy(np.stack(found))
    if points.device.type != "cpu" and len(points) * points.shape[1] * queries.shape[1] > _BLOCK:
        return torch.stack([knn(one, ask, k)[1] for one, ask in zip(points, queries, strict=True)])
    parts = queries.split(max(1, _BLOCK // (len(points) * points.shape[1])), dim=1)
    away = (torch.cdist(part, points, compute_mode="donot_use_mm_for_euclid_dist") for part in parts)
    return torch.cat([distance.topk(k, dim=2, largest=False).indices for distance in away], dim=1)


def _nearest(points: np.ndarray, queries: np.ndarray, k: int) -> np.ndarray:
    workers = -1 if len(queries) > _SMALL else 1
    index = cKDTree(points).query(queries, k=k, workers=workers)[1]
    return index.reshape(len(queries), k).astype(np.int64, copy=False)


def farthest_points(points: Tensor, n: int, start: int | None = None) -> Tensor:
    """Indices (B, n) of the farthest point sampling of points (B, N, 3), see `geometry.fps`.

    The first one is `start`, or by default the point farthest from the mean.
    """
    return farthest_point_sample(points.detach(), n, start=start)


def thinned(made: Tensor, ratio: int) -> Tensor:
    """The farthest points (B, n, r, 3) of new points (B, n, c, 3), in any order; the points themselves if c = r."""
    batch, size, copies, _ = made.shape
    if copies == ratio:
        return made
    flat = made.flatten(1, 2)
    return gather(flat, farthest_points(flat, ratio * size)).view(batch, size, ratio, 3)


def spacing(points: Tensor, neighbors: int = 8) -> Tensor:
    """The point spacing (B,) of clouds (B, N, 3): the square root of the area for each point, at the median point.

    The area is pi r^2 / k, with r the distance to the k-th neighbor. The spacing is 1 for a single point, or if most
    points are equal.
    """
    k = min(neighbors, points.shape[1] - 1)
    if k < 1:
        return points.new_ones(len(points))
    points = points.detach()
    last = gather(points, nearest(points, points, k + 1)[:, :, -1])
    side = (last - points).norm(dim=2).median(dim=1).values * (torch.pi / k) ** 0.5
    return torch.where(side > 0, side, torch.ones_like(side))
