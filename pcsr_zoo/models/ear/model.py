"""`ear`: edge-aware resampling (Huang et al., ACM TOG 2013). It has no network and no training."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...errors import OptionError
from ...geometry.knn import KNN
from ..base import Context, Upsampler
from .normals import estimate_normals, orient_normals, smooth_normals
from .paper import PAPER, PUBLISHED
from .resampling import insert, project

_SPACING = 6  # neighbors that define the point spacing, as in the paper's implementations


class EAR(Upsampler):
    """New points in the largest gaps, projected by the normals of one side of a crease.

    Args:
        angle: in degrees; normals that differ by more belong to another surface.
        sensitivity: how much gaps across creases are preferred; 0 for not at all.
        neighbors: points of the neighborhoods that give the normals of clouds without any.
        rounds: of the smoothing of normals.
    """

    name = "ear"
    summary = "new points in the largest gaps, by normals that keep creases: no training (EAR, Huang et al. 2013)"
    source = "Huang et al., ACM TOG 2013"
    paper = PAPER
    published = PUBLISHED

    def __init__(self, angle: float = 30.0, sensitivity: float = 1.0, neighbors: int = 12, rounds: int = 3) -> None:
        if not 0 < angle <= 90 or sensitivity < 0:
            raise OptionError(
                f"angle must be above 0 and at most 90, sensitivity at least 0; got {angle}, {sensitivity}"
            )
        if neighbors < 4 or rounds < 0:
            raise OptionError(f"neighbors must be at least 4, and rounds at least 0; got {neighbors}, {rounds}")
        self.angle, self.sensitivity, self.neighbors, self.rounds = angle, sensitivity, neighbors, rounds

    def candidates(self, points: np.ndarray, support: np.ndarray, count: int, context: Context) -> np.ndarray:
        context.progress("normals", 0.0)
        normals = self.normals(points, context)
        context.progress("surface", 0.0)
        return insert(points, normals, count, self.angle, self.sensitivity)[0]

    def project(self, points: np.ndarray, support: np.ndarray, context: Context) -> np.ndarray:
        """The bilateral projection of the points themselves, which removes noise and keeps creases."""
        tree, normals = KNN(support), self.normals(support, context)
        own = normals[tree.query(points, 1)[1]]
        return project(points, own, support, normals, tree, self.angle)[0]

    def normals(self, points: np.ndarray, context: Context) -> NDArray[np.float64]:
        """Oriented unit normals (N, 3), smoothed on each side of a crease: those of the file, or estimated."""
        given = context.normals
        if given is not None and len(given) == len(points) and _are_unit(given):
            return given / np.linalg.norm(given, axis=1, keepdims=True)
        width = self.neighbors if context.noise == 0 else 2 * self.neighbors
        normals = estimate_normals(points, width)
        distance = KNN(points).query(points, _SPACING + 1)[0]
        radius = 3.0 * float(distance[:, 1:].mean()) if distance.shape[1] > 1 else 1.0
        return orient_normals(points, smooth_normals(points, normals, radius, self.angle, width, self.rounds), width)


def _are_unit(normals: np.ndarray) -> bool:
    length = np.linalg.norm(normals, axis=1)
    return bool(np.isfinite(length).all() and (np.abs(length - 1) < 0.1).all())
