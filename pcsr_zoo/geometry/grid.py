"""Positions on a grid of 2^bits steps over their bounding cube, ordered so that neighbors follow each other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MOST_BITS = 24  # as many as a float32 holds; a kilometer in steps of .06 mm


@dataclass(frozen=True)
class Grid:
    """Cells `origin + step * (i, j, k)`.

    Attributes:
        origin: the lowest corner, (3,).
        step: the same along each axis, above 0.
    """

    origin: NDArray[np.float64]
    step: float

    @staticmethod
    def of(points: np.ndarray, bits: int) -> Grid:
        """The grid of 2^bits points a side over the bounding cube of (N, 3) points."""
        low = points.min(axis=0)
        side = float((points.max(axis=0) - low).max())
        return Grid(low.astype(np.float64), (side if side > 0 else 1.0) / (2**bits - 1))

    def cells(self, points: np.ndarray) -> NDArray[np.int64]:
        """The nearest grid point of each of (N, 3) points, as integers."""
        return np.rint((points - self.origin) / self.step).astype(np.int64)

    def points(self, cells: np.ndarray) -> NDArray[np.float64]:
        """Where (N, 3) cells are: what a LAS file with this scale and offset gives, bit for bit."""
        return cells * self.step + self.origin

    def holds(self, points: np.ndarray) -> bool:
        """Whether all of (N, 3) points are grid points, but for rounding."""
        return bool(np.abs(self.points(self.cells(points)) - points).max(initial=0) <= 1e-3 * self.step)


def morton_order(cells: np.ndarray) -> NDArray[np.int64]:
    """The order of (N, 3) integers from 0 to 2^21 - 1 along Morton's space-filling curve (Morton 1966).

    Larger ones are ordered by their upper 21 bits.
    """
    shift = max(int(cells.max(initial=0)).bit_length() - 21, 0)
    code = np.zeros(len(cells), np.uint64)
    for axis in range(3):
        part = (cells[:, axis] >> shift).astype(np.uint64)
        for width, mask in _SPREAD:
            part = (part | (part << np.uint64(width))) & np.uint64(mask)
        code |= part << np.uint64(axis)
    return np.argsort(code, kind="stable")


# Each step moves the upper half of every group of bits away by `width`, until two free bits follow each.
_SPREAD = (
    (32, 0x1F00000000FFFF),
    (16, 0x1F0000FF0000FF),
    (8, 0x100F00F00F00F00F),
    (4, 0x10C30C30C30C30C3),
    (2, 0x1249249249249249),
)
