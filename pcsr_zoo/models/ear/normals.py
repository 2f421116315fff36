"""Normals as edge-aware resampling has them: from principal components, along a spanning tree, kept sharp at edges."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import breadth_first_order, connected_components, minimum_spanning_tree

from ...geometry.knn import KNN

_CHUNK = 1 << 15


def estimate_normals(points: np.ndarray, neighbors: int = 12) -> NDArray[np.float64]:
    """Unit normals (N, 3) by principal component analysis of the nearest points (Hoppe et al. 1992), oriented.

    Args:
        points: (N, 3) float64, N at least 1.
        neighbors: points of a neighborhood, the point itself included.
    """
    tree = KNN(points)
    normals = np.empty_like(points)
    for begin in range(0, len(points), _CHUNK):
        index = tree.query(points[begin : begin + _CHUNK], neighbors)[1]
        near = points[index] - points[index].mean(axis=1, keepdims=True)
        normals[begin : begin + _CHUNK] = np.linalg.eigh(near.transpose(0, 2, 1) @ near)[1][:, :, 0]
    return orient_normals(points, normals, neighbors)


def orient_normals(points: np.ndarray, normals: np.ndarray, neighbors: int = 12) -> NDArray[np.float64]:
    """Normals (N, 3) with signs that agree between neighbors, along a minimum spanning tree (Hoppe et al. 1992).

    In each connected part of the neighbor graph, the normal of the point with the largest z has a z of at least 0. On a
    thin sheet, signs may still be wrong.
    """
    size = len(points)
    index = KNN(points).query(points, neighbors)[1]
    rows = np.repeat(np.arange(size), index.shape[1])
    cost = (
        1.0 - np.abs((normals[rows] * normals[index.ravel()]).sum(axis=1)) + 1e-6
    )  # 0 would mean that there is no edge
    kept = rows != index.ravel()
    graph = coo_matrix((cost[kept], (rows[kept], index.ravel()[kept])), shape=(size, size)).tocsr()
    tree = minimum_spanning_tree(graph.maximum(graph.T))
    part = connected_components(tree, directed=False)[1]
    top = np.lexsort((points[:, 2], part))[np.cumsum(np.bincount(part)) - 1]
    # one more point, beside all of these, is the root of everything
    links = coo_matrix((np.ones(len(top)), (np.full(len(top), size), top)), shape=(size + 1, size + 1))
    tree.resize(size + 1, size + 1)
    parent = breadth_first_order(tree + links, size, directed=False)[1][:size]
    parent[top] = top
    sign = np.where((normals * normals[parent]).sum(axis=1) < 0, -1.0, 1.0)
    sign[top] = 1.0
    while (parent != parent[parent]).any():  # products of the signs along the way to the top, in steps that double
        sign, parent = sign * sign[parent], parent[parent]
    sign *= np.where(normals[parent, 2] < 0, -1.0, 1.0)
    oriented: NDArray[np.float64] = normals * sign[:, None]
    return oriented


def smooth_normals(
    points: np.ndarray, normals: np.ndarray, radius: float, angle: float, neighbors: int = 16, rounds: int = 3
) -> NDArray[np.float64]:
    """Normals (N, 3) after a bilateral filter: means over neighbors with the weights of `bilateral_weights`.

    Those across a crease hardly count, so that normals near it become those of one side.
    """
    index = KNN(points).query(points, neighbors)[1]
    for _ in range(rounds):
        smoothed = np.empty_like(normals)
        for begin in range(0, len(points), _CHUNK):
            part = slice(begin, begin + _CHUNK)
            away = points[index[part]] - points[part, None]
            weight = bilateral_weights(away, normals[part], normals[index[part]], radius, angle)
            smoothed[part] = (weight[:, :, None] * normals[index[part]]).sum(axis=1)
        normals = smoothed / np.maximum(np.linalg.norm(smoothed, axis=1, keepdims=True), 1e-12)
    return normals


def bilateral_weights(
    away: np.ndarray, own: np.ndarray, theirs: np.ndarray, radius: float, angle: float
) -> NDArray[np.float64]:
    """exp(-4 |d|^2 / radius^2) exp(-((1 - <n, n_j>) / (1 - cos angle))^2), (M, k) (Huang et al. 2013, eq. 3 and 5).

    Args:
        away: d (M, k, 3), offsets to neighbors.
        own: n (M, 3), unit normals.
        theirs: n_j (M, k, 3), unit normals of the neighbors.
        radius: of a neighborhood, in units of the offsets.
        angle: in degrees, above which normals count as those of another surface.
    """
    near = np.exp(-4 * (away * away).sum(axis=2) / max(radius, 1e-12) ** 2)
    unlike = (1 - (own[:, None] * theirs).sum(axis=2)) / max(1 - np.cos(np.radians(angle)), 1e-8)
    weights: NDArray[np.float64] = near * np.exp(-(unlike**2)) + 1e-12
    return weights
