"""A learned factor for each channel that can be undone: the scale of ActNorm (Kingma and Dhariwal, 2018)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class InvertibleScale(nn.Module):
    """x * exp(log_scale), with one scale for every few channels.

    Args:
        initial: the factors that it begins with, positive.
        repeats: how many channels in a row have one factor: 3 for vectors in space.
    """

    def __init__(self, initial: Sequence[float], repeats: int = 1) -> None:
        super().__init__()
        self.repeats = repeats
        self.logarithm = nn.Parameter(torch.tensor(initial, dtype=torch.float32).log())

    @property
    def log_scale(self) -> Tensor:
        """Of each channel."""
        return self.logarithm.repeat_interleave(self.repeats)

    def forward(self, x: Tensor) -> Tensor:
        """Features (..., C), scaled."""
        return x * self.log_scale.exp()

    def inverse(self, y: Tensor) -> Tensor:
        """What `forward` made (..., C) into y."""
        return y * (-self.log_scale).exp()
