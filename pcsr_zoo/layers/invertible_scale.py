"""A learned factor for each channel that can be undone: the scale of ActNorm (Kingma and Dhariwal, 2018)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class InvertibleScale(nn.Module):
    """x * exp(log_scale), channel by channel.

    Args:
        initial: the factors that it begins with, one for each channel, positive.
    """

    def __init__(self, initial: Sequence[float]) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.tensor(initial, dtype=torch.float32).log())

    def forward(self, x: Tensor) -> Tensor:
        return x * self.log_scale.exp()

    def inverse(self, y: Tensor) -> Tensor:
        return y * (-self.log_scale).exp()
