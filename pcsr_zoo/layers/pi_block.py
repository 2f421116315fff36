"""The point invertible (PI) block of PointLIE (sec. 3.2, eq. 3 to 6): affine couplings of kept points and offsets."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .dense_edge_conv import DenseFeatures, surroundings
from .graph import NeighborGraph, neighbor_graph

FORMS = ("additive", "map")
_FAR = 4.0


def bounded(x: Tensor) -> Tensor:
    """x where it is small, and at most 4 in absolute value, so that outliers do not move everything else."""
    return _FAR * torch.tanh(x / _FAR)


class Convolutions(nn.Sequential):
    """Two convolutions of length 1 with activations, and a third one that starts at zero: (B, n, C) -> (B, n, out)."""

    def __init__(self, channels: int, hidden: int, out: int) -> None:
        last = nn.Linear(hidden, out)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        super().__init__(nn.Linear(channels, hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU(), last)


class Surroundings(nn.Module):
    """A point's own channels and the offsets to its neighbors, as features for convolutions of length 1.

    The paper feeds positions to these convolutions. Offsets to neighbors in their place (ours) make the network
    independent of where a cloud lies, so that it takes whole clouds.

    Args:
        latent: channels of the points other than positions; may be 0.
        hidden: channels that describe the offsets.
    """

    def __init__(self, latent: int, hidden: int) -> None:
        super().__init__()
        self.offset = nn.Linear(4, hidden)
        self.out_channels = latent + hidden

    def forward(self, latent: Tensor, graph: NeighborGraph) -> Tensor:
        """latent (B, n, latent) and the graph of the points -> (B, n, out_channels)."""
        return torch.cat([surroundings(self.offset, graph), latent], dim=2)


class PIBlock(nn.Module):
    """Kept points Q_s (B, n, d) and their offsets Q_r (B, n, kd), each changed by the other:

        Q_s' = Q_s * exp(P(Q_r)) + F(Q_r)
        Q_r' = Q_r * exp(G(Q_s')) + H(Q_s')

    Eq. 3 has Q_r itself in place of P(Q_r), whose shape does not fit: with `form` "map" P is learned, with "additive"
    it is 0. F, G and P are convolutions of length 1, H is the dense feature extraction of MPU with a head; they share
    no parameter. The logarithms of scales lie between -clamp and clamp. The last layers start at zero, so a block
    starts as the identity.

    Ours: a translation of the cloud moves the kept points and changes nothing else. Therefore the 3 positions among the
    channels are never scaled, and G and H receive them as offsets between neighbors.

    Args:
        kept: d, of which the first 3 are positions.
        offsets: kd.
        hidden: channels of the convolutions.
        growth, dense, neighbors: of the dense feature extraction: growth, blocks, k.
        unit: the spacing of the kept points in units of the positions.
        form: "additive" or "map".
        space: where the neighbors are sought: "positions", or "features" for all d channels.
        clamp: of the logarithms of scales.
    """

    def __init__(
        self,
        kept: int,
        offsets: int,
        hidden: int = 64,
        growth: int = 12,
        dense: int = 1,
        neighbors: int = 16,
        unit: float = 1.0,
        form: str = "additive",
        space: str = "features",
        clamp: float = 1.0,
    ) -> None:
        super().__init__()
        self.neighbors, self.unit, self.clamp, self.space = neighbors, unit, clamp, space
        self.shift_kept = Convolutions(offsets, hidden, kept)
        self.scale_kept = Convolutions(offsets, hidden, kept - 3) if form == "map" and kept > 3 else None
        self.surroundings = Surroundings(kept - 3, hidden // 2)
        self.scale_offsets = Convolutions(self.surroundings.out_channels, hidden, offsets)
        self.dense = DenseFeatures(kept - 3, 2 * growth, growth, blocks=dense, relative=True)
        self.shift_offsets = Convolutions(self.dense.out_channels, hidden, offsets)

    def forward(self, kept: Tensor, offsets: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
        """Q_s', Q_r', and the log scales of Q_r (B, n, kd) and of Q_s (B, n, d - 3), the latter None for zeros."""
        scale = self._scale_kept(offsets)
        if scale is not None:
            kept = torch.cat([kept[:, :, :3], kept[:, :, 3:] * scale.exp()], dim=2)
        kept = kept + self.shift_kept(bounded(offsets))
        shift, log_scale = self._of_offsets(kept)
        return kept, offsets * log_scale.exp() + shift, log_scale, scale

    def inverse(self, kept: Tensor, offsets: Tensor) -> tuple[Tensor, Tensor]:
        """Q_s and Q_r from Q_s' and Q_r'."""
        shift, log_scale = self._of_offsets(kept)
        offsets = (offsets - shift) * (-log_scale).exp()
        kept = kept - self.shift_kept(bounded(offsets))
        scale = self._scale_kept(offsets)
        if scale is not None:
            kept = torch.cat([kept[:, :, :3], kept[:, :, 3:] * (-scale).exp()], dim=2)
        return kept, offsets

    def _scale_kept(self, offsets: Tensor) -> Tensor | None:
        """P(Q_r)."""
        return None if self.scale_kept is None else self._clamped(self.scale_kept(bounded(offsets)))

    def _of_offsets(self, kept: Tensor) -> tuple[Tensor, Tensor]:
        """H(Q_s') and G(Q_s')."""
        latent = bounded(kept[:, :, 3:])
        further = latent if self.space == "features" and kept.shape[2] > 3 else None
        graph = neighbor_graph(kept[:, :, :3], self.neighbors, self.unit, further)
        scale = self.scale_offsets(self.surroundings(latent, graph))
        return bounded(self.shift_offsets(self.dense(latent, graph))), self._clamped(scale)

    def _clamped(self, x: Tensor) -> Tensor:
        return self.clamp * (2 * torch.sigmoid(x) - 1)
