"""PU-GAN's discriminator of point sets (Li et al., ICCV 2019, sec. 3.2)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .self_attention import SelfAttention


class Discriminator(nn.Module):
    """The confidence (B,) that point sets (B, N, 3) are true ones; 1 for true and 0 for made, see `losses.adversarial`.

    An MLP of each point, with the maximum over all points beside it, self-attention, a second MLP, the maximum, and a
    third MLP.

    Args:
        width: channels of the first layer; the others have 2, 4 and 8 times as many.
    """

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Linear(3, width), nn.ReLU(), nn.Linear(width, 2 * width), nn.ReLU())
        self.attention = SelfAttention(4 * width)
        self.second = nn.Sequential(nn.Linear(4 * width, 4 * width), nn.ReLU(), nn.Linear(4 * width, 8 * width))
        self.last = nn.Sequential(nn.Linear(8 * width, 8 * width), nn.ReLU(), nn.Linear(8 * width, 1))

    def forward(self, points: Tensor) -> Tensor:
        each = self.first(points)
        together = torch.cat([each, each.amax(dim=1, keepdim=True).expand_as(each)], dim=2)
        summary = torch.relu(self.second(self.attention(together)).amax(dim=1))
        confidence: Tensor = self.last(summary)[:, 0]
        return confidence
