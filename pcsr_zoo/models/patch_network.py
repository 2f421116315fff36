"""The base class of families whose network is a network of patches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from ..errors import OptionError
from .base import Context, Learned, PatchUpsampler


def check_patch(points: int) -> None:
    """Raise an OptionError if a patch cannot have this number of points."""
    if not 8 <= points <= 4096:
        raise OptionError(f"points must be from 8 to 4096, got {points}")


class PatchNetwork(Learned, PatchUpsampler):
    """A model whose `network` maps patches (B, n, 3) to new points (B, n, c, 3), both in the frame of the patch.

    If c is larger than the ratio, the farthest points of each patch are the result, as in PU-GAN. The figures are those
    of `PatchRecipe`.
    """

    figures: ClassVar[Mapping[str, str]] = {
        "score": "the mean of even and random",
        "even": "CD x1000 of upsampled patches of held-out shapes, radius 1, from an even input",
        "random": "the same from random points",
    }

    def expand(self, patches: np.ndarray, context: Context) -> np.ndarray:
        import torch

        from ..layers.picking import thinned

        network = self.network.to(context.device)  # outside of inference mode, or its parameters could not be trained
        kind = next(network.parameters()).dtype
        with torch.inference_mode():
            made = thinned(network(torch.from_numpy(patches).to(context.device, kind)), self.ratio)
        return made.float().cpu().numpy()
