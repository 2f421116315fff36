"""A learned, invertible factor for each channel: the scale of ActNorm (Kingma and Dhariwal, 2018)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class InvertibleScale(nn.Module):
    """x * exp(log_scale), with one factor for `repeats` consecutive channels.

    Args:
        initial: the initial factors, positive.
        repeats: number of consecutive channels that share a factor: 3 for vectors in space.
    """

    def __init__(self, initial: Sequence[float], repeats: int = 1) -> None:
        super().__init__()
        self.repeats = repeats
        self.logarithm = nn.Parameter(torch.tensor(initial, dtype=torch.float32).log())

    @property
    def log_scale(self) -> Tensor:
        """The logarithm (C,) of the scale of each channel."""
        return self.logarithm.repeat_interleave(self.repeats)

    def forward(self, x: Tensor) -> Tensor:
        """Scale features (..., C)."""
        return x * self.log_scale.exp()

    def inverse(self, y: Tensor) -> Tensor:
        """The input (..., C) of `forward` for its output y."""
        return y * (-self.log_scale).exp()
