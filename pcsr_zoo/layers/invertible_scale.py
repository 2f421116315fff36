"""A learned affine map of each channel that can be inverted: the ActNorm of Glow (Kingma and Dhariwal, 2018)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class InvertibleScale(nn.Module):
    """x * exp(log_scale) + shift, channel by channel.

    Args:
        initial: the factors at the start, positive.
        repeats: how many channels in a row share one factor: 3 for vectors in space.
        shift: whether there is a learned shift; otherwise it is 0.
    """

    def __init__(self, initial: Sequence[float], repeats: int = 1, shift: bool = False) -> None:
        super().__init__()
        self.repeats = repeats
        self.logarithm = nn.Parameter(torch.tensor(initial, dtype=torch.float32).log())
        self.shift = nn.Parameter(torch.zeros(len(initial) * repeats)) if shift else None

    @property
    def log_scale(self) -> Tensor:
        """The logarithm (C,) of the scale of each channel."""
        return self.logarithm.repeat_interleave(self.repeats)

    def forward(self, x: Tensor) -> Tensor:
        """Features (..., C), mapped."""
        y = x * self.log_scale.exp()
        return y if self.shift is None else y + self.shift

    def inverse(self, y: Tensor, learn: bool = True) -> Tensor:
        """The features (..., C) that `forward` maps to y. Without `learn`, scale and shift get no gradient from it."""
        factor = (-self.log_scale).exp()
        shift: Tensor | None = self.shift
        if not learn:
            factor, shift = factor.detach(), None if shift is None else shift.detach()
        return (y if shift is None else y - shift) * factor
