"""Squared distances to the nearest point of another cloud, which several losses use."""

from __future__ import annotations

from torch import Tensor

from ..layers.picking import gather, nearest


def squared_gaps(a: Tensor, b: Tensor) -> Tensor:
    """min_j |a_i - b_j|^2 (B, N) of clouds a (B, N, 3) and b (B, M, 3), with gradients to both."""
    return (a - gather(b, nearest(b, a, 1)[:, :, 0])).square().sum(dim=2)
