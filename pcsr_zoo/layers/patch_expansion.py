"""Expansion units of patch networks: features of N points -> features of r copies of each.

- `NeighborUnit`: SSPU-Net's neighbor expansion unit (Zhao et al., ACM MM 2021, sec. 3.1, fig. 2).
- `UpDownUp`: PU-GAN's up-down-up unit (Li et al., ICCV 2019, sec. 3.2), which SSPU-Net's table 3 puts in its place.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .neighbor_expansion import CODES, grid_codes
from .picking import gather
from .self_attention import SelfAttention


class Fusion(nn.Module):
    """Copies (B, N, r, C) with a 2-D grid code each, after self-attention over all copies of the patch: the same shape.

    Args:
        channels: C.
        copies: r.
        hidden: channels of the MLP's first layer; by default C.
    """

    def __init__(self, channels: int, copies: int, hidden: int | None = None) -> None:
        super().__init__()
        hidden = channels if hidden is None else hidden
        self.attention = SelfAttention(channels + CODES)
        self.mix = nn.Sequential(nn.Linear(channels + CODES, hidden), nn.ReLU(), nn.Linear(hidden, channels), nn.ReLU())
        self.register_buffer("codes", grid_codes(copies), persistent=False)
        self.codes: Tensor

    def forward(self, copies: Tensor) -> Tensor:
        codes = self.codes.to(copies).expand(*copies.shape[:2], -1, -1)
        together = torch.cat([copies, codes], dim=3)
        mixed: Tensor = self.mix(self.attention(together.flatten(1, 2)))
        return mixed.view_as(copies)

    def repeated(self, features: Tensor) -> Tensor:
        """The same (B, N, r, C) for copies that are equal but for their codes: features (B, N, C), repeated."""
        mixed: Tensor = self.mix(self.attention.of_copies(features, self.codes.to(features)))
        return mixed


class NeighborUnit(nn.Module):
    """Each copy mixes the features of a point and of one of its r nearest neighbors:

        alpha, beta = MLP([x_j; x_i]),  h_j = sigmoid(alpha) x_i + sigmoid(beta) x_j          (eq. 1)

    Args:
        channels: C.
        copies: r.
        hidden: channels of the MLP.
    """

    def __init__(self, channels: int, copies: int = 4, hidden: int = 64) -> None:
        super().__init__()
        self.weights = nn.Sequential(nn.Linear(2 * channels, hidden), nn.ReLU(), nn.Linear(hidden, 2))
        self.fuse = Fusion(channels, copies)

    def forward(self, features: Tensor, neighbors: Tensor) -> Tensor:
        """Features (B, N, C) and indices of the neighbors (B, N, r) -> (B, N, r, C)."""
        theirs = gather(features, neighbors)
        own = features[:, :, None].expand_as(theirs)
        alpha, beta = torch.sigmoid(self.weights(torch.cat([theirs, own], dim=3))).unbind(dim=3)
        mixed: Tensor = self.fuse(alpha[..., None] * own + beta[..., None] * theirs)
        return mixed


class UpDownUp(nn.Module):
    """Features that are repeated and fused (up), brought back (down), and corrected by what was lost (up again).

    Shapes are those of `NeighborUnit`; the neighbors are not used.

    Args:
        channels: C.
        copies: r.
        hidden: channels of the MLP of the way down.
        mix: channels of the MLPs of the ways up, see `Fusion`.
    """

    def __init__(self, channels: int, copies: int = 4, hidden: int = 64, mix: int | None = None) -> None:
        super().__init__()
        self.up, self.again = Fusion(channels, copies, mix), Fusion(channels, copies, mix)
        self.down = nn.Sequential(
            nn.Linear(copies * channels, hidden), nn.ReLU(), nn.Linear(hidden, channels), nn.ReLU()
        )

    def forward(self, features: Tensor, neighbors: Tensor | None = None) -> Tensor:
        up = self.up.repeated(features)
        again: Tensor = self.again.repeated(self.down(up.flatten(2)) - features)
        return up + again
