"""`midpoint`: the baseline that every upsampler must beat, midpoints between neighbors, thinned by FPS."""

from __future__ import annotations

import numpy as np

from ...geometry.edges import neighbor_edges
from ..base import Context, Upsampler


class Midpoint(Upsampler):
    """New points half-way between each point and its 8 nearest ones."""

    name = "midpoint"
    summary = "midpoints between neighbors; no surface, no learning: the floor for every method"
    source = "baseline (the input of Grad-PU, He et al., CVPR 2023)"
    neighbors = 8

    def candidates(self, points: np.ndarray, support: np.ndarray, count: int, context: Context) -> np.ndarray:
        edges = neighbor_edges(points, self.neighbors)
        return points[edges].mean(axis=1)
