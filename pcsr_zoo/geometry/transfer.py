"""Transfer of attributes to new points: floats, colors and intensities are interpolated, labels are not."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..cloud import COLORS, INTENSITY, LABELS, NORMALS
from .kinds import is_tensor
from .knn import knn

# Integer attributes that are measurements and may be averaged. All other integers are codes.
_MEASURED = {COLORS, INTENSITY}


def transfer_attributes(
    source: Any, attributes: dict[str, np.ndarray], target: Any, k: int = 4
) -> dict[str, np.ndarray]:
    """Attributes (M, ...) of `target` points from those of `source` points.

    Floats, colors and intensities are means over the k nearest source points, weighted by the inverse squared distance
    (Shepard 1968), in their own dtype (integers are rounded). Labels, flags and all other integers are those of the
    nearest source point. Normals are flipped to a common side, averaged and normalized. A target point that is equal to
    a source point gets its values unchanged.

    Args:
        source: (N, 3) float64 array, or a tensor, whose device is used to search neighbors.
        attributes: name -> array (N,) or (N, C).
        target: (M, 3), an array or tensor like `source`.
        k: number of neighbors.
    """
    if not attributes:
        return {}
    distance, index = knn(source, target, k)
    if is_tensor(distance):
        distance, index = distance.double().cpu().numpy(), index.cpu().numpy()
    nearest = distance[:, :1]  # weights relative to that of the nearest point, which cannot overflow
    weight = np.where(nearest > 0, (nearest / np.maximum(distance, 1e-300)) ** 2, np.arange(distance.shape[1]) == 0)
    weight /= weight.sum(axis=1, keepdims=True)
    return {name: blend(name, values, index, weight) for name, values in attributes.items()}


def blend(name: str, values: np.ndarray, index: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Values (M, ...) of new points from those of source points (N, ...), see `transfer_attributes`.

    Args:
        name: the attribute.
        values: (N,) or (N, C).
        index: (M, k), rows of `values`, the nearest first.
        weight: (M, k), with the sum 1 in each row.
    """
    kind = values.dtype.kind
    if name == LABELS or (kind != "f" and name not in _MEASURED):
        return values[index[:, 0]]
    column = values if values.ndim == 2 else values[:, None]
    mixed = np.zeros((len(index), column.shape[1]), np.float64)
    first = column[index[:, 0]].astype(np.float64)
    for neighbor in range(index.shape[1]):
        part = column[index[:, neighbor]].astype(np.float64)
        if name == NORMALS:
            part *= np.where((part * first).sum(axis=1, keepdims=True) < 0, -1.0, 1.0)
        mixed += weight[:, neighbor, None] * part
    if name == NORMALS:
        length = np.linalg.norm(mixed, axis=1, keepdims=True)
        mixed = np.where(length > 1e-12, mixed / np.maximum(length, 1e-12), first)
    if kind != "f":
        bounds = np.iinfo(values.dtype)
        mixed = np.clip(np.rint(mixed), bounds.min, bounds.max)
    exact = weight[:, 0] == 1.0
    mixed = mixed.astype(values.dtype)
    mixed[exact] = column[index[exact, 0]]
    return mixed if values.ndim == 2 else mixed[:, 0]
