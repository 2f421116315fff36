"""PointNetVLAD (Uy and Lee, CVPR 2018): a descriptor of a place from its points, and the loss that trains it.

PointNet up to its features of 1,024 channels, with both of its transforms; NetVLAD with 64 clusters; a layer to 256
channels with context gating; unit length.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

FEATURES, CLUSTERS, OUTPUT = 1024, 64, 256
MARGIN, SECOND_MARGIN = 0.5, 0.2


def shared(*widths: int) -> nn.Sequential:
    """Layers that treat each point alike, on (B, C, N)."""
    layers: list[nn.Module] = []
    for channels, width in pairwise(widths):
        layers += [nn.Conv1d(channels, width, 1, bias=False), nn.BatchNorm1d(width), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


class Transform(nn.Module):
    """Points (B, C, N) -> a matrix (B, C, C) for them, which is the identity at first."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels, self.points = channels, shared(channels, 64, 128, 1024)
        widths = (1024, 512, 256)
        layers: list[nn.Module] = []
        for a, b in pairwise(widths):
            layers += [nn.Linear(a, b, bias=False), nn.BatchNorm1d(b), nn.ReLU(inplace=True)]
        self.whole, self.last = nn.Sequential(*layers), nn.Linear(256, channels**2)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, points: Tensor) -> Tensor:
        found = self.last(self.whole(self.points(points).amax(dim=2)))
        return found.view(-1, self.channels, self.channels) + torch.eye(self.channels, device=points.device)


class NetVLAD(nn.Module):
    """Features (B, N, D) -> (B, K D): their residuals to K clusters, softly assigned, with unit lengths.

    Arandjelovic et al., CVPR 2016: each cluster's sum of residuals is normalized, then the whole.
    """

    def __init__(self, features: int = FEATURES, clusters: int = CLUSTERS) -> None:
        super().__init__()
        self.assign = nn.Linear(features, clusters, bias=False)
        self.norm = nn.BatchNorm1d(clusters)
        self.centers = nn.Parameter(torch.randn(clusters, features) / features**0.5)

    def forward(self, features: Tensor) -> Tensor:
        scores = self.norm(self.assign(features).flatten(0, 1)).view(*features.shape[:2], -1)
        share = scores.softmax(dim=2)
        residuals = share.mT @ features - share.sum(dim=1)[:, :, None] * self.centers
        return nn.functional.normalize(nn.functional.normalize(residuals, dim=2).flatten(1), dim=1)


class PointNetVLAD(nn.Module):
    """Points (B, N, 3) -> descriptors (B, 256) of length 1."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = Transform(3), Transform(64)
        self.early, self.late = shared(3, 64, 64), shared(64, 64, 128, FEATURES)
        self.vlad = NetVLAD()
        self.output = nn.Sequential(nn.Linear(CLUSTERS * FEATURES, OUTPUT, bias=False), nn.BatchNorm1d(OUTPUT))
        nn.init.normal_(self.output[0].weight, std=FEATURES**-0.5)  # larger than by default, or Adam's steps are too
        self.gate = nn.Sequential(nn.Linear(OUTPUT, OUTPUT, bias=False), nn.BatchNorm1d(OUTPUT), nn.Sigmoid())

    def forward(self, points: Tensor) -> Tensor:
        values = points.mT
        values = self.early(self.first(values) @ values)
        values = self.late(self.second(values) @ values)
        found = self.output(self.vlad(values.mT))
        return nn.functional.normalize(found * self.gate(found), dim=1)


def lazy_quadruplet_loss(
    query: Tensor, positives: Tensor, negatives: Tensor, other: Tensor, known: Tensor | None = None
) -> Tensor:
    """The lazy quadruplet loss, averaged over B queries.

    With squared distances d, and the best positive p: the largest of [.5 + d(q, p) - d(q, n)]+ over the negatives n,
    plus the largest of [.2 + d(q, p) - d(n*, n)]+, with n* the other negative, which is far from all of them.

    Args:
        query: (B, C).
        positives: (B, P, C).
        negatives: (B, M, C).
        other: (B, C), n*.
        known: (B, M), which of the negatives count; all by default.
    """

    def squared(a: Tensor, b: Tensor) -> Tensor:
        return ((a[:, None] - b) ** 2).sum(dim=2)

    best = squared(query, positives).amin(dim=1, keepdim=True)
    terms = MARGIN + best - squared(query, negatives), SECOND_MARGIN + best - squared(other, negatives)
    total = query.new_zeros(len(query))
    for term in terms:
        term = term.clamp(min=0)
        total = total + (term if known is None else term * known).amax(dim=1)
    return total.mean()
