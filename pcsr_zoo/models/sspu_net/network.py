"""The network of SSPU-Net: a sparse cloud to r times as many points (Zhao et al., ACM MM 2021, sec. 3.1, fig. 1)."""

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
_EDGE = 8  # channels of what an expansion knows of the way to a neighbor
_HEIGHTS = (0, 5, 6, 7)  # those that are heights over tangent planes: they vanish where the cloud is flat
_QUICK = 5.0  # heights are small, and their shares would be slow to learn
_KEYS = 8  # channels by which copies weigh each other's ways
_MEAN_DISTANCE = 1.17  # of the 12 nearest, weighted, in an even cloud, in spacings


class Surroundings(NamedTuple):
    """What the network sees of a cloud.

    Attributes:
        graph: neighbors of each point, with offsets in its frame and units.
        frames: (B, N, 3, 3), columns normal and tangents.
        neighbors: (B, N, r), the nearest others.
        ways: (B, N, r, 3), offsets to them, in units.
        edges: (B, N, r, 8): those offsets in the point's frame, normal first, their length, how much both normals
            agree, the height of the point over the neighbor's plane, and the mean heights of the neighborhoods of
            point and neighbor over their planes. All heights are positive on the same side.
        unit: (B, N), the point spacing around each point.
    """

    graph: NeighborGraph
    frames: Tensor
    neighbors: Tensor
    ways: Tensor
    edges: Tensor
    unit: Tensor


class Made(NamedTuple):
    """New points.

    Attributes:
        places: (B, N, r, 3), r for each point.
        rises: (B, N, r, 3), how far along the normal the last MLP put them.
    """

    places: Tensor
    rises: Tensor


class SSPUNetwork(nn.Module):
    """Dense feature extraction, two neighbor expansion units, coordinates.

    As published: Y1 = NEU1(X), X2 = X - MLP(Y1), coordinates = MLP(NEU2(X2)). Ours is how it sees positions, so that it
    takes whole clouds in one piece after training on patches, and turns, moves and grows with them: offsets between
    neighbors, in local point spacings, in a frame that each point has from its neighborhood; copies attend to the
    copies of the same point. The coordinates begin at the positions of point and neighbor mixed as their features are;
    the last MLP adds shares of the ways to all r neighbors, and along the normal shares of the heights by which the
    surface bends, to those of the cubic curve between both: so a cloud in a plane or on a line stays there.

    Args:
        copies: r, new points for each point.
        width: C, channels of the units; 128 with `growth` 24 is about the papers' size.
        growth, blocks: of the dense features.
        neighbors: k of their graph.
        hidden: of the units' MLPs and the last one.
        expansion: "neighbors"; "duplicates" is the ablation without NEU.
        cubic: begin on the cubic curves; on the chords otherwise, as mixing features alone would have it.
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
                "copies, width, growth, blocks and hidden must be at least 1, and neighbors not less than copies"
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

    def forward(self, points: Tensor) -> Made:
        """r new points for each point (B, N, 3) of a cloud without duplicates; min(r, N - 1) in small ones."""
        around = self.surroundings(points)
        graph = around.graph
        x = torch.relu(self.compress(self.dense(around.edges.new_zeros(*points.shape[:2], 0), graph)))
        x = x - in_parts(graph, lambda a, b: self.between(self._row(self._expand(self.first, x, around, a, b)[0])))
        found = in_parts(graph, lambda a, b: self._places(points, x, around, a, b))
        return Made(*found.split(3, dim=3))

    def surroundings(self, points: Tensor) -> Surroundings:
        """What the network sees of points (B, N, 3); float64 is worth it, results for the network are float32."""
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
        return Surroundings(own, frames, neighbors, ways, edges.to(kind), unit)

    def _expand(self, unit: nn.Module, x: Tensor, around: Surroundings, a: int, b: int) -> tuple[Tensor, Tensor]:
        return unit(x[:, a:b], x, around.neighbors[:, a:b], around.edges[:, a:b])

    def _row(self, copies: Tensor) -> Tensor:
        """(B, M, r, C) -> (B, M, rC), with zeros for copies that a small cloud does not give."""
        missing = self.copies - copies.shape[2]
        return nn.functional.pad(copies, (0, 0, 0, missing)).flatten(2)

    def _places(self, points: Tensor, x: Tensor, around: Surroundings, a: int, b: int) -> Tensor:
        copies, share = self._expand(self.second, x, around, a, b)
        edges, kind = around.edges[:, a:b], around.ways.dtype
        query, key = self.beside(torch.cat([copies, edges], dim=3)).chunk(2, dim=3)
        aside = query @ key.mT / _KEYS**0.5
        shares = torch.diag_embed(share) + aside
        lift = aside @ edges[..., :1]  # what `aside` adds along the normal, which is not what it is for
        spot = (shares @ edges[..., :3]).detach()
        bend = _QUICK * self.above(torch.cat([copies, edges, spot], dim=3))
        if self.cubic:
            bend = bend - nn.functional.pad(cubic_below(share.detach()), (0, len(_HEIGHTS) - 2))
        rise = (bend * edges[..., _HEIGHTS]).sum(dim=3, keepdim=True)
        normals, unit = around.frames[:, a:b, None, :, 0], around.unit[:, a:b, None, None]
        away = shares.to(kind) @ around.ways[:, a:b] + (rise - lift).to(kind) * normals
        return torch.cat([points[:, a:b, None] + unit * away, unit * rise.to(kind) * normals], dim=3)


def cubic_below(share: Tensor) -> Tensor:
    """How far (..., 2) the cubic between two points with given tangents runs below the chord at `share` (...) of it, as
    multiples of the height of each end over the tangent of the other: Hermite's."""
    rest = 1 - share
    return torch.stack([share * rest * rest, share * share * rest], dim=-1)


def own_frames(offsets: Tensor, weight: Tensor) -> Tensor:
    """Frames (M, 3, 3), columns normal and tangents, of neighborhoods (M, k, 3); each axis has its sign by itself.

    The axes are the principal ones; the neighbors lie below the point on average, seen along the normal, and farther
    out along the tangents, by their third moment. Where neither says anything, the sign says nothing either.
    """
    _, axes, _ = local_frames(offsets, weight)
    axes = axes.to(offsets)
    along = offsets @ axes
    lean = torch.cat([-(weight[..., None] * along[..., :1]), weight[..., None] * along[..., 1:] ** 3], dim=2).sum(dim=1)
    return axes * torch.where(lean < 0, -1.0, 1.0)[:, None]
