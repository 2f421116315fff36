"""Families of closed shapes: functions of a random generator that return a solid and half the size of its box."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from . import implicit as im
from .dual_contouring import dual_contour
from .solids_common import Boxed, Rng
from .solids_creased import bracket, furniture, gear, machined_block, profile_bar, stairs, turned
from .solids_smooth import blob, creature, superquadric
from .solids_thin import knot, lattice, minimal_surface, perforated_plate, rings, vessel, wire

RESOLUTION = 120  # cells along the longest side
_COARSE = 40


def contour(solid: im.Solid, half: np.ndarray) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The surface of a solid as a mesh. `half` (3,) is half the size of a box about the origin that contains it."""
    low, high = _tight_box(solid, np.asarray(half, np.float64))
    step = float((high - low).max()) / RESOLUTION
    # the grid is shifted a little so that it does not coincide with axis-parallel faces
    return dual_contour(solid, low - step * np.array([3.137, 2.718, 3.414]), high + 3 * step, RESOLUTION + 6)


def _tight_box(solid: im.Solid, half: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A smaller box, which avoids empty cells: around the coarse grid points that may be near the inside."""
    axes = [np.linspace(-h, h, _COARSE) for h in 1.02 * half]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    spacing = 2.04 * half / (_COARSE - 1)
    near = grid[solid(grid) < float(np.linalg.norm(spacing))]
    if not len(near):
        return -half, half
    return near.min(axis=0) - spacing / 2, near.max(axis=0) + spacing / 2


SOLIDS: dict[str, Callable[[Rng], Boxed]] = {
    family.__name__: family
    for family in (
        blob,
        machined_block,
        wire,
        knot,
        creature,
        bracket,
        perforated_plate,
        minimal_surface,
        superquadric,
        gear,
        vessel,
        rings,
        turned,
        stairs,
        lattice,
        furniture,
        profile_bar,
    )
}
