"""Compression of points and normals: 18 bits for each coordinate, and two bytes for each normal."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_LEVELS = 2**18 - 1
POSITION_ERROR = 1.05 * np.sqrt(3) / _LEVELS  # 7e-6, in radii of the unit frame, with the rounding of float32
NORMAL_ERROR = 0.017  # radians, which is one degree


def pack_positions(points: np.ndarray) -> tuple[NDArray[np.uint16], NDArray[np.uint8], NDArray[np.float64]]:
    """Quantize points (N, 3) of the unit frame to 18-bit coordinates in their bounding box.

    Returns:
        `coarse` (N, 3), the upper 16 bits of each coordinate; `fine` (N,), the lower 2 bits of x, y, z as
        xx + 4 yy + 16 zz; `box` (2, 3), the lowest corner and the size. The error is at most `POSITION_ERROR`, because
        the sides of the box are at most 2.
    """
    low = points.min(axis=0)
    size = points.max(axis=0) - low
    scaled = (points - low) / np.where(size > 0, size, 1)
    whole = np.rint(scaled * _LEVELS).astype(np.int64)
    fine = (whole & 3) @ np.array([1, 4, 16])
    return (whole >> 2).astype(np.uint16), fine.astype(np.uint8), np.stack([low, size])


def unpack_positions(coarse: np.ndarray, fine: np.ndarray, box: np.ndarray) -> NDArray[np.float32]:
    """The points (N, 3) of `pack_positions`."""
    low_bits = (fine[:, None] >> np.array([0, 2, 4], np.uint8)) & 3
    whole = (coarse.astype(np.int64) << 2) | low_bits
    return (box[0] + whole * (box[1] / _LEVELS)).astype(np.float32)


def pack_normals(normals: np.ndarray) -> NDArray[np.int8]:
    """Quantize unit vectors (N, 3) to octahedral coordinates (N, 2) (Meyer et al. 2010), up to `NORMAL_ERROR`."""
    n = normals / np.abs(normals).sum(axis=1, keepdims=True)
    folded = (1 - np.abs(n[:, [1, 0]])) * np.where(n[:, :2] >= 0, 1, -1)
    return np.rint(np.where(n[:, 2:] >= 0, n[:, :2], folded) * 127).astype(np.int8)


def unpack_normals(packed: np.ndarray) -> NDArray[np.float32]:
    """The unit vectors (N, 3) of `pack_normals`."""
    xy = packed.astype(np.float32) / 127
    z = 1 - np.abs(xy).sum(axis=1, keepdims=True)
    folded = (1 - np.abs(xy[:, [1, 0]])) * np.where(xy >= 0, 1, -1)
    n = np.concatenate([np.where(z >= 0, xy, folded), z], axis=1)
    return (n / np.linalg.norm(n, axis=1, keepdims=True)).astype(np.float32)
