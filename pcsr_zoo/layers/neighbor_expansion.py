"""The neighbor expansion unit of SSPU-Net (Zhao et al., ACM MM 2021, sec. 3.1, fig. 2)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from .picking import gather
from .self_attention import SelfAttention

_GRID = 0.2  # half the side of the square of grid codes, as in PU-GAN
_OWN, _OTHERS = 0.7, 0.0  # initial alpha and beta: new points are a little closer to their own point
CODES = 2  # numbers in a grid code


class Expanded(NamedTuple):
    """The result of a neighbor expansion unit.

    Attributes:
        features: (B, N, r, C), features of r copies of each point.
        share: (B, N, r), the share of the neighbor in the mixture, from 0 to 1.
    """

    features: Tensor
    share: Tensor


class NeighborExpansion(nn.Module):
    """Features of N points -> features of r copies of each, mixed from the point and its r nearest neighbors.

        alpha, beta = MLP([x_j; x_i; e_ij]),  h_j = sigmoid(alpha) x_i + sigmoid(beta) x_j          (eq. 1)

    A grid code for each copy and self-attention follow. Two parts are ours: the edge features e_ij with the neighbor's
    offset (the paper's features contain positions, those of `DenseFeatures(relative=True)` do not); and attention only
    among the copies of the same point, so that the cost for each point does not depend on the size of the cloud.

    Args:
        channels: C.
        copies: r.
        edge: channels of e.
        hidden: channels of the MLPs.
    """

    def __init__(self, channels: int, copies: int = 4, edge: int = 8, hidden: int = 64) -> None:
        super().__init__()
        self.own = nn.Linear(channels, hidden)
        self.other = nn.Linear(channels, hidden, bias=False)
        self.edge = nn.Linear(edge, hidden, bias=False)
        self.weights = nn.Linear(hidden, 2)
        nn.init.normal_(self.weights.weight, std=0.01)
        with torch.no_grad():
            self.weights.bias.copy_(torch.tensor([_OWN, _OTHERS]))
        self.copies = Copies(channels, copies, edge)

    def forward(self, own: Tensor, features: Tensor, neighbors: Tensor, edges: Tensor) -> Expanded:
        """Expand M of the N points.

        Args:
            own: (B, M, C), features of the M points.
            features: (B, N, C), features of all points.
            neighbors: (B, M, r), indices of the neighbors, nearest first; fewer in clouds of fewer points.
            edges: (B, M, r, edge channels), the edge features e_ij.
        """
        around = gather(features, neighbors)  # A; B is `own`, repeated
        hidden = self.own(own)[:, :, None] + gather(self.other(features), neighbors) + self.edge(edges)
        alpha, beta = torch.sigmoid(self.weights(torch.relu(hidden))).unbind(dim=3)
        mixed = alpha[..., None] * own[:, :, None] + beta[..., None] * around
        return Expanded(self.copies(mixed, edges), beta / (alpha + beta))


class DuplicatingExpansion(nn.Module):
    """The baseline of the ablation: PU-GAN's copies of each point's own features, with share 0.

    Arguments and results are as in `NeighborExpansion`.
    """

    def __init__(self, channels: int, copies: int = 4, edge: int = 8, hidden: int = 64) -> None:
        super().__init__()
        self.copies = Copies(channels, copies, 0)

    def forward(self, own: Tensor, features: Tensor, neighbors: Tensor, edges: Tensor) -> Expanded:
        same = own[:, :, None].expand(-1, -1, neighbors.shape[2], -1)
        return Expanded(self.copies(same, edges[..., :0]), torch.zeros_like(edges[..., 0]))


class Copies(nn.Module):
    """Mixed features (B, M, r, C) with a grid code and edge features for each copy, after self-attention."""

    def __init__(self, channels: int, copies: int, edge: int) -> None:
        super().__init__()
        self.mix = nn.Linear(channels + CODES + edge, channels)
        self.attention = SelfAttention(channels)
        self.register_buffer("codes", grid_codes(copies), persistent=False)
        self.codes: Tensor

    def forward(self, mixed: Tensor, edges: Tensor) -> Tensor:
        codes = self.codes[: mixed.shape[2]].to(mixed).expand(*mixed.shape[:3], -1)
        return self.attention(torch.relu(self.mix(torch.cat([mixed, codes, edges], dim=3))))


def grid_codes(copies: int) -> Tensor:
    """Codes (copies, 2) of PU-GAN: the grid of this many points in [-0.2, 0.2]^2 that is closest to a square."""
    rows = max(k for k in range(1, int(copies**0.5) + 1) if copies % k == 0)
    columns = copies // rows
    across = torch.linspace(-_GRID, _GRID, columns) if columns > 1 else torch.zeros(1)
    down = torch.linspace(-_GRID, _GRID, rows) if rows > 1 else torch.zeros(1)
    return torch.cartesian_prod(down, across).view(copies, 2)
