"""The point invertible block of PointLIE (sec. 3.2, eq. 3 to 6): an affine coupling of kept points and offsets."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .dense_edge_conv import DenseFeatures
from .graph import neighbour_graph

FORMS = ("additive", "map")
_FAR = 4.0


class PIBlock(nn.Module):
    """Kept points Q_s (B, n, d) and their offsets Q_r (B, n, kd), both changed by each other:

        Q_s' = Q_s * exp(P(Q_r)) + F(Q_r)
        Q_r' = Q_r * exp(G(Q_s')) + H(Q_s')

    Eq. 3 has Q_r itself in place of P(Q_r), whose shape does not fit: with `form` "map" P is learned, with "additive"
    it is 0. Scales are clamped to exp(+-clamp). The last layers begin with zeros, and so the block as the identity.

    Ours: a cloud that moves takes its kept points along and changes nothing else. For that the 3 positions among the
    channels are never scaled, and G and H see them only as offsets between neighbours, over a graph of the positions
    in Q_s', which the inverse knows. H is the dense feature extraction with a head, and G another head of it.

    Args:
        kept: d, the first 3 of which are positions.
        offsets: kd.
        hidden: channels of F, P and the heads.
        growth, dense, neighbours: of the dense feature extraction: growth, blocks, k.
        unit: the spacing of the kept points in units of the positions.
        form: "additive" or "map".
        clamp: of the logarithms of scales.
    """

    def __init__(
        self,
        kept: int,
        offsets: int,
        hidden: int = 48,
        growth: int = 12,
        dense: int = 1,
        neighbours: int = 12,
        unit: float = 1.0,
        form: str = "additive",
        clamp: float = 1.0,
    ) -> None:
        super().__init__()
        self.neighbours, self.unit, self.clamp = neighbours, unit, clamp
        self.shift_kept = _stack(offsets, hidden, kept, 2)
        self.scale_kept = _stack(offsets, hidden, kept - 3, 2) if form == "map" and kept > 3 else None
        self.features = DenseFeatures(kept - 3, 2 * growth, growth, blocks=dense, relative=True)
        self.shift_offsets = _stack(self.features.out_channels, hidden, offsets, 1)
        self.scale_offsets = _stack(self.features.out_channels, hidden, offsets, 1)

    def forward(self, kept: Tensor, offsets: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
        """Q_s', Q_r', and the logarithms of the scales of Q_r (B, n, kd) and of Q_s (B, n, d - 3); None for zeros."""
        scale = self._scale_kept(offsets)
        if scale is not None:
            kept = torch.cat([kept[:, :, :3], kept[:, :, 3:] * scale.exp()], dim=2)
        kept = kept + self.shift_kept(_bounded(offsets))
        shift, log_scale = self._of_offsets(kept)
        return kept, offsets * log_scale.exp() + shift, log_scale, scale

    def inverse(self, kept: Tensor, offsets: Tensor) -> tuple[Tensor, Tensor]:
        """Q_s and Q_r from Q_s' and Q_r'."""
        shift, log_scale = self._of_offsets(kept)
        offsets = (offsets - shift) * (-log_scale).exp()
        kept = kept - self.shift_kept(_bounded(offsets))
        scale = self._scale_kept(offsets)
        if scale is not None:
            kept = torch.cat([kept[:, :, :3], kept[:, :, 3:] * (-scale).exp()], dim=2)
        return kept, offsets

    def _scale_kept(self, offsets: Tensor) -> Tensor | None:
        return None if self.scale_kept is None else self._clamped(self.scale_kept(_bounded(offsets)))

    def _of_offsets(self, kept: Tensor) -> tuple[Tensor, Tensor]:
        """H(Q_s') and G(Q_s')."""
        graph = neighbour_graph(kept[:, :, :3], self.neighbours, self.unit)
        features = self.features(_bounded(kept[:, :, 3:]), graph)
        return self.shift_offsets(features), self._clamped(self.scale_offsets(features))

    def _clamped(self, x: Tensor) -> Tensor:
        return self.clamp * (2 * torch.sigmoid(x) - 1)


def _bounded(x: Tensor) -> Tensor:
    """x where it is small; never beyond 4 spreads, so that what is far out does not move all else."""
    return _FAR * torch.tanh(x / _FAR)


def _stack(channels: int, hidden: int, out: int, layers: int) -> nn.Sequential:
    """Convolutions of length 1 with activations between them; the last one begins with zeros."""
    parts: list[nn.Module] = []
    for _ in range(layers):
        parts += [nn.Linear(channels, hidden), nn.SiLU()]
        channels = hidden
    last = nn.Linear(channels, out)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(*parts, last)
