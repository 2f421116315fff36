"""k nearest neighbors, by a k-d tree (scipy) for arrays and CPU tensors, and by blocks of `cdist` on CUDA."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from ..errors import CloudError, OptionError
from .kinds import is_tensor

# Blocks of pairwise distances on a CUDA device stay below this many entries.
_BLOCK = 1 << 26


def knn(points: Any, queries: Any, k: int) -> tuple[Any, Any]:
    """The k nearest `points` of every query, nearest first.

    Args:
        points: (N, C) array or tensor, finite.
        queries: (M, C), of the same kind.
        k: number of neighbors; all N points if the cloud has fewer.

    Returns:
        The Euclidean distances (M, min(k, N)), in units of the points, and int64 indices (M, min(k, N)).

    Raises:
        OptionError: k < 1.
        CloudError: there are no points, the shapes do not fit, or a value is NaN or infinite.
    """
    if k < 1:
        raise OptionError(f"k must be at least 1, got {k}")
    if points.ndim != 2 or queries.ndim != 2 or points.shape[1] != queries.shape[1]:
        raise CloudError(f"knn needs (N, C) and (M, C), got {tuple(points.shape)} and {tuple(queries.shape)}")
    if len(points) == 0:
        raise CloudError("knn needs at least one point")
    k = min(k, len(points))
    if is_tensor(points):
        import torch

        if points.device.type != "cpu":
            return _knn_cdist(points, queries, k)
        distance, index = knn(points.detach().double().numpy(), queries.detach().double().numpy(), k)
        return torch.from_numpy(distance).to(points.dtype), torch.from_numpy(index)
    return KNN(points).query(queries, k)


class KNN:
    """A k-d tree for many queries; `query` is `knn` without the points.

    Args:
        points: (N, C) finite float64, N at least 1.

    Raises:
        CloudError: a value is NaN or infinite.
    """

    def __init__(self, points: np.ndarray) -> None:
        if not np.isfinite(points).all():
            raise CloudError("knn needs finite points")
        self.tree = cKDTree(points)

    def query(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Distances and indices, both (M, min(k, N)), of the points nearest to queries (M, C), nearest first.

        Raises:
            CloudError: a query is NaN or infinite.
        """
        if not np.isfinite(queries).all():
            raise CloudError("knn needs finite queries")
        k = min(k, self.tree.n)  # scipy would pad with the index N
        distance, index = self.tree.query(queries, k=k, workers=-1)
        shape = (len(queries), k)
        return distance.reshape(shape), index.reshape(shape).astype(np.int64, copy=False)


def _knn_cdist(points: Any, queries: Any, k: int) -> tuple[Any, Any]:
    import torch

    step = max(1, _BLOCK // len(points))
    best = [
        torch.cdist(part, points, compute_mode="donot_use_mm_for_euclid_dist").topk(k, dim=1, largest=False)
        for part in queries.split(step)
    ]
    if not best:
        return queries.new_empty(0, k), torch.empty(0, k, dtype=torch.int64, device=queries.device)
    return torch.cat([b.values for b in best]), torch.cat([b.indices for b in best])
