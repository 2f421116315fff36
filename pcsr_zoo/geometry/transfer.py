"""Transfer of attributes to new points: measurements are interpolated; labels, flags and other codes are not."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..cloud import COLORS, INTENSITY, LABELS, NORMALS
from .kinds import is_tensor
from .knn import knn

# Attributes that are measurements, also where all of their values are whole. Other whole numbers are codes: file
# formats and programs store identifiers, returns and classes as floats, too.
_MEASURED = {COLORS, INTENSITY, NORMALS}
_LARGEST = 1e100  # components of normals
_QUATERNIONS = {"rot", "rotation", "quaternion", "quat"}


def transfer_attributes(
    source: Any, attributes: dict[str, np.ndarray], target: Any, k: int = 4
) -> dict[str, np.ndarray]:
    """Attributes (M, ...) of `target` points from those of `source` points.

    Floats, colors and intensities are means over the k nearest source points, weighted by the inverse squared distance
    (Shepard 1968), in their own dtype (integers are rounded). Labels, flags, all other integers, and columns of floats
    that are whole throughout are those of the nearest source point. Normals are flipped to a common side, averaged and
    normalized, and quaternions (N, 4) likewise. Of Gaussian splats (Kerbl et al. 2023), opacity and scale are averaged
    as such, not their logits and logarithms, which files store. A value that is NaN or infinite (no measurement) is not
    averaged: new points have it where their nearest point has. A target point that is equal to a source point gets its
    values unchanged.

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
    splats = {"rot", "scale", "opacity"} <= set(attributes)
    return {name: blend(name, values, index, weight, splats) for name, values in attributes.items()}


def blend(name: str, values: np.ndarray, index: np.ndarray, weight: np.ndarray, splats: bool = False) -> np.ndarray:
    """Values (M, ...) of new points from those of source points (N, ...), see `transfer_attributes`.

    Args:
        name: the attribute.
        values: (N,) or (N, C).
        index: (M, k), rows of `values`, the nearest first.
        weight: (M, k), with the sum 1 in each row.
        splats: whether the points are Gaussian splats.
    """
    kind = values.dtype.kind
    if name == LABELS or (kind != "f" and name not in _MEASURED):
        return values[index[:, 0]]
    column = values if values.ndim == 2 else values[:, None]
    out = column[index[:, 0]].copy()
    direction = name == NORMALS or (name in _QUATERNIONS and column.shape[1] == 4)
    blended = np.ones(column.shape[1], bool) if name in _MEASURED or direction else ~_whole(column)
    if blended.any():
        exact = weight[:, 0] == 1.0
        with np.errstate(invalid="ignore"):  # signaling NaNs are allowed
            wide = column[:, blended].astype(np.float64)
        if splats and name in ("scale", "opacity"):
            mixed = _mean_splat(name, wide, index, weight)
        else:
            mixed = _mean(wide, index, weight, direction)
        if not direction:  # rounding must not leave the range of the input
            finite = np.isfinite(wide)
            low = np.min(wide, axis=0, where=finite, initial=np.inf)
            high = np.max(wide, axis=0, where=finite, initial=-np.inf)
            mixed = np.where(np.isfinite(mixed), np.minimum(np.maximum(mixed, low), high), mixed)
        if kind != "f":
            bounds = np.iinfo(values.dtype)
            top = bounds.max if values.itemsize < 8 else np.nextafter(float(bounds.max), 0)  # 2^64 does not fit
            mixed = np.clip(np.rint(mixed), bounds.min, top)
        out[np.ix_(~exact, blended)] = mixed[~exact].astype(values.dtype)
    return out if values.ndim == 2 else out[:, 0]


def _whole(column: np.ndarray) -> np.ndarray:
    """Whether each column (N, C) has whole numbers only, beside NaN."""
    step = max(1, (1 << 22) // max(1, column.shape[1]))
    whole = np.ones(column.shape[1], bool)
    for begin in range(0, len(column), step):
        part = column[begin : begin + step, whole]
        with np.errstate(invalid="ignore"):  # signaling NaNs are allowed
            whole[whole] = ((part == np.rint(part)) | np.isnan(part)).all(axis=0)
    return whole


def _mean(column: np.ndarray, index: np.ndarray, weight: np.ndarray, direction: bool = False) -> np.ndarray:
    """The weighted means (M, C) of the neighbors' values; that of the nearest neighbor where it is not finite."""
    if direction:  # squares must not overflow
        column = np.where(np.abs(column) < _LARGEST, column, np.nan)
    first = column[index[:, 0]]
    mixed, total = np.zeros_like(first), np.zeros_like(first)
    for neighbor in range(index.shape[1]):
        part = column[index[:, neighbor]]
        share = np.where(np.isfinite(part), weight[:, neighbor, None], 0.0)
        part[share == 0] = 0.0
        if direction:
            part *= np.where((part * np.nan_to_num(first)).sum(axis=1, keepdims=True) < 0, -1.0, 1.0)
        with np.errstate(over="ignore"):  # by one unit in the last place
            mixed += share * part
        total += share
    mixed = np.where(np.isfinite(first), mixed / np.maximum(total, 1e-300), first)
    if direction:
        length = np.linalg.norm(mixed, axis=1, keepdims=True)
        return np.where(length > 1e-12, mixed / np.maximum(length, 1e-12), first)
    return mixed


def _mean_splat(name: str, column: np.ndarray, index: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """`_mean` of the scales or opacities of splats, whose logarithms or logits are given and returned."""
    if name == "scale":
        top = np.nanmax(np.where(np.isfinite(column), column, np.nan)) if np.isfinite(column).any() else 0.0
        return np.log(np.maximum(_mean(np.exp(column - top), index, weight), 1e-300)) + top
    share = np.clip(_mean(1 / (1 + np.exp(-np.clip(column, -30, 30))), index, weight), 1e-15, 1 - 1e-15)
    return np.log(share) - np.log1p(-share)
