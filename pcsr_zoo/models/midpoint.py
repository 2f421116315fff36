"""`midpoint`: the baseline that every upsampler must beat, midpoints between neighbours, thinned by FPS."""

from __future__ import annotations

import numpy as np

from ..geometry.edges import neighbour_edges
from .base import Context, Upsampler


class Midpoint(Upsampler):
    """New points half-way between each point and its 8 nearest ones."""

    name = "midpoint"
    summary = "midpoints between neighbours; no surface, no learning: the floor for every method"
    source = "baseline (the input of Grad-PU, He et al., CVPR 2023)"
    neighbours = 8

    def propose(self, points: np.ndarray, anchors: np.ndarray, wanted: int, context: Context) -> np.ndarray:
        edges = neighbour_edges(points, self.neighbours)
        return points[edges].mean(axis=1)
