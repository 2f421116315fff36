"""Set abstraction with ball queries: PointNet++'s levels of fewer points with wider features (Qi et al., 2017)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from .dense_edge_conv import greatest
from .graph import NeighborGraph
from .picking import gather, nearest


def ball_query(points: Tensor, centers: Tensor, radius: float, k: int) -> tuple[Tensor, Tensor]:
    """The points within a ball around each center, at most the k nearest.

    PointNet++ takes the first k in the order of the points; the nearest do not depend on the order.

    Args:
        points: (B, N, 3).
        centers: (B, M, 3).
        radius: of the balls.
        k: the largest number of points.

    Returns:
        Indices (B, M, min(k, N)) of the nearest points, nearest first, and whether each is in the ball (B, M, k). The
        nearest point counts as being in it, so no ball is empty.
    """
    index = nearest(points, centers, k)
    inside = (gather(points, index) - centers[:, :, None]).square().sum(dim=3) <= radius**2
    inside[:, :, 0] = True
    return index, inside


class SetAbstraction(nn.Module):
    """Features of centers: an MLP of [x_j - x_i; f_j] over the points in each ball, with the maximum over the ball.

    Args:
        channels: C of the features of the points; 0 if they have none.
        widths: channels of the layers of the MLP.
        radius: of the balls, in units of the points.
        samples: the largest number of points in a ball.
    """

    def __init__(self, channels: int, widths: Sequence[int], radius: float, samples: int = 32) -> None:
        super().__init__()
        self.radius, self.samples = radius, samples
        self.first = nn.Linear(3 + channels, widths[0])
        self.more = nn.Sequential(*(layer for a, b in pairwise(widths) for layer in (nn.Linear(a, b), nn.ReLU())))

    def forward(self, points: Tensor, features: Tensor | None, centers: Tensor) -> Tensor:
        """Features (B, M, widths[-1]) of centers (B, M, 3), for points (B, N, 3) with features (B, N, C) or None."""
        index, inside = ball_query(points, centers, self.radius, self.samples)
        graph = NeighborGraph(index, weight=inside.to(points.dtype))
        given = points if features is None else torch.cat([points, features], dim=2)
        # the first layer is linear: once for each point and each center, not for each pair
        moved = gather(self.first(given), graph.by_neighbor.index) - (centers @ self.first.weight[:, :3].T)[:, None]
        return greatest(self.more(torch.relu(moved)), graph)
