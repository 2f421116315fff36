"""Neighbor graphs with weights that make messages continuous in the positions."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from .picking import gather, nearest

_FAR = 4.0


@dataclass(frozen=True)
class NeighborGraph:
    """The neighbors of each point in a batch of clouds.

    Attributes:
        index: (B, N, k), the point itself and its nearest neighbors, nearest first.
        edges: (B, N, k, 4), the offsets from the point to them, and their lengths; None for networks that do not use
            positions.
        weight: (B, N, k), the weights of their messages; None for 1.
    """

    index: Tensor
    edges: Tensor | None = None
    weight: Tensor | None = None

    @property
    def size(self) -> int:
        return self.index.shape[1]

    @cached_property
    def by_neighbor(self) -> NeighborGraph:
        """The same with the neighbors first: (B, k, N, ...). Sums and maxima over the neighbors are faster so."""
        edges, weight = self.edges, self.weight
        return NeighborGraph(
            self.index.transpose(1, 2).contiguous(),
            None if edges is None else edges.transpose(1, 2).contiguous(),
            None if weight is None else weight.transpose(1, 2).contiguous(),
        )

    @cached_property
    def weighted_edges(self) -> Tensor:
        """(B, k, N, 5), the edges and 1, times the weights of the messages, with the neighbors first."""
        edges, weight = self.by_neighbor.edges, self.by_neighbor.weight
        assert edges is not None
        extended = torch.cat([edges, edges.new_ones(*edges.shape[:3], 1)], dim=3)
        return extended if weight is None else extended * weight[..., None]

    def part(self, begin: int, end: int) -> NeighborGraph:
        """The graph of points `begin` to `end - 1`."""
        if (begin, end) == (0, self.size):
            return self  # with what it has cached
        edges = None if self.edges is None else self.edges[:, begin:end]
        weight = None if self.weight is None else self.weight[:, begin:end]
        return NeighborGraph(self.index[:, begin:end], edges, weight)


def neighbor_graph(points: Tensor, k: int, unit: float = 1.0, latent: Tensor | None = None) -> NeighborGraph:
    """The graph of points (B, N, 3) to themselves and k neighbors, with edges in multiples of `unit`.

    Long edges are shortened, to at most 4 units: distant points are rare in training and must not give large inputs.

    The message of a neighbor at distance d has the weight max(0, 1 - d^2 / c^2), where c is the distance of neighbor
    k + 1, the first one that is left out. A neighbor that enters or leaves the set has weight 0, so the messages are
    continuous in the positions. With fewer points, all others are neighbors.

    Args:
        points: (B, N, 3).
        k: neighbors of each point beside itself.
        unit: length of the unit of the edges.
        latent: further channels (B, N, C). With them, distances are those in feature space: of the positions in `unit`
            and these channels together.
    """
    places = points if latent is None else torch.cat([points / unit, latent], dim=2)
    index = nearest(places, places, k + 2)
    offsets = gather(points, index) - points[:, :, None]
    spatial = (offsets * offsets).sum(dim=3)
    squared = spatial if latent is None else (gather(places, index) - places[:, :, None]).square().sum(dim=3)
    if index.shape[2] > k + 1:
        cut = squared[:, :, -1:]
        index, offsets, squared, spatial = index[:, :, :-1], offsets[:, :, :-1], squared[:, :, :-1], spatial[:, :, :-1]
    else:
        cut = 2 * squared[:, :, -1:]
    weight = torch.relu(1 - squared / cut.clamp(min=1e-30))
    edges = torch.cat([offsets, (spatial + 1e-12)[..., None].sqrt()], dim=3) / unit
    return NeighborGraph(index, edges * shortening(edges[..., 3:]), weight)


def shortening(length: Tensor) -> Tensor:
    """The factor that shortens lengths: about 1 for small lengths; products never exceed 4."""
    return (1 + (length / _FAR) ** 2).rsqrt()
