"""Types and rotations that all families of solids use."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from .implicit import Solid

Rng = np.random.Generator
Boxed = tuple[Solid, np.ndarray]  # a solid, and the half size (3,) of a box about the origin that holds it


def turn(rng: Rng) -> np.ndarray:
    """A random rotation (3, 3)."""
    return Rotation.random(random_state=int(rng.integers(2**31))).as_matrix()


def about(axis: str, angle: float) -> np.ndarray:
    """The rotation (3, 3) about the axis "x", "y" or "z"."""
    return Rotation.from_euler(axis, angle).as_matrix()
