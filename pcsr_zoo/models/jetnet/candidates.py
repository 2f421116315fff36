"""Start positions of new points: on edges between neighbors, and in triangles of neighboring points."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...geometry.edges import neighbor_edges
from ...geometry.knn import KNN

_EDGES = 16  # neighbors of each point that edges lead to, in training
_NEAR_EDGES = 12  # and at inference, which must be fast
_EMPTINESS = 0.6
_CORNERS = 12  # nearest neighbors that may be corners of triangles


def on_edges(points: np.ndarray, near: np.ndarray | None = None) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Positions (M, 3) on the empty edges (see `neighbor_edges`) between neighbors, about 9 for each point.

    They are the midpoints of all edges, and the points at 1/3 and 2/3 of the longer three quarters of the edges. The
    second result (M, 2) has the ends of their edges. The nearest points `near` (N, 13 or more) of each point, itself
    included, are looked for unless they are given.
    """
    near = None if near is None else near[:, : _NEAR_EDGES + 1]
    edges = neighbor_edges(points, _NEAR_EDGES, None, _EMPTINESS, near)
    ends = points[edges]
    length = np.linalg.norm(ends[:, 0] - ends[:, 1], axis=1)
    long = length >= np.quantile(length, 0.25) if len(ends) else length > 0
    a, b = ends[long].swapaxes(0, 1)
    positions = np.concatenate([ends.mean(axis=1), (2 * a + b) / 3, (a + 2 * b) / 3])
    return positions, np.concatenate([edges, edges[long], edges[long]])


def in_triangles(points: np.ndarray, tree: KNN, count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Random positions (count, 3) in random triangles, each of a point and two of its near neighbors."""
    start = rng.integers(len(points), size=count)
    _, near = tree.query(points[start], _CORNERS + 1)
    row = np.arange(count)
    b, c = (points[near[row, rng.integers(min(1, near.shape[1] - 1), near.shape[1], count)]] for _ in range(2))
    share = rng.dirichlet([1, 1, 1], count)
    return share[:, :1] * points[start] + share[:, 1:2] * b + share[:, 2:] * c


def training_positions(
    points: np.ndarray, tree: KNN, dense: np.ndarray, count: int, rng: np.random.Generator, with_points: bool
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Training positions (count, 3) like those at inference, and a mask of those drawn without the ground truth.

    They are on edges (half of them midpoints), in triangles, near the true surface (as in relaxation), and, with
    `with_points`, on the input points. Half of them are displaced, with a standard deviation of at most a third of the
    point spacing.
    """
    shares = [0.45, 0.25, 0.2, 0.1] if with_points else [0.5, 0.3, 0.2, 0.0]
    a, b, c, d = rng.multinomial(count, shares)
    edges = neighbor_edges(points, _EDGES, tree, _EMPTINESS)
    ends = points[edges[rng.integers(len(edges), size=a)]]
    t = np.where(rng.random(a) < 0.5, 0.5, rng.uniform(0.2, 0.8, a))[:, None]
    spacing = float(np.median(tree.query(points[:512], 7)[0][:, -1])) / np.sqrt(6 / np.pi)
    surface = dense[rng.integers(len(dense), size=c)] + rng.normal(size=(c, 3)) * (0.1 * spacing)
    positions = np.concatenate(
        [
            t * ends[:, 0] + (1 - t) * ends[:, 1],
            in_triangles(points, tree, b, rng),
            surface,
            points[rng.integers(len(points), size=d)],
        ]
    )
    displaced = (rng.random(count) < 0.5) & (np.arange(count) < count - d)
    size = 0.33 * spacing * rng.random(count) ** 2 * displaced
    positions += rng.normal(size=positions.shape) * size[:, None]
    return positions, np.arange(count) < a + b
