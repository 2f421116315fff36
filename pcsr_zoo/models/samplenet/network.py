"""The networks of SampleNet (Lang et al., CVPR 2020, sec. 3): a network that samples and one that recovers."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from ...errors import OptionError
from ...layers.picking import gather, nearest

_ENCODER, _HEAD = (64, 64, 64, 128), (256, 256, 256)


class SampleNetwork(nn.Module):
    """A PointNet that proposes m points for a patch, beside the task network, to which `forward` belongs.

    Args:
        count: m.
        task: maps the sampled points (B, m, 3) of a patch, with mean 0 and radius 1, to new points (B, m, c, 3).
        bottleneck: channels of the feature of the whole patch.
    """

    def __init__(self, count: int, task: nn.Module, bottleneck: int = 128) -> None:
        super().__init__()
        if min(count, bottleneck) < 1:
            raise OptionError("the number of sampled points and bottleneck must be at least 1")
        self.task = task
        self.encode = _layers(3, *_ENCODER, bottleneck)
        self.decode = nn.Sequential(*_layers(bottleneck, *_HEAD), nn.Linear(_HEAD[-1], 3 * count))

    def forward(self, points: Tensor) -> Tensor:
        """What the task network makes of sampled points (B, m, 3)."""
        made: Tensor = self.task(points)
        return made

    def propose(self, points: Tensor) -> Tensor:
        """Proposed points (B, m, 3) of patches (B, N, 3) with mean 0 and radius 1; they are not points of the patch."""
        proposed: Tensor = self.decode(self.encode(points).amax(dim=1))
        return proposed.view(len(points), -1, 3)


def soft_projection(proposed: Tensor, points: Tensor, temperature: float, group: int = 8) -> Tensor:
    """Proposed points (B, m, 3), projected onto points (B, N, 3): means of the `group` nearest ones (eq. 6 and 7).

    The weights are a softmax of -(d / temperature)^2 over the distances d, in units of the points. With a temperature
    near 0, the result is the nearest point.
    """
    near = gather(points, nearest(points, proposed, group))
    squares = (near - proposed[:, :, None]).square().sum(dim=3)
    return (torch.softmax(-squares / temperature**2, dim=2)[:, :, None] @ near)[:, :, 0]


def _layers(*widths: int) -> nn.Sequential:
    return nn.Sequential(*(layer for a, b in pairwise(widths) for layer in (nn.Linear(a, b), nn.ReLU())))
