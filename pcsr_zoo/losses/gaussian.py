"""The cross entropy between latent variables and a Gaussian distribution (PointLIE, eq. 10)."""

from __future__ import annotations

import math

from torch import Tensor


def gaussian_cross_entropy(z: Tensor, mean: Tensor | float = 0.0, log_sigma: Tensor | float = 0.0) -> Tensor:
    """The mean over all entries of -log N(z; mean, sigma^2) = ((z - mean) / sigma)^2 / 2 + log sigma + log(2 pi) / 2.

    Args:
        z: latent variables of any shape.
        mean, log_sigma: parameters that broadcast with z; by default those of N(0, 1).
    """
    shrink = math.exp(-log_sigma) if not isinstance(log_sigma, Tensor) else (-log_sigma).exp()
    return (0.5 * ((z - mean) * shrink).square() + log_sigma).mean() + 0.5 * math.log(2 * math.pi)
