"""Thinning on a torch device, with the same results as `geometry.thin`, which calls this module for tensors."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from .dart_throwing import resolve_darts

# Largest number of entries in a block of pairwise distances.
_BLOCK = 1 << 26


def poisson_disk_thin(points: Tensor, radius: float, seed: int = 0) -> Tensor:
    """`thin.poisson_disk_thin` for a tensor (N, C), with the same random order: ascending int64 indices (M,)."""
    size = len(points)
    if radius <= 0:
        return torch.arange(size, device=points.device)
    order = torch.from_numpy(np.random.default_rng(seed).permutation(size)).to(points.device)
    kept = order[:0]
    begin = 0
    while begin < size:
        block = order[begin : begin + max(1024, begin)]
        begin += len(block)
        if len(kept):
            block = block[~_Near(points[block], points[kept], radius).any_in_row]
        kept = torch.cat([kept, block[_throw(points[block], radius)]])
    return kept.sort().values


class _Near:
    """The pairs of points (A, C) and (B, C) that are closer than a radius, searched in blocks."""

    def __init__(self, a: Tensor, b: Tensor, radius: float) -> None:
        self.any_in_row = torch.zeros(len(a), dtype=torch.bool, device=a.device)
        rows, columns = [], []
        step = max(1, _BLOCK // max(1, len(b)))
        for begin in range(0, len(a), step):
            part = torch.cdist(a[begin : begin + step], b, compute_mode="donot_use_mm_for_euclid_dist") < radius
            self.any_in_row[begin : begin + step] = part.any(dim=1)
            row, column = part.nonzero(as_tuple=True)
            rows.append(row + begin)
            columns.append(column)
        self.rows, self.columns = torch.cat(rows), torch.cat(columns)


def _throw(points: Tensor, radius: float) -> Tensor:
    """Mask (N,) of the points that are kept: each one, in order, unless an earlier kept point is closer than radius."""
    waiting = torch.ones(len(points), dtype=torch.bool, device=points.device)
    if len(points) == 0:
        return waiting
    near = _Near(points, points, radius)
    ordered = near.rows < near.columns
    return resolve_darts(near.rows[ordered], near.columns[ordered], waiting)


def voxel_thin(points: Tensor, size: float, origin: Tensor | None = None) -> Tensor:
    """`thin.voxel_thin` for a tensor (N, 3). Returns ascending int64 indices (M,)."""
    cell = ((points - (points.amin(dim=0) if origin is None else origin)) / size).floor().long()
    _, voxel, counts = torch.unique(cell, dim=0, return_inverse=True, return_counts=True)
    total = torch.zeros(len(counts), points.shape[1], dtype=points.dtype, device=points.device)
    mean = total.index_add_(0, voxel, points) / counts[:, None]
    distance = ((points - mean[voxel]) ** 2).sum(dim=1)
    distance = (distance / size**2).round(decimals=9)  # ties as in `thin.voxel_thin`
    order = distance.sort(stable=True).indices  # by voxel, then distance, then index
    order = order[voxel[order].sort(stable=True).indices]
    return order[counts.cumsum(0) - counts].sort().values
