"""The functions of the affine couplings in a point invertible block: F, P of Q_r and G, H of Q_s'.

There are two kinds. The free kind is the paper's: convolutions with kernels of size 1, and dense feature extraction
before those of G and H. The vector kind (ours) treats every three channels as a vector in space. It adds sums of
existing vectors, such as the offsets to neighbors, with factors from networks like those of the free kind. New points
are then affine combinations of existing ones: planes stay planes, and smooth surfaces are refined as by a subdivision
scheme.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .dense_edge_conv import DenseFeatures, in_parts
from .graph import NeighborGraph, shortening
from .picking import gather

_FAR = 4.0


def bounded(x: Tensor) -> Tensor:
    """A soft clamp: about x where x is small, and between -4 and 4, so that outliers have a limited effect."""
    return _FAR * torch.tanh(x / _FAR)


def stack(channels: int, hidden: int, out: int, layers: int) -> nn.Sequential:
    """Convolutions with kernels of size 1 and activations between them. The last one is initialized with zeros."""
    parts: list[nn.Module] = []
    for _ in range(layers):
        parts += [nn.Linear(channels, hidden), nn.SiLU()]
        channels = hidden
    return nn.Sequential(*parts, _zero(nn.Linear(channels, out)))


class FreeShift(nn.Module):
    """F: offsets (B, n, kd) -> (B, n, d)."""

    def __init__(self, channels: int, out: int, hidden: int) -> None:
        super().__init__()
        self.stack = stack(channels, hidden, out, 2)

    def forward(self, offsets: Tensor) -> Tensor:
        return self.stack(bounded(offsets))


class VectorShift(nn.Module):
    """F: offsets (B, n, kd), as vectors, -> (B, n, d): sums of `hidden` linear combinations, each with a factor."""

    def __init__(self, channels: int, out: int, hidden: int) -> None:
        super().__init__()
        self.into = nn.Linear(channels // 3, hidden, bias=False)
        self.factors = nn.Sequential(nn.Linear(channels, hidden), nn.SiLU(), nn.Linear(hidden, hidden))
        self.out = _zero(nn.Linear(hidden, out // 3, bias=False))

    def forward(self, offsets: Tensor) -> Tensor:
        vectors = _shortened(offsets.unflatten(2, (-1, 3))).mT
        factors = torch.tanh(self.factors(bounded(offsets)))
        return self.out(self.into(vectors) * factors[:, :, None]).mT.flatten(2)


class FreeHead(nn.Module):
    """H and G: features (B, n, C) of kept points -> the shifts and the (unclamped) log scales of their offsets."""

    def __init__(self, features: int, kept: int, out: int, hidden: int) -> None:
        super().__init__()
        self.shift = stack(features, hidden, out, 1)
        self.scale = stack(features, hidden, out, 1)

    def forward(self, features: Tensor, latent: Tensor, graph: NeighborGraph) -> tuple[Tensor, Tensor]:
        """Shifts and log scales, both (B, n, out).

        Args:
            features: (B, n, C) of `DenseFeatures`.
            latent: (B, n, kept), channels of the kept points without the positions.
            graph: the neighbor graph of the kept points.
        """
        return bounded(self.shift(features)), self.scale(features)


class VectorHead(nn.Module):
    """H and G like `FreeHead`; H sums the offsets to neighbors and the point's own latent vectors."""

    def __init__(self, features: int, kept: int, out: int, hidden: int) -> None:
        super().__init__()
        edge = hidden // 2
        self.own, self.other = nn.Linear(features, edge), nn.Linear(features, edge, bias=False)
        self.offset = nn.Linear(4, edge, bias=False)
        self.factors = _zero(nn.Linear(edge, out // 3))
        self.scale = stack(features, hidden, out // 3, 1)
        self.into = nn.Linear(kept // 3, edge, bias=False) if kept else None
        self.latent_factors = nn.Linear(features, edge) if kept else None
        self.latent_out = _zero(nn.Linear(edge, out // 3, bias=False)) if kept else None

    def forward(self, features: Tensor, latent: Tensor, graph: NeighborGraph) -> tuple[Tensor, Tensor]:
        own, other = self.own(features), self.other(features)
        vectors = in_parts(graph, lambda a, b: self._sums(own[:, a:b], other, graph.part(a, b)))
        if self.into is not None and self.latent_factors is not None and self.latent_out is not None:
            mine = self.into(_shortened(latent.unflatten(2, (-1, 3))).mT)
            vectors = vectors + self.latent_out(mine * torch.tanh(self.latent_factors(features))[:, :, None]).mT
        return _shortened(vectors).flatten(2), self.scale(features).repeat_interleave(3, dim=2)

    def _sums(self, own: Tensor, other: Tensor, graph: NeighborGraph) -> Tensor:
        """Weighted sums (B, n, out / 3, 3) of the offsets to neighbors."""
        assert graph.edges is not None
        edges = own[:, :, None] + gather(other, graph.index) + self.offset(graph.edges)
        factors = bounded(self.factors(nn.functional.silu(edges)))
        if graph.weight is not None:
            factors = factors * graph.weight[..., None]
        return factors.mT @ graph.edges[..., :3]


def shift_of(vectors: bool, channels: int, out: int, hidden: int) -> nn.Module:
    """F of the vector kind or of the free kind."""
    return (VectorShift if vectors else FreeShift)(channels, out, hidden)


class Neighborhood(nn.Module):
    """H and G with their feature extraction: kept points -> shifts and log scales of offsets, both (B, n, out).

    Args:
        kept: d - 3, channels of the kept points without the positions.
        out: kd.
        hidden: channels of the heads.
        growth, dense: growth and number of blocks of the dense feature extraction.
        vectors: the vector kind instead of the free kind.
    """

    def __init__(self, kept: int, out: int, hidden: int, growth: int, dense: int, vectors: bool) -> None:
        super().__init__()
        self.features = DenseFeatures(kept, 2 * growth, growth, blocks=dense, relative=True)
        self.head = (VectorHead if vectors else FreeHead)(self.features.out_channels, kept, out, hidden)

    def forward(self, latent: Tensor, graph: NeighborGraph) -> tuple[Tensor, Tensor]:
        return self.head(self.features(bounded(latent), graph), latent, graph)


def _shortened(vectors: Tensor) -> Tensor:
    """`bounded` for vectors (..., 3): it keeps their directions."""
    return vectors * shortening((vectors.square().sum(dim=-1, keepdim=True) + 1e-12).sqrt())


def _zero(layer: nn.Linear) -> nn.Linear:
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer
