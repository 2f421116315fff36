"""The distribution of PointLIE's latent variable: N(0, I) as published, or one that sees the sampled points (ours)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...layers.couplings import Neighborhood
from ...layers.graph import NeighborGraph, neighbor_graph
from ...layers.picking import spacing

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

    It sees several rounds of neighbors, through differences in units of the point spacing; it begins as N(0, I).

    Args:
        channels: of z.
        hidden: of the heads.
        growth, dense, neighbors: of the dense feature extraction: growth, blocks, k.
        vectors: mu is made of sums of offsets to neighbors, see `layers.couplings`.
    """

    def __init__(self, channels: int, hidden: int, growth: int, dense: int, neighbors: int, vectors: bool) -> None:
        super().__init__()
        self.neighbors = neighbors
        self.neighbourhood = Neighborhood(0, channels, hidden, growth, dense, vectors)

    def forward(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """For points (B, n, 3): mean and log sigma of z, both (B, n, channels)."""
        graph = neighbor_graph(points / spacing(points)[:, None, None], self.neighbors)
        mean, log_sigma = self.neighbourhood(points[:, :, 3:], graph)
        return mean, _NARROWEST * torch.tanh(log_sigma / _NARROWEST)


def laid_into_surface(noise: Tensor, graph: NeighborGraph) -> Tensor:
    """Vectors (B, n, C) at points, turned and shortened into the directions in which their neighbors lie.

    Each is multiplied by the second moments of the offsets to the neighbors, over half their trace: in the middle of a
    plane what is parallel to it stays and what is not vanishes.
    """
    assert graph.edges is not None
    offsets = graph.edges[..., :3]
    weighted = offsets if graph.weight is None else offsets * graph.weight[..., None]
    moments = weighted.mT @ offsets
    trace = moments.diagonal(dim1=2, dim2=3).sum(dim=2).clamp(min=1e-12)
    return (noise.unflatten(2, (-1, 3)) @ moments * (2 / trace)[..., None, None]).flatten(2)
