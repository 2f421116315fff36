"""Merging: one cloud with an exact number of points from what a network made of overlapping patches."""

from __future__ import annotations

import numpy as np

from ...geometry.fps import farthest_point_sample
from ...models.base import Context


def merge(made: np.ndarray, index: np.ndarray, count: int, how: str, context: Context, kept: np.ndarray) -> np.ndarray:
    """`count` points of those that were made.

    Args:
        made: (P, n, r, 3), the new points of each point of each patch.
        index: (P, n), the points of each patch, nearest to its seed first.
        count: number of points of the result, at most r times the number of points of the cloud.
        how: "fps" for a farthest point sampling of all, or "owner" for those of the patch in which a point is
            nearest to the seed, thinned by farthest point sampling if these are more than `count`.
        context: the settings of the run.
        kept: (K, 3), points that are already part of the result; K may be 0.

    Returns:
        (count, 3) float64.
    """
    context.progress("selection", 0.0)
    found = made.reshape(-1, 3) if how == "fps" else owned(made, index)
    found = found.astype(np.float64)
    if count < len(found):
        found = found[farthest_point_sample(found, count, selected=kept)]
    context.progress("selection", 1.0)
    return found


def owned(made: np.ndarray, index: np.ndarray) -> np.ndarray:
    """(r N, 3): the new points of each point, from the patch in which it is nearest to the seed by rank."""
    patches, size = index.shape
    rank = np.broadcast_to(np.arange(size), index.shape)
    order = np.lexsort((rank.ravel(), index.ravel()))
    point = index.ravel()[order]
    first = order[np.flatnonzero(np.diff(point, prepend=-1))]
    return made.reshape(patches * size, -1, 3)[first].reshape(-1, 3)
