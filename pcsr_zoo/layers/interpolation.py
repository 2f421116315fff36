"""Features of points from those of other points near them."""

from __future__ import annotations

import torch
from torch import Tensor

from .picking import gather, nearest


def interpolate(features: Tensor, points: Tensor, queries: Tensor, neighbors: int = 3) -> Tensor:
    """PointNet++'s interpolation (Qi et al., 2017, eq. 2): means with the weights 1 / d^2 of the nearest points.

    Args:
        features: (B, N, C), features of points (B, N, 3).
        points: (B, N, 3).
        queries: (B, M, 3).
        neighbors: the number of nearest points.

    Returns:
        Features (B, M, C) of the queries.
    """
    index = nearest(points, queries, neighbors)
    squared = (gather(points, index) - queries[:, :, None]).square().sum(dim=3)
    weight = 1 / squared.clamp(min=1e-10)
    weight = weight / weight.sum(dim=2, keepdim=True)
    return (weight[:, :, None] @ gather(features, index))[:, :, 0]


def bilateral_interpolate(features: Tensor, points: Tensor, own: Tensor, queries: Tensor, neighbors: int = 5) -> Tensor:
    """MPU's bilateral interpolation (Wang et al., CVPR 2019, sec. 3.2), a weighted mean over the nearest points j:

        w_ij = exp(-2 |x_i - x_j|^2 / r^2) exp(-2 |f_i - f_j|^2 / h^2)

    with r^2 and h^2 the mean squared distances to the closest j, in space and in features. The weights get no gradient.

    Args:
        features: (B, N, C), features of points (B, N, 3).
        points: (B, N, 3).
        own: (B, M, C), features of the queries.
        queries: (B, M, 3).
        neighbors: the number of nearest points.

    Returns:
        (B, M, C).
    """
    index = nearest(points, queries, neighbors)
    theirs = gather(features, index)
    with torch.no_grad():
        exponent = _scaled(gather(points, index) - queries[:, :, None]) + _scaled(theirs - own[:, :, None])
        weight = torch.softmax(-exponent, dim=2)
    return (weight[:, :, None] @ theirs)[:, :, 0]


def _scaled(away: Tensor) -> Tensor:
    """2 |a_ij|^2 over the mean of min_j |a_ij|^2, (B, M, k) from (B, M, k, C)."""
    squared = away.square().sum(dim=3)
    unit = squared.amin(dim=2, keepdim=True).mean(dim=1, keepdim=True)
    return 2 * squared / unit.clamp(min=1e-12)
