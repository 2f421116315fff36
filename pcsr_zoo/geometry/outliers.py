"""Isolated points of a cloud, and the distance from a cloud that new points may have."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .knn import KNN

_AROUND = 4  # the local spacing of a point is the distance to this neighbor
_GROUP, _APART = 8, 8.0  # see `isolated_points`
_FEWEST = 24  # points of a cloud that may have isolated ones
_FARTHEST = 2.0  # local spacings of the nearest input point that a new point may be away from it
_PASSES = 32
_BOX, _MARGIN = 8, 0.5  # nearest points whose box a new point may leave, and by how many local spacings
_ONE_SIDED = 0.4  # |sum of offsets| / sum of |offsets| of these points, below which a point is amid them


def isolated_points(points: np.ndarray) -> NDArray[np.bool_]:
    """A mask (N,) of points that are far from all others, measured by the spacing there: outliers.

    The spacing at a point is the distance to its eighth neighbor. A point is a candidate if its spacing is 8 times that
    at this neighbor, and isolated if each of its eight neighbors is a candidate, too, or is 8 spacings of its own away.
    Groups of up to eight outliers are found thus; larger ones are parts of the cloud. Isolated points are then left
    out, and others looked for, so that chains of outliers, each far from the next, are found.
    """
    isolated = np.zeros(len(points), bool)
    if len(points) < _FEWEST:
        return isolated
    for _ in range(_PASSES):
        kept = np.flatnonzero(~isolated)
        distance, index = (part[:, 1:] for part in KNN(points[kept]).query(points[kept], _GROUP + 1))
        spacing = distance[:, -1]
        candidate = spacing > _APART * spacing[index[:, -1]]
        found = candidate.copy()
        near = index[candidate]
        found[candidate] = (candidate[near] | (distance[candidate] > _APART * spacing[near])).all(axis=1)
        if not found.any() or len(kept) - found.sum() < _FEWEST:
            break
        isolated[kept[found]] = True
    return isolated


def pulled_in(new_points: np.ndarray, points: np.ndarray) -> NDArray[np.float64]:
    """New points (M, 3), of which those that stray from a cloud of (N, 3) points are moved back.

    A point strays if it is farther than 2 local spacings from its nearest point of the cloud, or more than half of one
    outside of the box of its 8 nearest points, along their principal axes: a quadric that is fitted across a wall or a
    tower can end far above or below all of them. It is moved to that box, and toward the nearest point.
    """
    if not len(new_points) or len(points) < 2:
        return new_points
    tree = KNN(points)
    distance, index = tree.query(new_points, _BOX)
    nearest = np.zeros(len(points), bool)
    nearest[index[:, 0]] = True
    around = np.zeros(len(points))
    around[nearest] = tree.query(points[nearest], _AROUND + 1)[0][:, -1]
    spacing = around[index[:, 0]]
    total = index.shape[1] * new_points - points[index].sum(axis=1)
    beside = np.linalg.norm(total, axis=1) > _ONE_SIDED * distance.sum(axis=1)
    outside = np.flatnonzero(beside & (distance[:, 0] > _MARGIN / 2 * spacing))
    out = new_points
    if len(outside):
        out = out.copy()
        out[outside] = _into_box(out[outside], points[index[outside]], _MARGIN * spacing[outside])
        distance[outside, 0], index[outside, 0] = (part[:, 0] for part in tree.query(out[outside], 1))
    limit = _FARTHEST * spacing
    far = distance[:, 0] > limit
    if far.any():
        out = out.copy()
        anchor = points[index[far, 0]]
        out[far] = anchor + (out[far] - anchor) * (limit[far] / distance[far, 0])[:, None]
    return out


def _into_box(moving: np.ndarray, near: np.ndarray, margin: np.ndarray) -> np.ndarray:
    """Points (M, 3) moved into the boxes of (M, k, 3) points, which are margins (M,) larger on all sides."""
    center = near.mean(axis=1, keepdims=True)
    scale = np.maximum(np.abs(near - center).max(axis=(1, 2), keepdims=True), 1e-300)
    offset = (near - center) / scale  # squares must not overflow
    axes = np.linalg.eigh(offset.swapaxes(1, 2) @ offset)[1]
    local, own = (near - center) @ axes, ((moving[:, None] - center) @ axes)[:, 0]
    low, high = local.min(axis=1) - margin[:, None], local.max(axis=1) + margin[:, None]
    inside = np.clip(own, low, high)
    changed = (inside != own).any(axis=1)
    out = moving.copy()
    out[changed] = center[changed, 0] + (axes[changed] @ inside[changed, :, None])[:, :, 0]
    return out
