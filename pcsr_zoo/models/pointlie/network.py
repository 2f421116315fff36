"""The network of PointLIE: dense points to few points and a latent variable, and back (sec. 3, fig. 3)."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ...errors import OptionError
from ...layers.decomposition import SPACES
from ...layers.invertible_scale import InvertibleScale
from ...layers.pi_block import FORMS
from ...layers.picking import farthest_points, gather, spacing
from ...layers.rescale_layer import RescaleLayer


class Sampled(NamedTuple):
    """What the forward pass gives.

    Attributes:
        points: P_hat (B, n, 3), in units of the cloud.
        latent: z (B, n, 3 (k + 1)^s - 3).
        volume: (B, n, channels of z), the logarithm of the scale with which each entry came out.
        unit: (B,), the length by which positions were divided: the point spacing of FPS(Q).
        picks: (B, at least n), farthest point sampling of the input; the first n are FPS(Q).
    """

    points: Tensor
    latent: Tensor
    volume: Tensor
    unit: Tensor
    picks: Tensor


class PointLIENetwork(nn.Module):
    """s rescale layers, each with a decomposition and M point invertible blocks, and a scale and shift of each channel
    of z (ours). The latter are trained by the likelihood of z alone, which brings each channel to unit variance.

    Positions are divided by the spacing of the sampled points, and the network receives them as differences only. So
    its result does not depend on where a cloud lies nor on its size, and a network that was trained on patches takes
    whole clouds in one pass.

    Args:
        scale: s, how often the cloud is halved.
        blocks: M.
        k: discarded neighbors of each kept point.
        form: of eq. 3, see `PIBlock`.
        space: where these neighbors are sought, see `decompose`.
        graph: where the neighbors of the blocks are sought, see `PIBlock`.
        hidden, growth, dense, neighbors: of the blocks, see `PIBlock`.
        temperature: the standard deviation of z* when it is drawn; 1 for the paper's N(0, I).
    """

    def __init__(
        self,
        scale: int = 3,
        blocks: int = 4,
        k: int = 3,
        form: str = "additive",
        space: str = "features",
        graph: str = "features",
        hidden: int = 64,
        growth: int = 12,
        dense: int = 1,
        neighbors: int = 16,
        temperature: float = 1.0,
    ) -> None:
        super().__init__()
        self.k, self.temperature = k, temperature
        for name, value, known in (("form", form, FORMS), ("space", space, SPACES), ("graph", graph, SPACES)):
            if value not in known:
                raise OptionError(f"{name} '{value}' is unknown; use {' or '.join(known)}")
        if min(scale, blocks, k, hidden, growth, dense, neighbors) < 1:
            raise OptionError("scale, blocks, k, hidden, growth, dense and neighbors must be at least 1")
        self.channels = [3 * (k + 1) ** i for i in range(scale + 1)]
        options: dict[str, Any] = {"hidden": hidden, "growth": growth, "dense": dense, "neighbors": neighbors}
        self.layers = nn.ModuleList(
            RescaleLayer(channels, blocks, k, 2.0 ** (-(scale - 1 - i) / 2), space, graph, form=form, **options)
            for i, channels in enumerate(self.channels[:-1])
        )
        self.normalization = InvertibleScale([1.0] * self.latent_channels, shift=True)

    @property
    def latent_channels(self) -> int:
        return self.channels[-1] - 3

    @property
    def growth(self) -> int:
        """Candidates for each sampled point."""
        return (self.k + 1) * 2 ** (len(self.layers) - 1)

    def forward(self, points: Tensor, n: int, picks: Tensor | None = None) -> Sampled:
        """Sample n points and put what is lost into z (the forward path of fig. 3).

        Args:
            points: Q (B, N, 3).
            n: how many to keep, 1 <= n <= N; trained for N / 2^s.
            picks: the farthest point sampling (B, the second of `counts`) of Q, if it is known.
        """
        counts = self.counts(points.shape[1], n)
        picks = farthest_points(points, counts[1]) if picks is None else picks
        unit = spacing(gather(points, picks[:, :n]))
        features = points / unit[:, None, None]
        kept, offsets, volume, picks = self.layers[0](features, torch.zeros_like(features), counts[1], picks)
        for layer, count in zip(list(self.layers)[1:], counts[2:], strict=True):
            features = torch.cat([kept, offsets], dim=2)  # in the order of the picks: the first is to be first again
            kept, offsets, volume, _ = layer(features, volume, count, start=0)
        latent = self.normalization(torch.cat([kept[:, :, 3:], offsets], dim=2))
        volume = volume[:, :, 3:] + self.normalization.log_scale
        return Sampled(kept[:, :, :3] * unit[:, None, None], latent, volume, unit, picks)

    def counts(self, size: int, n: int) -> list[int]:
        """How many points there are before the first layer and after each: N, ..., n, the same ratio each time."""
        s = len(self.layers)
        between = [max(n, round(size * (n / size) ** (i / s))) for i in range(1, s)]
        return [size, *between, n]

    def recover(self, points: Tensor, latent: Tensor, count: int, unit: Tensor | None = None) -> Tensor:
        """`count` points (B, count, 3): those that cover best of the `candidates`, of which there must be enough."""
        found = self.candidates(points, latent, unit)
        return gather(found, farthest_points(found, count))

    def candidates(self, points: Tensor, latent: Tensor, unit: Tensor | None = None) -> Tensor:
        """The inverse path up to its last choice: `growth` n points for n sampled ones and their z.

        Args:
            points: P_hat (B, n, 3).
            latent: z (B, n, channels).
            unit: that of `Sampled`, for the exact inverse; by default the spacing of `points`, which is near it.
        """
        unit = spacing(points) if unit is None else unit
        latent = self.normalization.inverse(latent, learn=False)
        features = torch.cat([points / unit[:, None, None], latent], dim=2)
        found = features
        for i in reversed(range(len(self.layers))):
            if i < len(self.layers) - 1:
                features = gather(found, farthest_points(found[:, :, :3], 2 * features.shape[1]))
            kept, offsets = features[:, :, : self.channels[i]], features[:, :, self.channels[i] :]
            found = self.layers[i].inverse(kept, offsets)  # type: ignore[operator]
        return found * unit[:, None, None]
