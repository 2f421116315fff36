"""PointNet++ (Qi et al., NeurIPS 2017) for classification, single-scale grouping, in its published size.

Set abstractions of 512 regions (radius .2, 32 points, widths 64, 64, 128), 128 regions (radius .4, 64 points, widths
128, 128, 256) and the whole cloud (256, 512, 1024), then layers of 512 and 256 with dropout. Clouds have radius 1.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn

from pcsr_zoo.layers.picking import farthest_points, gather

LEVELS = ((512, 0.2, 32, (64, 64, 128)), (128, 0.4, 64, (128, 128, 256)))  # regions, radius, points, widths
GLOBAL = (256, 512, 1024)
HEAD = (512, 256)


def regions(points: Tensor, levels: tuple = LEVELS) -> list[tuple[Tensor, Tensor]]:
    """The centers (B, M) of each level, and the first k points (B, M, k) in a ball about each center.

    Where there are fewer, the first is repeated. Neither depends on the pose or on the scale within limits, so they are
    computed once for all epochs.
    """
    found = []
    for count, radius, k, _ in levels:
        centers = farthest_points(points, min(count, points.shape[1]))
        at, members = gather(points, centers), []
        for one, where in zip(points, at, strict=True):  # cloud by cloud: the distances of a batch need gigabytes
            near = torch.cdist(where, one) <= radius
            order = torch.where(near, torch.arange(near.shape[1]), near.shape[1])
            first = order.topk(min(k, order.shape[1]), dim=1, largest=False, sorted=True).values
            members.append(torch.where(first < near.shape[1], first, first[:, :1]))
        found.append((centers, torch.stack(members)))
        points = at
    return found


def perceptron(*widths: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for channels, width in pairwise(widths):
        layers += [nn.Linear(channels, width, bias=False), nn.BatchNorm1d(width), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


class SetAbstraction(nn.Module):
    """Points of a region (..., k, C) -> features (..., width): a shared MLP and max-pooling."""

    def __init__(self, channels: int, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.shared = perceptron(channels, *widths)

    def forward(self, rows: Tensor) -> Tensor:
        return self.shared(rows.flatten(0, -2)).view(*rows.shape[:-1], -1).amax(dim=-2)


class PointNet2(nn.Module):
    """Points (B, N, 3) and their `regions` -> logits (B, classes)."""

    def __init__(self, classes: int, levels: tuple = LEVELS, dropout: float = 0.5) -> None:
        super().__init__()
        self.levels, channels = nn.ModuleList(), 0
        for *_, widths in levels:
            self.levels.append(SetAbstraction(3 + channels, widths))
            channels = widths[-1]
        self.last = SetAbstraction(3 + channels, GLOBAL)
        head = [layer for pair in pairwise((GLOBAL[-1], *HEAD)) for layer in (perceptron(*pair), nn.Dropout(dropout))]
        self.head = nn.Sequential(*head, nn.Linear(HEAD[-1], classes))

    def forward(self, points: Tensor, found: list[tuple[Tensor, Tensor]]) -> Tensor:
        features: list[Tensor] = []  # features of the points; none in the first level
        for level, (centers, members) in zip(self.levels, found, strict=True):
            at, near = gather(points, centers), gather(points, members)
            rows = [near - at[:, :, None], *(gather(known, members) for known in features)]
            features, points = [level(torch.cat(rows, dim=3))], at
        return self.head(self.last(torch.cat([points, *features], dim=2)))


def moved(points: Tensor, generator: torch.Generator) -> Tensor:
    """Clouds (B, N, 3), each scaled by .8 to 1.25 and shifted by up to .1: the usual augmentation."""
    size = len(points)
    scale = 0.8 + 0.45 * torch.rand(size, 1, 1, generator=generator)
    return points * scale + 0.2 * torch.rand(size, 1, 3, generator=generator) - 0.1


def train(
    points: Tensor,
    classes: Tensor,
    count: int,
    *,
    epochs: int,
    seed: int = 0,
    batch: int = 16,
    levels: tuple = LEVELS,
    say: Callable[[str], None] = lambda text: None,
) -> PointNet2:
    """Train on clouds (B, N, 3): Adam with 1e-3, times .7 after each tenth of the epochs."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    network = PointNet2(count, levels).train()
    optimizer = torch.optim.Adam(network.parameters(), 1e-3)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, max(epochs // 10, 1), 0.7)
    found = regions(points, levels)
    for epoch in range(epochs):
        total = 0.0
        for rows in torch.randperm(len(points), generator=generator).split(batch):
            if len(rows) < 2:  # no statistics for the normalization
                continue
            inside = [(centers[rows], members[rows]) for centers, members in found]
            loss = nn.functional.cross_entropy(network(moved(points[rows], generator), inside), classes[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(rows)
        schedule.step()
        say(f"epoch {epoch + 1} of {epochs}: loss {total / len(points):.3f}")
    return network.eval()


@torch.no_grad()
def answers(network: PointNet2, points: Tensor, levels: tuple = LEVELS, batch: int = 16) -> Tensor:
    """The class (B,) of each cloud (B, N, 3)."""
    return torch.cat([network(part, regions(part, levels)).argmax(1) for part in points.split(batch)])


def accuracies(found: Tensor, truth: Tensor) -> tuple[float, float]:
    """mAcc and OA in percent: the mean of the classes' accuracies, and the share of all clouds."""
    right = (found == truth).double()
    each = [right[truth == one].mean() for one in truth.unique()]
    return 100 * float(torch.stack(each).mean()), 100 * float(right.mean())
