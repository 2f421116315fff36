"""Farthest point sampling of tensors: the plain greedy loop for small clouds and on a GPU, else that for arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from scipy.spatial.distance import cdist

from ..errors import OptionError
from .fps_array import check_count, first_pick, sample_array

_SMALL = 8192  # the plain loop is the fastest for CPU tensors with fewer points,
_MATRIX = 1536  # with a matrix of all distances below this number


def sample_tensors(points: Any, n: int, start: int | None, selected: Any, seed: int | None) -> Any:
    if points.ndim == 2 and points.device.type == "cpu":
        array = points.detach().double().numpy()
        chosen = None if selected is None else torch.as_tensor(selected).detach().cpu().double().numpy()
        return torch.from_numpy(sample_array(array, n, start=start, selected=chosen, seed=seed))
    batch = points if points.ndim == 3 else points[None]
    check_count(n, batch.shape[1], start)
    if selected is not None and points.ndim == 3:
        raise OptionError("farthest point sampling takes `selected` points only for an unbatched cloud")
    if points.device.type == "cpu" and seed is None:
        rows = [one.detach().double().numpy() for one in batch]
        if batch.shape[1] > _SMALL:
            return torch.from_numpy(np.stack([sample_array(row, n, start=start) for row in rows]))
        return torch.from_numpy(np.stack([_fps_small(row, n, start) for row in rows]))
    if n == 0:
        picks = torch.empty(len(batch), 0, dtype=torch.int64, device=points.device)
    else:
        picks = greedy_batch(batch.detach(), n, start, selected, seed)
    return picks if points.ndim == 3 else picks[0]


def _fps_small(points: np.ndarray, n: int, start: int | None) -> np.ndarray:
    """The plain greedy loop for points (N, 3), which is the fastest for the small clouds of training on a CPU."""
    size = len(points)
    value, picks = np.full(size, np.inf), np.empty(n, np.int64)
    last = first_pick(points, start, None)
    squared = cdist(points, points, "sqeuclidean") if size <= _MATRIX else None
    x, y, z = np.ascontiguousarray(points.T)
    for k in range(n):
        picks[k] = last
        if squared is not None:
            np.minimum(value, squared[last], out=value)
        else:
            away, part = x - x[last], y - y[last]
            away *= away
            part *= part
            away += part
            part = z - z[last]
            part *= part
            away += part
            np.minimum(value, away, out=value)
        value[last] = -1.0
        last = int(value.argmax())
    return picks


def greedy_batch(points: Any, n: int, start: int | None, selected: Any, seed: int | None) -> Any:
    """The plain greedy loop for a batch (B, N, C) on a GPU."""
    size = points.shape[1]
    rows = torch.arange(len(points), device=points.device)
    picks = torch.empty(len(points), n, dtype=torch.int64, device=points.device)
    if selected is not None and len(selected):
        chosen = torch.as_tensor(selected, dtype=points.dtype, device=points.device)
        parts = [torch.cdist(part, chosen).amin(dim=1) ** 2 for part in points[0].split(16384)]
        value = torch.cat(parts)[None].expand(len(points), size).clone()
        last = value.argmax(dim=1)
    else:
        value = points.new_full(points.shape[:2], torch.inf)
        if start is not None:
            last = torch.full((len(points),), int(start), device=points.device)
        elif seed is not None:
            last = torch.full((len(points),), int(np.random.default_rng(seed).integers(size)), device=points.device)
        else:
            last = ((points - points.mean(dim=1, keepdim=True)) ** 2).sum(dim=2).argmax(dim=1)
    for k in range(n):
        picks[:, k] = last
        value = torch.minimum(value, ((points - points[rows, last, None]) ** 2).sum(dim=2))
        value[rows, picks[:, k]] = -1.0
        last = value.argmax(dim=1)
    return picks
