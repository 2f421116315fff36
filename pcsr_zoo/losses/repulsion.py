"""PU-Net's repulsion loss (Yu et al., CVPR 2018, eq. 3)."""

from __future__ import annotations

import torch
from torch import Tensor

from ..layers.picking import gather, nearest


def repulsion_loss(points: Tensor, unit: Tensor | float = 1.0, h: float = 1.0, neighbors: int = 4) -> Tensor:
    """Mean over all points and their 4 nearest neighbors of eta(d) w(d), eta(d) = -d, w(d) = exp(-d^2 / h^2).

    It decreases with d up to h / sqrt(2), so that closer points repel each other, and is flat far away. PU-Net's h is
    0.03 of the radius of a patch of 4096 points, which is about one point spacing.

    Args:
        points: (B, N, 3).
        unit: the point spacing, or one for each example (B,). Distances are divided by it.
        h: the range, in units.
        neighbors: number of neighbors of each point.
    """
    others = nearest(points, points, neighbors + 1)[:, :, 1:]
    away = gather(points, others) - points[:, :, None]
    unit = torch.as_tensor(unit, dtype=points.dtype, device=points.device)
    squares = (away * away).sum(dim=3) / (unit.view(-1, 1, 1) if unit.ndim else unit) ** 2
    return -((squares + 1e-12).sqrt() * torch.exp(-squares / h**2)).mean()
