"""The generator of PU-GAN (Li et al., ICCV 2019, sec. 3.2, fig. 3)."""

from __future__ import annotations

from torch import Tensor, nn

from ...errors import OptionError
from ...layers.dense_edge_conv import DenseFeatures
from ...layers.patch_expansion import UpDownUp


class Generator(nn.Module):
    """Dense features, the up-down-up expansion unit, and an MLP to coordinates.

    Args:
        copies: new points for each point; r + 2, of which the farthest r are the result.
        growth, blocks, neighbors: of the dense features, whose graphs are those of the nearest features.
        width: channels of the expansion unit.
        hidden: channels of the layer before the coordinates.
    """

    def __init__(
        self,
        copies: int = 6,
        growth: int = 24,
        blocks: int = 4,
        neighbors: int = 16,
        width: int = 128,
        hidden: int = 64,
    ) -> None:
        super().__init__()
        if min(copies, growth, blocks, neighbors, width, hidden) < 1:
            raise OptionError("copies, growth, blocks, neighbors, width and hidden must be at least 1")
        self.dense = DenseFeatures(3, 2 * growth, growth, blocks=blocks, neighbors=neighbors, start=growth)
        self.compress = nn.Sequential(nn.Linear(self.dense.out_channels, width), nn.ReLU())
        self.expand = UpDownUp(width, copies, 2 * width, 2 * width)
        self.place = nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, 3))

    def forward(self, points: Tensor) -> Tensor:
        """New points (B, N, copies, 3) of patches (B, N, 3) with mean 0 and radius 1."""
        made: Tensor = self.place(self.expand(self.compress(self.dense(points))))
        return made
