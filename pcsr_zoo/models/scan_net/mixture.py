"""Mixtures of Laplace distributions of log range."""

from __future__ import annotations

import math

import torch
from torch import Tensor

NEAR = 0.1  # meters: the confidence is the probability that a range is within this


def log_likelihood(log_range: Tensor, centers: Tensor, weights: Tensor, scales: Tensor) -> Tensor:
    """Log density (...) of log ranges (...) under mixtures of K components (..., K); log weights and log scales."""
    apart = (log_range[..., None] - centers).abs()
    return torch.logsumexp(weights - scales - math.log(2) - apart / scales.exp(), dim=-1)


def best_guess(
    guesses: Tensor, possible: Tensor, weights: Tensor, shifts: Tensor, scales: Tensor, returned: Tensor
) -> tuple[Tensor, Tensor]:
    """The center of a mixture with the most probability within `NEAR` around it, and this probability.

    Args:
        guesses: (..., K), log ranges of the hypotheses.
        possible: (..., K).
        weights, shifts, scales, returned: what the network gives, see `ScanNetwork.decode`.

    Returns:
        ranges (...), meters, and confidences (...): the probability, times that of a return; 0 if nothing is possible.
    """
    centers = guesses + shifts
    half = NEAR * torch.exp(-centers)
    share, scale = weights.exp()[..., None, :], scales.exp()[..., None, :]
    apart = (centers[..., :, None] - centers[..., None, :]) / scale
    width = half[..., :, None] / scale
    mass = (share * (_cdf(apart + width) - _cdf(apart - width))).sum(dim=-1)
    mass = mass.masked_fill(~possible, -1.0)
    best, chosen = mass.max(dim=-1)
    ranges = centers.gather(-1, chosen[..., None])[..., 0].exp()
    return ranges, best.clamp(min=0) * torch.sigmoid(returned)


def _cdf(x: Tensor) -> Tensor:
    tail = 0.5 * torch.exp(-x.abs())
    return torch.where(x < 0, tail, 1 - tail)
