"""PU-GAN's uniform loss (Li et al., ICCV 2019, sec. 3.3, eq. 3 to 5)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..layers.picking import farthest_points, gather, nearest

FRACTIONS = (0.004, 0.006, 0.008, 0.010, 0.012)


def uniform_loss(
    points: Tensor, area: Tensor | float, fractions: Sequence[float] = FRACTIONS, seeds: float = 0.05
) -> Tensor:
    """Mean over disks of U_imbalance(S_j) U_clutter(S_j), summed over the disk sizes:

        U_imbalance(S_j) = (|S_j| - n)^2 / n,  n = p N
        U_clutter(S_j) = sum over k in S_j of (d_jk - d)^2 / d,  d = sqrt(2 pi r^2 / (|S_j| sqrt 3))

    A disk S_j is the ball around a seed with the fraction p of `area`; d_jk is the distance of its k-th point to the
    nearest other point of the cloud, and d is its value in a hexagonal lattice. U_imbalance has no gradient: it only
    weights the disks. Two choices are ours: lengths are in point spacings sqrt(area / N), so the value does not depend
    on the size of the cloud or the number of points; disks are those of `metrics.uniformity`.

    Args:
        points: (B, N, 3).
        area: area of the surface that the points cover, in squares of their unit; or one for each example (B,).
        fractions: p of each disk size.
        seeds: number of disks as a fraction of N; the seeds are chosen by farthest point sampling.
    """
    size = points.shape[1]
    area = torch.as_tensor(area, dtype=points.dtype, device=points.device)
    side = (area / size).sqrt()
    points = points / (side.view(-1, 1, 1) if side.ndim else side)
    others = gather(points, nearest(points, points, 2)[:, :, 1])
    gap = ((points - others).square().sum(dim=2) + 1e-12).sqrt()
    with torch.no_grad():
        centers = gather(points, farthest_points(points, max(1, round(seeds * size))))
        away = torch.cdist(centers, points, compute_mode="donot_use_mm_for_euclid_dist")
    total = points.new_zeros(())
    for p in fractions:
        expected = p * size
        radius = (expected / torch.pi) ** 0.5
        inside = (away < radius).to(points.dtype)
        count = inside.sum(dim=2).clamp(min=1)
        lattice = (2 * torch.pi * radius**2 / (count * 3**0.5)).sqrt()
        clutter = (inside * (gap[:, None] - lattice[:, :, None]) ** 2).sum(dim=2) / lattice
        total = total + ((count - expected) ** 2 / expected * clutter).mean()
    return total
