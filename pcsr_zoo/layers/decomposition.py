"""PointLIE's decomposition module: kept points, and the offsets from them to discarded points (sec. 3.2)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from .picking import farthest_points, gather, nearest

SPACES = ("positions", "features")


class Decomposed(NamedTuple):
    """A decomposed cloud.

    Attributes:
        kept: Q_s (B, n, d).
        offsets: Q_r (B, n, k d), neighbor by neighbor.
        picks: (B, n), indices of the kept points, in the order of farthest point sampling.
        neighbors: (B, n, k), indices of the points that the offsets lead to.
    """

    kept: Tensor
    offsets: Tensor
    picks: Tensor
    neighbors: Tensor


def decompose(
    features: Tensor,
    n: int,
    k: int = 3,
    space: str = "positions",
    picks: Tensor | None = None,
    start: int | None = None,
) -> Decomposed:
    """Split features (B, N, d), whose first 3 channels are positions, into n kept points and k offsets of each.

    Farthest point sampling of the positions keeps n points. Each of them gets the offsets, in all d channels, to its k
    nearest among the N - n discarded points. A discarded point that is not among the k nearest of any kept point is
    lost. With fewer than k discarded points, the last one is repeated; with none, the offsets are zero.

    Args:
        features: (B, N, d).
        n: the number of kept points, 1 <= n <= N.
        k: offsets of each kept point.
        space: the channels in which the nearest points are searched: "positions" for the first 3, "features" for all.
            The others together weigh as much as the positions (ours). Otherwise they outweigh these where they are
            many, and then most discarded points are in nobody's list.
        picks: (B, n), the indices of the kept points, if they are already known.
        start: index of the first kept point; by default the one farthest from the mean.
    """
    batch, size, channels = features.shape
    positions = features[:, :, :3]
    picks = farthest_points(positions, n, start) if picks is None else picks
    kept = gather(features, picks)
    left = torch.ones(batch, size, dtype=torch.bool, device=features.device)
    left.scatter_(1, picks, False)
    others = left.nonzero()[:, 1].view(batch, size - n)
    if size == n:
        return Decomposed(kept, kept.new_zeros(batch, n, k * channels), picks, picks[:, :, None].expand(batch, n, k))
    among = gather(features, others)
    weight = features.new_ones(channels if space == "features" else 3)
    weight[3:] *= (3 / max(channels - 3, 1)) ** 0.5
    local = nearest(among[:, :, : len(weight)] * weight, kept[:, :, : len(weight)] * weight, k)
    if local.shape[2] < k:
        local = torch.cat([local, local[:, :, -1:].expand(batch, n, k - local.shape[2])], dim=2)
    offsets = gather(among, local) - kept[:, :, None]
    neighbors = others.gather(1, local.flatten(1)).view(batch, n, k)
    return Decomposed(kept, offsets.flatten(2), picks, neighbors)


def candidates(kept: Tensor, offsets: Tensor) -> Tensor:
    """The inverse of `decompose`: kept points (B, n, d), then kept points plus offsets: (B, (k + 1) n, d)."""
    batch, n, channels = kept.shape
    others = kept[:, :, None] + offsets.view(batch, n, -1, channels)
    return torch.cat([kept, others.flatten(1, 2)], dim=1)
