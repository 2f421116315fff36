"""The network of MPU, also called 3PU (Wang et al., CVPR 2019, sec. 3): levels, each of which doubles a cloud."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ...errors import OptionError
from ...layers.dense_edge_conv import DenseFeatures
from ...layers.interpolation import bilateral_interpolate
from ...layers.picking import farthest_points, gather, nearest

_CODE = 0.2  # the codes of the two copies of a point are -0.2 and 0.2
_SKIP = 0.2  # factor on the features of the level before
_OVERLAP = 2.0  # pieces in which a point is, on average
_PIECES = 64  # at a time, which bounds the memory


class Known(NamedTuple):
    """A level's input points (B, N, 3) and their features (B, N, C), which the next level interpolates."""

    points: Tensor
    features: Tensor


class Level(nn.Module):
    """Two new points for each point: dense features, those of the level before, a 1-D code, an MLP to offsets.

    Args:
        growth, blocks, neighbors: of the dense features, whose graphs are those of the nearest features.
        hidden: channels of the layers before the offsets.
    """

    def __init__(self, growth: int = 12, blocks: int = 4, neighbors: int = 16, hidden: int = 128) -> None:
        super().__init__()
        self.dense = DenseFeatures(3, 2 * growth, growth, blocks=blocks, neighbors=neighbors)
        self.own = nn.Linear(self.dense.out_channels, hidden)
        self.code = nn.Parameter(torch.zeros(hidden).normal_(std=0.5))  # the layer's column for the code
        self.offset = nn.Sequential(
            *(nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, hidden // 2), nn.ReLU()),
            nn.Linear(hidden // 2, 3),
        )

    def forward(self, points: Tensor, before: Known | None = None) -> tuple[Tensor, Tensor]:
        """New points (B, n, 2, 3) and features (B, n, C) of points (B, n, 3), in any frame; `before` is in the same."""
        center = points.mean(dim=1, keepdim=True)
        radius = (points - center).norm(dim=2).amax(dim=1)[:, None, None].clamp(min=1e-12)
        features = self.dense((points - center) / radius)
        if before is not None:
            features = features + _SKIP * bilateral_interpolate(before.features, before.points, features, points)
        codes = _CODE * torch.tensor([[-1.0], [1.0]]).to(points) * self.code
        offsets = self.offset(self.own(features)[:, :, None] + codes)
        return points[:, :, None] + radius[..., None] * offsets, features


class MPUNetwork(nn.Module):
    """`levels` levels. From the second on, a level takes overlapping pieces of the cloud that the one before has made,
    each of at most `points` points in a frame of its own. A point gets its new points from the piece whose center is
    nearest to it by rank, which gives exact numbers without farthest point sampling (ours).

    Args:
        levels: s, for the ratio 2^s.
        points: largest number of points of a piece.
        growth, blocks, neighbors, hidden: see `Level`.
    """

    def __init__(
        self,
        levels: int = 2,
        points: int = 312,
        growth: int = 12,
        blocks: int = 4,
        neighbors: int = 16,
        hidden: int = 128,
    ) -> None:
        super().__init__()
        if min(levels, points, growth, blocks, neighbors, hidden) < 1:
            raise OptionError("levels, points, growth, blocks, neighbors and hidden must be at least 1")
        self.points = points
        self.levels = nn.ModuleList(Level(growth, blocks, neighbors, hidden) for _ in range(levels))

    def forward(self, points: Tensor) -> Tensor:
        """New points (B, N, 2^s, 3) of patches (B, N, 3)."""
        batch, size, _ = points.shape
        current, before = points, None
        for level in self.levels:
            made, features = self._in_pieces(level, current, before)  # type: ignore[arg-type]
            before = Known(current, features)
            current = made.flatten(1, 2)
        return current.view(batch, size, -1, 3)

    def train_level(self, points: Tensor, number: int) -> tuple[Tensor, Tensor]:
        """What level `number` makes of a random piece, as in the paper's training; only this level gets gradients.

        Args:
            points: (B, n, 3), the input of the first level.
            number: 1 for the first level.

        Returns:
            New points (B, 2 n', 3), n' = min(n, `points`), and the center (B, 1, 3) of the piece.
        """
        current, before = points, None
        with torch.no_grad():
            for level in self.levels[: number - 1]:
                made, features = level(current, before)
                before = Known(current, features)
                cloud = made.flatten(1, 2)
                seed = torch.randint(cloud.shape[1], (len(cloud), 1), device=cloud.device)
                center = gather(cloud, seed)
                current = gather(cloud, nearest(cloud, center, min(self.points, points.shape[1]))[:, 0])
        made = self.levels[number - 1](current, before)[0]
        return made.flatten(1, 2), current.mean(dim=1, keepdim=True) if number == 1 else center

    def _in_pieces(self, level: Level, points: Tensor, before: Known | None) -> tuple[Tensor, Tensor]:
        batch, size, _ = points.shape
        if size <= self.points or before is None:
            made, features = level(points, before)
            return made, features
        count = math.ceil(_OVERLAP * size / self.points)
        index = nearest(points, gather(points, farthest_points(points, count)), self.points)  # (B, count, n)
        pieces = gather(points, index).flatten(0, 1)
        rows = torch.arange(batch, device=points.device).repeat_interleave(count)
        found = [
            level(pieces[part], Known(before.points[rows[part]], before.features[rows[part]]))
            for part in torch.arange(len(pieces), device=points.device).split(_PIECES)
        ]
        slot, covered = owners(index, size)
        made = gather(torch.cat([a for a, _ in found]).view(batch, -1, 6), slot).view(batch, size, 2, 3)
        features = gather(torch.cat([b for _, b in found]).view(batch, count * self.points, -1), slot)
        # Points in no piece are rare: they do as the nearest ones that are in one.
        for b in torch.nonzero(~covered.all(dim=1))[:, 0].tolist():
            mine, others = covered[b].nonzero()[:, 0], (~covered[b]).nonzero()[:, 0]
            near = mine[nearest(points[b, mine][None], points[b, others][None], 1)[0, :, 0]]
            made[b, others] = points[b, others][:, None] + made[b, near] - points[b, near][:, None]
            features[b, others] = features[b, near]
        return made, features


def owners(index: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Where each point of a cloud is nearest to the center of a piece by rank.

    Args:
        index: (B, P, n), the points of each of P pieces, nearest to its center first.
        size: N, points of the cloud.

    Returns:
        Positions (B, N) in the pieces (B, P n), 0 for points in no piece; and whether a point is in one (B, N).
    """
    batch, pieces, n = index.shape
    rank, piece = torch.arange(n, device=index.device), torch.arange(pieces, device=index.device)
    order = (rank * pieces + piece[:, None]).expand(batch, -1, -1)
    none = n * pieces
    best = torch.full((batch, size), none, device=index.device)
    best.scatter_reduce_(1, index.flatten(1), order.flatten(1), "amin")
    covered = best < none
    best = best.where(covered, torch.zeros_like(best))
    return best % pieces * n + best // pieces, covered
