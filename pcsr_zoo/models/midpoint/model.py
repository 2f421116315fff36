"""`midpoint`: the baseline. Its new points are midpoints between neighbors, thinned by farthest point sampling."""

from __future__ import annotations

import numpy as np

from ...geometry.edges import neighbor_edges
from ..base import Context, Upsampler


class Midpoint(Upsampler):
    """New points halfway between each point and its 8 nearest neighbors."""

    name = "midpoint"
    summary = "midpoints between neighbors; no surface, no learning: the baseline"
    source = "baseline (the input of Grad-PU, He et al., CVPR 2023)"
    neighbors = 8

    def candidates(self, points: np.ndarray, support: np.ndarray, count: int, context: Context) -> np.ndarray:
        edges = neighbor_edges(points, self.neighbors)
        return points[edges].mean(axis=1)
