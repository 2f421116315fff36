"""The network of PU-Net (Yu et al., CVPR 2018, sec. 3, fig. 1)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...errors import OptionError
from ...layers.interpolation import interpolate
from ...layers.picking import farthest_points, gather
from ...layers.set_abstraction import SetAbstraction

RADII = (0.05, 0.1, 0.2, 0.3)  # of the balls of the levels, for patches of 1024 points and radius 1
LEVELS = ((32, 32, 64), (64, 64, 128), (128, 128, 256), (256, 256, 512))
_POINTS = 1024
_RESTORED = 64  # channels to which each level is brought back


class PUNetwork(nn.Module):
    """Four levels of set abstraction, each with half the points of the one before; features of all levels at every
    point; r branches, one for each new point; an MLP to coordinates.

    Args:
        copies: r.
        points: of the patches that the network is made for. The radii of the balls grow with the point spacing, so that
            a ball has the same number of points as in the paper's patches of 1024 (ours).
        branch: channels of the two layers of a branch.
        hidden: channels of the layer before the coordinates.
    """

    def __init__(self, copies: int = 4, points: int = 256, branch: tuple[int, int] = (256, 128), hidden: int = 64):
        super().__init__()
        if min(copies, points, *branch, hidden) < 1:
            raise OptionError("copies, points, branch and hidden must be at least 1")
        self.copies = copies
        self.levels, self.restore = nn.ModuleList(), nn.ModuleList()
        channels = 0
        for radius, widths in zip(RADII, LEVELS, strict=True):
            self.levels.append(SetAbstraction(channels, widths, radius * (_POINTS / points) ** 0.5))
            if channels:
                self.restore.append(nn.Linear(widths[-1], _RESTORED))
            channels = widths[-1]
        together = 3 + LEVELS[0][-1] + _RESTORED * len(self.restore)  # 259
        wide, narrow = branch
        self.branches = nn.ModuleList(
            nn.Sequential(nn.Linear(together, wide), nn.ReLU(), nn.Linear(wide, narrow), nn.ReLU())
            for _ in range(copies)
        )
        self.place = nn.Sequential(nn.Linear(narrow, hidden), nn.ReLU(), nn.Linear(hidden, 3))

    def forward(self, points: Tensor) -> Tensor:
        """New points (B, N, r, 3) of patches (B, N, 3) with mean 0 and radius 1."""
        features = self.features(points)
        made: Tensor = self.place(torch.stack([branch(features) for branch in self.branches], dim=2))
        return made

    def features(self, points: Tensor) -> Tensor:
        """Features of all levels at each point, with its position: (B, N, 259)."""
        size = points.shape[1]
        order = farthest_points(points, size)  # the first ones of it are the points of each level
        places, features, found = points, None, [points]
        for number, level in enumerate(self.levels):
            centers = points if number == 0 else gather(points, order[:, : max(1, size >> number)])
            features = level(places, features, centers)
            places = centers
            if number == 0:
                found.append(features)
            else:
                # linear in the features, and the weights of the interpolation sum to 1: before it is cheaper
                restored = self.restore[number - 1](features)
                found.append(torch.relu(interpolate(restored, places, points)))
        return torch.cat(found, dim=2)
