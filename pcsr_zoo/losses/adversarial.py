"""Least-squares adversarial losses (LS-GAN), as in PU-GAN (Li et al., ICCV 2019, eq. 1 and 2)."""

from __future__ import annotations

from torch import Tensor


def generator_loss(made: Tensor) -> Tensor:
    """(1/2) mean (D(made) - 1)^2, for the confidence D(made) (B,) of a discriminator in point sets that were made."""
    return 0.5 * (made - 1).square().mean()


def discriminator_loss(made: Tensor, true: Tensor) -> Tensor:
    """(1/2) (mean D(made)^2 + mean (D(true) - 1)^2), for confidences (B,) in made and in true point sets."""
    return 0.5 * (made.square().mean() + (true - 1).square().mean())
