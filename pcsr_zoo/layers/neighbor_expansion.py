"""The neighbor expansion unit of SSPU-Net (Zhao et al., ACM MM 2021, sec. 3.1, fig. 2)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from .picking import gather
from .self_attention import SelfAttention

_GRID = 0.2  # half the side of the square of codes, as in PU-GAN
_OWN, _OTHERS = 0.7, 0.0  # what alpha and beta begin at: new points a little nearer to their own point
_CODES = 2


class Expanded(NamedTuple):
    """What a neighbor expansion unit gives.

    Attributes:
        features: (B, N, r, C), of r copies of each point.
        share: (B, N, r), of the neighbor in the mixture, from 0 to 1.
    """

    features: Tensor
    share: Tensor


class NeighborExpansion(nn.Module):
    """Features of N points -> features of r copies of each, between it and its r nearest neighbors.

        alpha, beta = MLP([x_j; x_i; e_ij]),  h_j = sigmoid(alpha) x_i + sigmoid(beta) x_j          (eq. 1)

    then a code of its own for each copy, and self-attention. Ours are e_ij, which says where the neighbor is (the
    paper's features know positions, those of `DenseFeatures(relative=True)` do not), and that copies attend to the
    copies of the same point alone, which costs as much for each point however large the cloud is.

    Args:
        channels: C.
        copies: r.
        edge: channels of e.
        hidden: of the MLPs.
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
            own: (B, M, C), their features.
            features: (B, N, C), of all points.
            neighbors: (B, M, r), indices, nearest first; fewer in clouds of fewer points.
            edges: (B, M, r, edge channels), what is known of the way to each neighbor.
        """
        around = gather(features, neighbors)  # A; B is `own`, repeated
        hidden = self.own(own)[:, :, None] + gather(self.other(features), neighbors) + self.edge(edges)
        alpha, beta = torch.sigmoid(self.weights(torch.relu(hidden))).unbind(dim=3)
        mixed = alpha[..., None] * own[:, :, None] + beta[..., None] * around
        return Expanded(self.copies(mixed, edges), beta / (alpha + beta))


class DuplicatingExpansion(nn.Module):
    """What a neighbor expansion unit is compared with: copies of each point's own features (PU-GAN's), share 0.

    Arguments and results are those of `NeighborExpansion`.
    """

    def __init__(self, channels: int, copies: int = 4, edge: int = 8, hidden: int = 64) -> None:
        super().__init__()
        self.copies = Copies(channels, copies, 0)

    def forward(self, own: Tensor, features: Tensor, neighbors: Tensor, edges: Tensor) -> Expanded:
        same = own[:, :, None].expand(-1, -1, neighbors.shape[2], -1)
        return Expanded(self.copies(same, edges[..., :0]), torch.zeros_like(edges[..., 0]))


class Copies(nn.Module):
    """Mixed features (B, M, r, C) with a code for each copy and what is known of the edge, after self-attention."""

    def __init__(self, channels: int, copies: int, edge: int) -> None:
        super().__init__()
        self.mix = nn.Linear(channels + _CODES + edge, channels)
        self.attention = SelfAttention(channels)
        self.register_buffer("codes", grid_codes(copies), persistent=False)
        self.codes: Tensor

    def forward(self, mixed: Tensor, edges: Tensor) -> Tensor:
        codes = self.codes[: mixed.shape[2]].to(mixed).expand(*mixed.shape[:3], -1)
        return self.attention(torch.relu(self.mix(torch.cat([mixed, codes, edges], dim=3))))


def grid_codes(copies: int) -> Tensor:
    """(copies, 2): the most square grid with that many points in [-.2, .2]^2 (PU-GAN's)."""
    rows = max(k for k in range(1, int(copies**0.5) + 1) if copies % k == 0)
    columns = copies // rows
    across = torch.linspace(-_GRID, _GRID, columns) if columns > 1 else torch.zeros(1)
    down = torch.linspace(-_GRID, _GRID, rows) if rows > 1 else torch.zeros(1)
    return torch.cartesian_prod(down, across).view(copies, 2)
