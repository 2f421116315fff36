"""The point invertible (PI) block of PointLIE (sec. 3.2, eq. 3 to 6): affine couplings of kept points and offsets."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .couplings import Neighborhood, bounded, shift_of, stack
from .graph import neighbor_graph

FORMS = ("additive", "map")


class PIBlock(nn.Module):
    """Affine couplings of kept points Q_s (B, n, d) and their offsets Q_r (B, n, kd):

        Q_s' = Q_s * exp(P(Q_r)) + F(Q_r)
        Q_r' = Q_r * exp(G(Q_s')) + H(Q_s')

    Eq. 3 has Q_r itself in place of P(Q_r), but its shape does not fit: with `form` "map" P is learned, with "additive"
    it is 0. Scales are clamped to exp(+-clamp). The last layers are initialized with zeros: the block starts as the
    identity.

    Translation equivariance is ours: the 3 positions among the channels are never scaled, and G and H use them only as
    offsets between neighbors, in a graph of the positions in Q_s', which the inverse has, too. H and G are two heads of
    the same dense feature extraction.

    Args:
        kept: d; the first 3 channels are positions.
        offsets: kd.
        hidden: channels of F, P and the heads.
        growth, dense, neighbors: growth, number of blocks and k of the dense feature extraction.
        unit: the spacing of the kept points in units of the positions.
        form: "additive" or "map".
        vectors: use the vector kind of couplings, see `couplings`.
        clamp: bound of the log scales.
    """

    def __init__(
        self,
        kept: int,
        offsets: int,
        hidden: int = 48,
        growth: int = 12,
        dense: int = 1,
        neighbors: int = 12,
        unit: float = 1.0,
        form: str = "additive",
        vectors: bool = False,
        clamp: float = 1.0,
    ) -> None:
        super().__init__()
        self.neighbors, self.unit, self.clamp = neighbors, unit, clamp
        self.repeats = 3 if vectors else 1  # the three channels of a vector have one scale
        self.shift_kept = shift_of(vectors, offsets, kept, hidden)
        mapped = form == "map" and kept > 3
        self.scale_kept = stack(offsets, hidden, (kept - 3) // self.repeats, 2) if mapped else None
        self.neighbourhood = Neighborhood(kept - 3, offsets, hidden, growth, dense, vectors)

    def forward(self, kept: Tensor, offsets: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
        """Q_s', Q_r', and the log scales of Q_r (B, n, kd) and of Q_s (B, n, d - 3), the latter None for zeros."""
        scale = self._scale_kept(offsets)
        if scale is not None:
            kept = torch.cat([kept[:, :, :3], kept[:, :, 3:] * scale.exp()], dim=2)
        kept = kept + self.shift_kept(offsets)
        shift, log_scale = self._of_offsets(kept)
        return kept, offsets * log_scale.exp() + shift, log_scale, scale

    def inverse(self, kept: Tensor, offsets: Tensor) -> tuple[Tensor, Tensor]:
        """Q_s and Q_r from Q_s' and Q_r'."""
        shift, log_scale = self._of_offsets(kept)
        offsets = (offsets - shift) * (-log_scale).exp()
        kept = kept - self.shift_kept(offsets)
        scale = self._scale_kept(offsets)
        if scale is not None:
            kept = torch.cat([kept[:, :, :3], kept[:, :, 3:] * (-scale).exp()], dim=2)
        return kept, offsets

    def _scale_kept(self, offsets: Tensor) -> Tensor | None:
        """P(Q_r)."""
        if self.scale_kept is None:
            return None
        return self._clamped(self.scale_kept(bounded(offsets))).repeat_interleave(self.repeats, dim=2)

    def _of_offsets(self, kept: Tensor) -> tuple[Tensor, Tensor]:
        """H(Q_s') and G(Q_s')."""
        graph = neighbor_graph(kept[:, :, :3], self.neighbors, self.unit)
        shift, scale = self.neighbourhood(kept[:, :, 3:], graph)
        return shift, self._clamped(scale)

    def _clamped(self, x: Tensor) -> Tensor:
        return self.clamp * (2 * torch.sigmoid(x) - 1)
