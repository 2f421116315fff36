"""The network of SSPU-Net (Zhao et al., ACM MM 2021, sec. 3.1, fig. 1)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...errors import OptionError
from ...layers.dense_edge_conv import DenseFeatures
from ...layers.patch_expansion import NeighborUnit, UpDownUp
from ...layers.picking import nearest

EXPANSIONS = {"neighbors": NeighborUnit, "up-down-up": UpDownUp}


class SSPUNetwork(nn.Module):
    """Dense features X, two neighbor expansion units, and a coordinate MLP:

        Y = NEU1(X),  Z = NEU2(X - MLP(Y)),  coordinates = MLP(Z)

    Args:
        copies: r, new points for each point, and k of the neighbors that are mixed.
        width: C, channels of the units.
        growth, blocks, neighbors: of the dense features, whose graphs are those of the nearest features.
        hidden: channels of the MLPs.
        expansion: "neighbors", or "up-down-up" for PU-GAN's unit.
    """

    def __init__(
        self,
        copies: int = 4,
        width: int = 64,
        growth: int = 12,
        blocks: int = 4,
        neighbors: int = 16,
        hidden: int = 64,
        expansion: str = "neighbors",
    ) -> None:
        super().__init__()
        if min(copies, width, growth, blocks, neighbors, hidden) < 1:
            raise OptionError("copies, width, growth, blocks, neighbors and hidden must be at least 1")
        if expansion not in EXPANSIONS:
            raise OptionError(f"expansion '{expansion}' is unknown; use {' or '.join(EXPANSIONS)}")
        self.copies = copies
        self.dense = DenseFeatures(3, 2 * growth, growth, blocks=blocks, neighbors=neighbors)
        self.compress = nn.Sequential(nn.Linear(self.dense.out_channels, width), nn.ReLU())
        unit = EXPANSIONS[expansion]
        self.first, self.second = unit(width, copies, hidden), unit(width, copies, hidden)
        self.between = nn.Sequential(nn.Linear(copies * width, hidden), nn.ReLU(), nn.Linear(hidden, width))
        self.place = nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, 3))

    def forward(self, points: Tensor) -> Tensor:
        """New points (B, N, r, 3) of patches (B, N, 3) with mean 0 and radius 1."""
        around = nearest(points, points, self.copies + 1)[:, :, 1:]
        missing = self.copies - around.shape[2]
        if missing:  # in clouds of at most r points
            around = torch.cat([around, around[:, :, -1:].expand(-1, -1, missing)], dim=2)
        features = self.compress(self.dense(points))
        features = features - self.between(self.first(features, around).flatten(2))
        made: Tensor = self.place(self.second(features, around))
        return made
