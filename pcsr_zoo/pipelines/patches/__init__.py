"""Upsampling with a network of patches: cutting, batching, merging (PU-Net's habit, Yu et al., CVPR 2018)."""

from __future__ import annotations

import math

import numpy as np

from ...geometry.overlapping_patches import cut
from ...models.base import Context, PatchUpsampler
from .batching import expand
from .merging import merge


def upsample_in_patches(
    model: PatchUpsampler, points: np.ndarray, count: int, context: Context, kept: np.ndarray
) -> np.ndarray:
    """New points (count, 3) of a cloud, none of which is a point of the input.

    A pass makes at most `model.ratio` times as many points as there are. A larger ratio takes several passes of the
    same ratio each, whose input is the output of the pass before.

    Args:
        model: a network of patches.
        points: (N, 3) float64, distinct, in the unit frame.
        count: the number of new points, 0 or more.
        context: the settings of the run.
        kept: (K, 3), points of the result beside the new ones, which keep their distance from them; K may be 0.
    """
    growth = (count + len(kept)) / len(points)
    passes = max(1, math.ceil(math.log(max(growth, 1)) / math.log(model.ratio) - 1e-9))
    current = points
    for step in range(1, passes + 1):
        target = count if step == passes else math.ceil(len(points) * growth ** (step / passes))
        index = cut(current, model.patch_size, model.overlap)
        made = expand(model, current, index, context)
        current = merge(made, index, target, model.merge, context, kept if step == passes else kept[:0])
    return current
