"""The distribution of PointLIE's latent variable: N(0, I) as published, or one that sees the sampled points (ours)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..layers.dense_edge_conv import DenseFeatures
from ..layers.graph import neighbour_graph
from ..layers.picking import spacing

_NARROWEST = 3.0  # log sigma stays between plus and minus this


class StandardPrior(nn.Module):
    """Mean 0 and log sigma 0, whatever the points."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """For points (B, n, 3): mean and log sigma of z, both (B, n, channels)."""
        zero = points.new_zeros(*points.shape[:2], self.channels)
        return zero, zero


class GeometryPrior(nn.Module):
    """p(z | P_hat) = N(mu, sigma^2): what the local shape of the sampled points says of what was lost.

    Dense feature extraction over several rounds of neighbours, seen through differences in units of the point spacing;
    it begins as N(0, I).

    Args:
        channels: of z.
        hidden: of the head.
        growth, dense, neighbours: of the dense feature extraction: growth, blocks, k.
    """

    def __init__(self, channels: int, hidden: int, growth: int, dense: int, neighbours: int) -> None:
        super().__init__()
        self.neighbours = neighbours
        self.features = DenseFeatures(0, 2 * growth, growth, blocks=dense, relative=True)
        self.hidden = nn.Linear(self.features.out_channels, hidden)
        self.out = nn.Linear(hidden, 2 * channels)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """For points (B, n, 3): mean and log sigma of z, both (B, n, channels)."""
        graph = neighbour_graph(points / spacing(points)[:, None, None], self.neighbours)
        features = self.features(points.new_zeros(*points.shape[:2], 0), graph)
        mean, log_sigma = self.out(torch.nn.functional.silu(self.hidden(features))).chunk(2, dim=2)
        return mean, _NARROWEST * torch.tanh(log_sigma / _NARROWEST)
