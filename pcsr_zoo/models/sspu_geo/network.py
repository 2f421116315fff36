"""The network of `sspu-geo`, which makes r new points for each point, after SSPU-Net (Zhao et al., ACM MM 2021)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from ...errors import OptionError
from ...geometry.frames import local_frames
from ...layers.dense_edge_conv import DenseFeatures, in_parts
from ...layers.graph import NeighborGraph, neighbor_graph, shortening
from ...layers.neighbor_expansion import DuplicatingExpansion, NeighborExpansion
from ...layers.picking import gather

EXPANSIONS = {"neighbors": NeighborExpansion, "duplicates": DuplicatingExpansion}
_EDGE = 8  # edge features of an expansion unit
_HEIGHTS = (0, 5, 6, 7)  # edge features that are heights over tangent planes: they vanish where the cloud is flat
_QUICK = 5.0  # factor on the shares of the heights, which are small and would be learned slowly
_KEYS = 8  # channels of keys and queries of the attention among copies
_MEAN_DISTANCE = 1.17  # weighted mean distance to the 12 nearest points in an even cloud, in point spacings


class Neighborhoods(NamedTuple):
    """The inputs of the network that are computed from a cloud.

    Attributes:
        graph: the neighbors of each point, with offsets in its frame and units.
        frames: (B, N, 3, 3), columns normal and tangents.
        neighbors: (B, N, r), indices of the nearest neighbors.
        ways: (B, N, r, 3), offsets to them, in units.
        edges: (B, N, r, 8): these offsets in the point's frame, normal first; their lengths; |cos| of the angle between
            both normals; the height of the point over the neighbor's tangent plane; and the mean heights of the
            neighborhoods of the point and of the neighbor over their planes. All heights have the same sign convention.
        unit: (B, N), the local point spacing, in units of the cloud.
    """

    graph: NeighborGraph
    frames: Tensor
    neighbors: Tensor
    ways: Tensor
    edges: Tensor
    unit: Tensor


class NewPoints(NamedTuple):
    """New points.

    Attributes:
        positions: (B, N, r, 3), r for each point.
        normal_offsets: (B, N, r, 3), the part of their offset along the normal that the last MLP predicts.
    """

    positions: Tensor
    normal_offsets: Tensor


class SSPUGeoNetwork(nn.Module):
    """Dense feature extraction, two neighbor expansion units (NEU), and a coordinate MLP.

    As in the paper, Y1 = NEU1(X), X2 = X - MLP(Y1), coordinates = MLP(NEU2(X2)). The representation of positions is
    ours: offsets between neighbors, in local point spacings and in a local frame of each point. It makes the network
    equivariant to rotation, translation and scale, and lets it process whole clouds after training on patches. Copies
    attend only to the copies of the same point. A new point starts between its point and its neighbor, with the mixing
    weights of their features. The last MLP adds multiples of the offsets to all r neighbors, and, along the normal,
    multiples of local heights to those of the cubic curve between both points. So points in a plane or on a line stay
    there.

    Args:
        copies: r, new points for each point.
        width: C, channels of the units; 128 with `growth` 24 is about the paper's size.
        growth, blocks: of the dense features.
        neighbors: k of their graph.
        hidden: channels of the units' MLPs and of the last one.
        expansion: "neighbors", or "duplicates" for the ablation without NEU.
        cubic: start on cubic curves between points; otherwise on straight lines.
    """

    def __init__(
        self,
        copies: int = 4,
        width: int = 96,
        growth: int = 12,
        blocks: int = 4,
        neighbors: int = 12,
        hidden: int = 96,
        expansion: str = "neighbors",
        cubic: bool = True,
    ) -> None:
        super().__init__()
        if min(copies, width, growth, blocks, hidden) < 1 or neighbors < copies:
            raise OptionError(
                "copies, width, growth, blocks and hidden must be at least 1, and neighbors at least copies"
            )
        if expansion not in EXPANSIONS:
            raise OptionError(f"expansion '{expansion}' is unknown; use {' or '.join(EXPANSIONS)}")
        self.copies, self.neighbors, self.cubic = copies, neighbors, cubic
        self.dense = DenseFeatures(0, 2 * growth, growth, blocks=blocks, relative=True)
        self.compress = nn.Linear(self.dense.out_channels, width)
        unit = EXPANSIONS[expansion]
        self.first = unit(width, copies, _EDGE, hidden)
        self.between = nn.Sequential(nn.Linear(copies * width, width), nn.ReLU(), nn.Linear(width, width))
        self.second = unit(width, copies, _EDGE, hidden)
        self.beside = nn.Sequential(nn.Linear(width + _EDGE, hidden), nn.ReLU(), nn.Linear(hidden, 2 * _KEYS))
        self.above = nn.Sequential(nn.Linear(width + _EDGE + 3, hidden), nn.ReLU(), nn.Linear(hidden, len(_HEIGHTS)))
        for last, spread in ((self.beside[-1], 0.02), (self.above[-1], 0.002)):
            nn.init.normal_(last.weight, std=spread)  # type: ignore[arg-type]
            nn.init.zeros_(last.bias)  # type: ignore[arg-type]

    def forward(self, points: Tensor) -> NewPoints:
        """r new points for each point (B, N, 3) of clouds without duplicates; min(r, N - 1) in small clouds."""
        around = self.neighborhoods(points)
        graph = around.graph
        x = torch.relu(self.compress(self.dense(around.edges.new_zeros(*points.shape[:2], 0), graph)))
        x = x - in_parts(graph, lambda a, b: self.between(self._row(self._expand(self.first, x, around, a, b)[0])))
        found = in_parts(graph, lambda a, b: self._new_points(points, x, around, a, b))
        return NewPoints(*found.split(3, dim=3))

    def neighborhoods(self, points: Tensor) -> Neighborhoods:
        """The inputs of the network for points (B, N, 3), preferably float64; features are in the network's dtype."""
        graph = neighbor_graph(points, self.neighbors)
        assert graph.weight is not None
        weight = graph.weight
        offsets = gather(points, graph.index) - points[:, :, None]
        squared = (offsets * offsets).sum(dim=3)
        unit = ((weight * squared).sum(dim=2) / weight.sum(dim=2)).clamp(min=1e-24).sqrt() / _MEAN_DISTANCE
        offsets = offsets / unit[..., None, None]
        frames = own_frames(offsets.flatten(0, 1), weight.flatten(0, 1)).view(*points.shape, 3)
        length = (squared.sqrt() / unit[..., None])[..., None]
        seen = torch.cat([offsets @ frames, length], dim=3) * shortening(length)
        nearest = slice(1, self.copies + 1)
        neighbors, ways, normals = graph.index[:, :, nearest], offsets[:, :, nearest], frames[..., 0]
        theirs = gather(normals, neighbors)
        agree = (theirs * normals[:, :, None]).sum(dim=3)
        same = torch.where(agree < 0, -1.0, 1.0).to(agree)
        height = -(ways * theirs).sum(dim=3) * same
        height = height * shortening(length[:, :, nearest, 0])
        mean = ((weight * seen[..., 0]).sum(dim=2) / weight.sum(dim=2))[..., None]
        bends = mean.expand(-1, -1, ways.shape[2]), gather(mean, neighbors)[..., 0] * same
        edges = torch.cat([seen[:, :, nearest], torch.stack([agree.abs(), height, *bends], dim=3)], dim=3)
        kind = self.compress.weight.dtype
        own = NeighborGraph(graph.index, seen.to(kind), weight.to(kind))
        return Neighborhoods(own, frames, neighbors, ways, edges.to(kind), unit)

    def _expand(self, unit: nn.Module, x: Tensor, around: Neighborhoods, a: int, b: int) -> tuple[Tensor, Tensor]:
        return unit(x[:, a:b], x, around.neighbors[:, a:b], around.edges[:, a:b])

    def _row(self, copies: Tensor) -> Tensor:
        """(B, M, r, C) -> (B, M, rC), with zeros for copies that a small cloud does not have."""
        missing = self.copies - copies.shape[2]
        return nn.functional.pad(copies, (0, 0, 0, missing)).flatten(2)

    def _new_points(self, points: Tensor, x: Tensor, around: Neighborhoods, a: int, b: int) -> Tensor:
        copies, share = self._expand(self.second, x, around, a, b)
        edges, kind = around.edges[:, a:b], around.ways.dtype
        query, key = self.beside(torch.cat([copies, edges], dim=3)).chunk(2, dim=3)
        aside = query @ key.mT / _KEYS**0.5
        shares = torch.diag_embed(share) + aside
        lift = aside @ edges[..., :1]  # the normal part of `aside`, which must be tangential
        spot = (shares @ edges[..., :3]).detach()
        bend = _QUICK * self.above(torch.cat([copies, edges, spot], dim=3))
        if self.cubic:
            bend = bend - nn.functional.pad(cubic_below(share.detach()), (0, len(_HEIGHTS) - 2))
        rise = (bend * edges[..., _HEIGHTS]).sum(dim=3, keepdim=True)
        normals, unit = around.frames[:, a:b, None, :, 0], around.unit[:, a:b, None, None]
        away = shares.to(kind) @ around.ways[:, a:b] + (rise - lift).to(kind) * normals
        return torch.cat([points[:, a:b, None] + unit * away, unit * rise.to(kind) * normals], dim=3)


def cubic_below(share: Tensor) -> Tensor:
    """Hermite coefficients (..., 2) of the cubic between two points at parameters `share` (...).

    The cubic is below the chord by these multiples of the height of each end over the tangent of the other end.
    """
    rest = 1 - share
    return torch.stack([share * rest * rest, share * share * rest], dim=-1)


def own_frames(offsets: Tensor, weight: Tensor) -> Tensor:
    """Frames (M, 3, 3), columns normal and tangents, of neighborhoods (M, k, 3).

    The axes are the principal axes. The normal has the sign for which the neighbors lie below the point on average,
    the tangents the sign for which the third moment of the neighbors is positive. Signs are arbitrary where these
    moments vanish.
    """
    _, axes, _ = local_frames(offsets, weight)
    axes = axes.to(offsets)
    along = offsets @ axes
    lean = torch.cat([-(weight[..., None] * along[..., :1]), weight[..., None] * along[..., 1:] ** 3], dim=2).sum(dim=1)
    return axes * torch.where(lean < 0, -1.0, 1.0)[:, None]
