"""PointLIE's rescale layer: a decomposition and point invertible blocks. Its inverse upsamples."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from .decomposition import candidates, decompose
from .invertible_scale import InvertibleScale
from .pi_block import PIBlock


class RescaleLayer(nn.Module):
    """Features (B, N, d) -> kept points (B, n, d) and their offsets (B, n, kd), scaled to unit variance.

    Args:
        channels: d; the first 3 are positions.
        blocks: M, the number of point invertible blocks.
        k: offsets of each kept point.
        unit: the spacing of the kept points in units of the positions.
        space: the space in which neighbors are searched, see `decompose`.
        graph: the `space` of each `PIBlock`.
        options: further options of each `PIBlock`.
    """

    def __init__(
        self,
        channels: int,
        blocks: int,
        k: int = 3,
        unit: float = 1.0,
        space: str = "features",
        graph: str = "features",
        **options: Any,
    ) -> None:
        super().__init__()
        self.k, self.space = k, space
        # The initial spread of offsets: the nearest discarded point is about 0.9 point spacings away, 0.5 along each
        # axis, the others somewhat more. Latent channels are assumed to be independent with unit variance.
        spread = [[(0.5 + 0.15 * j) * unit / 2**0.5] + [2**0.5] * (channels // 3 - 1) for j in range(k)]
        self.scale = InvertibleScale([1 / value for of_one in spread for value in of_one], repeats=3)
        self.blocks = nn.ModuleList(
            PIBlock(channels, k * channels, unit=unit, space=graph, **options) for _ in range(blocks)
        )

    def forward(
        self, features: Tensor, volume: Tensor, n: int, picks: Tensor | None = None, start: int | None = None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Keep n points.

        Args:
            features: (B, N, d).
            volume: (B, N, d), the accumulated log scale of each channel.
            n: the number of kept points.
            picks, start: see `decompose`.

        Returns:
            Kept points (B, n, d), offsets (B, n, kd), the log scales of both (B, n, d + kd), indices (B, n).
        """
        kept, offsets, picks, neighbors = decompose(features, n, self.k, self.space, picks, start)
        rows = torch.arange(len(features), device=features.device)[:, None]
        volume_kept = volume[rows, picks]
        volume_offsets = volume[rows[:, :, None], neighbors].flatten(2) + self.scale.log_scale
        offsets = self.scale(offsets)
        for block in self.blocks:
            kept, offsets, scale_offsets, scale_kept = block(kept, offsets)
            volume_offsets = volume_offsets + scale_offsets
            if scale_kept is not None:
                volume_kept = torch.cat([volume_kept[:, :, :3], volume_kept[:, :, 3:] + scale_kept], dim=2)
        return kept, offsets, torch.cat([volume_kept, volume_offsets], dim=2), picks

    def inverse(self, kept: Tensor, offsets: Tensor) -> Tensor:
        """Candidates (B, (k + 1) n, d) of the dense cloud: the kept points, then those of the offsets."""
        for block in reversed(self.blocks):
            kept, offsets = block.inverse(kept, offsets)  # type: ignore[operator]
        return candidates(kept, self.scale.inverse(offsets))
