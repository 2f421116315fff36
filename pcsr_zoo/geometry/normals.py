"""Normals of points: estimated from quadrics, and oriented to one side of the surface."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .distinct import first_occurrences
from .frames import UnitFrame
from .jets import fit_jets
from .knn import KNN

_CHUNK = 32_768
_FLAT = 1e-3  # the cost of an edge between normals that agree; scipy takes 0 for no edge


def estimate_normals(points: np.ndarray, k: int = 16) -> NDArray[np.float64]:
    """Unit normals (N, 3) of points (N, 3), on one side of the surface; see `orient_normals` for which.

    Each is the normal of a quadric that is fitted robustly to the point's k nearest points (see `jets`), which keeps
    creases sharper than a plane. Duplicates of a point share its normal.

    Args:
        points: (N, 3) finite float64, in any unit and anywhere.
        k: number of neighbors of a fit.
    """
    import torch

    points = UnitFrame.of(points).to_unit(points)
    first = first_occurrences(points)
    distinct = points[first]
    tree, normals = KNN(distinct), np.empty(distinct.shape)
    for begin in range(0, len(distinct), _CHUNK):
        part = distinct[begin : begin + _CHUNK]
        distance, index = tree.query(part, k)
        near = (distinct[index] - part[:, None]) / np.maximum(distance[:, -1:, None], 1e-12)
        normals[begin : begin + len(part)] = fit_jets(torch.from_numpy(near)).normals(torch.zeros(len(part), 3).double())
    normals = orient_normals(distinct, normals)
    return normals if len(first) == len(points) else normals[tree.query(points, 1)[1][:, 0]]


def orient_normals(points: np.ndarray, normals: np.ndarray, k: int = 8) -> NDArray[np.float64]:
    """The normals (N, 3) of points (N, 3), with signs that agree between neighbors.

    Signs spread over a minimum spanning tree of the k nearest neighbors (Hoppe et al. 1992). Across an edge, a normal is
    first mirrored in the plane halfway between both points: on a circle through them this gives the other normal, so
    convex edges of any angle and both sides of a thin sheet are treated alike. Each connected part is turned such that
    its outermost points, in 26 directions, have outward normals. On an open surface, which has no outside, this is a
    convention only.

    Args:
        points: (N, 3) finite float64.
        normals: (N, 3) unit vectors of any sign.
        k: number of neighbors.
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import breadth_first_order, connected_components, minimum_spanning_tree

    _, index = KNN(points).query(points, k + 1)
    ends = np.stack([np.repeat(np.arange(len(points)), index.shape[1]), index.reshape(-1)])
    ends = ends[:, ends[0] != ends[1]]
    cost = _FLAT + 1 - np.abs(_agreement(points, normals, *ends))
    graph = coo_matrix((cost, (ends[0], ends[1])), shape=(len(points),) * 2).tocsr()
    graph = graph.maximum(graph.T)  # both directions of an edge have the same cost
    tree = minimum_spanning_tree(graph)
    count, part = connected_components(tree, directed=False)
    signs = np.ones(len(points))
    for root in np.unique(part, return_index=True)[1]:
        order, above = breadth_first_order(tree, root, directed=False)
        child = order[1:]
        turns = np.sign(_agreement(points, normals, above[child], child))
        turns[turns == 0] = 1.0
        for node, parent, turn in zip(child.tolist(), above[child].tolist(), turns.tolist(), strict=True):
            signs[node] = signs[parent] * turn
    oriented = normals * signs[:, None]
    grid = np.stack(np.meshgrid(*[[-1.0, 0.0, 1.0]] * 3), axis=-1).reshape(-1, 3)
    directions = np.delete(grid, len(grid) // 2, axis=0)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    outward = np.zeros(count)
    order = np.argsort(part, kind="stable")
    begins = np.searchsorted(part[order], np.arange(count))
    for direction in directions:
        reach = (points @ direction)[order]
        best = np.maximum.reduceat(reach, begins)
        outermost = order[reach == best[part[order]]]
        np.add.at(outward, part[outermost], oriented[outermost] @ direction)
    return oriented * np.where(outward < 0, -1.0, 1.0)[part][:, None]


def _agreement(points: np.ndarray, normals: np.ndarray, a: np.ndarray, b: np.ndarray) -> NDArray[np.float64]:
    """The cosine between the normal at `b` and the normal at `a`, mirrored halfway between both points."""
    edge = points[b] - points[a]
    edge /= np.maximum(np.linalg.norm(edge, axis=1, keepdims=True), 1e-300)
    mirrored = normals[a] - 2 * (edge * normals[a]).sum(axis=1, keepdims=True) * edge
    return (mirrored * normals[b]).sum(axis=1)
