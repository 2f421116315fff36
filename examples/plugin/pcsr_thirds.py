"""`thirds`: two points on each edge between neighbors. An example of a model in a separate package."""

from __future__ import annotations

import numpy as np

from pcsr_zoo.geometry.edges import neighbor_edges
from pcsr_zoo.models.base import Context, Upsampler


class Thirds(Upsampler):
    """New points at 1/3 and 2/3 of the edges between each point and its nearest neighbors.

    Args:
        neighbors: how many nearest ones.
    """

    name = "thirds"
    summary = "two points on each edge between neighbors"
    source = "an example"

    def __init__(self, neighbors: int = 6) -> None:
        self.neighbors = neighbors

    def candidates(self, points: np.ndarray, support: np.ndarray, count: int, context: Context) -> np.ndarray:
        edges = neighbor_edges(points, self.neighbors)  # (E, 2)
        a, b = points[edges[:, 0]], points[edges[:, 1]]
        return np.concatenate([(2 * a + b) / 3, (a + 2 * b) / 3])
