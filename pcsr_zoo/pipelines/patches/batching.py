"""Batching: patches go through a network in batches, each in a frame of its own."""

from __future__ import annotations

import numpy as np

from ...errors import PcsrError
from ...models.base import Context, PatchUpsampler

_POINTS = 1 << 14  # points of a batch: bounds the memory, and keeps a GPU busy


def expand(model: PatchUpsampler, points: np.ndarray, index: np.ndarray, context: Context) -> np.ndarray:
    """What a model makes of each point of each patch.

    Each patch is moved and scaled to mean 0 and radius 1 for the model, and its new points are put back.

    Args:
        model: a network of patches.
        points: (N, 3) float64.
        index: (P, n), the points of each patch.
        context: the settings of the run.

    Returns:
        New points (P, n, r, 3), float32, in the frame of `points`.

    Raises:
        PcsrError: the model made another shape, or values that are NaN or infinite.
    """
    wanted = (*index.shape, model.ratio, 3)
    made = np.empty(wanted, np.float32)
    batch = max(1, _POINTS // index.shape[1])
    for begin in range(0, len(index), batch):
        context.progress("patches", begin / len(index))
        patches = points[index[begin : begin + batch]]
        center = patches.mean(axis=1, keepdims=True)
        patches = patches - center
        radius = np.sqrt((patches**2).sum(axis=2).max(axis=1))[:, None, None]
        radius[radius == 0] = 1.0  # a patch of one point
        new = model.expand(patches / radius, context)
        if new.shape != (len(patches), *wanted[1:]):
            raise PcsrError(
                f"'{model.name}' made {new.shape} of patches {patches.shape}; it declares ratio {model.ratio}"
            )
        made[begin : begin + batch] = new * radius[..., None] + center[:, None]
    context.progress("patches", 1.0)
    if not np.isfinite(made).all():
        raise PcsrError(f"'{model.name}' made points that are NaN or infinite; its training may have diverged")
    return made
