"""Quantization of positions to a grid of 2^bits points over their bounding cube, and their Morton order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MOST_BITS = 24  # the mantissa of a float32; steps of 0.06 mm over a kilometer


@dataclass(frozen=True)
class Grid:
    """Cells `origin + step * (i, j, k)`.

    Attributes:
        origin: (3,), the lowest corner, in units of the cloud.
        step: the distance of grid points along each axis, above 0, in units of the cloud.
    """

    origin: NDArray[np.float64]
    step: float

    @staticmethod
    def of(points: np.ndarray, bits: int) -> Grid:
        """The grid of 2^bits points along each side of the bounding cube of points (N, 3)."""
        low = points.min(axis=0)
        side = float((points.max(axis=0) - low).max())
        return Grid(low.astype(np.float64), (side if side > 0 else 1.0) / (2**bits - 1))

    def cells(self, points: np.ndarray) -> NDArray[np.int64]:
        """The integer coordinates (N, 3) of the nearest grid points of points (N, 3)."""
        return np.rint((points - self.origin) / self.step).astype(np.int64)

    def points(self, cells: np.ndarray) -> NDArray[np.float64]:
        """The positions (N, 3) of cells (N, 3), bit by bit as read from a LAS file with this scale and offset."""
        return cells * self.step + self.origin

    def holds(self, points: np.ndarray) -> bool:
        """Whether all points (N, 3) are grid points up to rounding."""
        return bool(np.abs(self.points(self.cells(points)) - points).max(initial=0) <= 1e-3 * self.step)


def morton_order(cells: np.ndarray) -> NDArray[np.int64]:
    """Indices (N,) that sort integers (N, 3) from 0 to 2^21 - 1 along Morton's space-filling curve (Morton 1966).

    Larger integers are sorted by their upper 21 bits.
    """
    shift = max(int(cells.max(initial=0)).bit_length() - 21, 0)
    code = np.zeros(len(cells), np.uint64)
    for axis in range(3):
        part = (cells[:, axis] >> shift).astype(np.uint64)
        for width, mask in _SPREAD:
            part = (part | (part << np.uint64(width))) & np.uint64(mask)
        code |= part << np.uint64(axis)
    return np.argsort(code, kind="stable")


# Each step shifts the upper half of every group of bits by `width`, until two zero bits follow each bit.
_SPREAD = (
    (32, 0x1F00000000FFFF),
    (16, 0x1F0000FF0000FF),
    (8, 0x100F00F00F00F00F),
    (4, 0x10C30C30C30C30C3),
    (2, 0x1249249249249249),
)
