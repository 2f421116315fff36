"""Normals of points: estimated from quadrics, and oriented to one side of the surface."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .distinct import first_occurrences
from .frames import UnitFrame
from .jets import fit_jets
from .knn import KNN

_CHUNK = 32_768
_SMOOTH = 0.1  # largest sine between an edge of a smooth patch and the surface, and loss of cosine along it
_DOUBT = 0.7


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
        normals[begin : begin + len(part)] = fit_jets(torch.from_numpy(near)).normals(
            torch.zeros(len(part), 3).double()
        )
    normals = orient_normals(distinct, normals)
    return normals if len(first) == len(points) else normals[tree.query(points, 1)[1][:, 0]]


def orient_normals(points: np.ndarray, normals: np.ndarray, k: int = 10) -> NDArray[np.float64]:
    """The normals (N, 3) of points (N, 3), with signs that agree between neighbors.

    Each pair of neighbors votes for equal or opposite signs, by the cosine between one normal and the other one,
    mirrored in the plane halfway between both points. On a circle through them the two are equal, so edges of any angle
    and both sides of a thin sheet are treated alike. Patches of smooth surface are joined first; then, again and again,
    the two patches with the clearest sum of votes, one of them turned if need be. Each connected part is turned such
    that its outermost points, in 26 directions, have outward normals. On an open surface, which has no outside, this is
    a convention only.

    Args:
        points: (N, 3) finite float64.
        normals: (N, 3) unit vectors of any sign.
        k: number of neighbors.
    """
    _, index = KNN(points).query(points, k + 1)
    a, b = np.repeat(np.arange(len(points)), index.shape[1]), index.reshape(-1)
    a, b = np.unique(np.sort(np.stack([a, b])[:, a != b], axis=0), axis=1)
    edge = points[b] - points[a]
    edge /= np.maximum(np.linalg.norm(edge, axis=1, keepdims=True), 1e-300)
    rise = np.stack([(edge * normals[a]).sum(axis=1), (edge * normals[b]).sum(axis=1)])
    cosine = (normals[a] * normals[b]).sum(axis=1) - 2 * rise[0] * rise[1]
    steep = np.abs(rise).max(axis=0)
    smooth = (steep < _SMOOTH) & (np.abs(cosine) > 1 - _SMOOTH)
    patch, signs = _joined(len(points), a[smooth], b[smooth], np.sign(cosine[smooth]))
    # Votes across steep edges count less: they may be from one terrace to the next.
    votes = signs[a] * signs[b] * cosine * np.abs(cosine) * (1 - _DOUBT * steep)
    part, turn = _merged(patch[a], patch[b], votes, int(patch.max()) + 1)
    oriented = normals * (signs * turn[patch])[:, None]
    return oriented * _outward(points, oriented, part[patch])[:, None]


def _joined(count: int, a: np.ndarray, b: np.ndarray, same: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Connected components (N,) of a graph with edges (a, b), and signs (N,) that follow `same` (1, -1) on a tree."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import breadth_first_order, connected_components

    graph = coo_matrix((same, (a, b)), shape=(count, count)).tocsr()
    graph = graph + graph.T
    number, part = connected_components(graph, directed=False)
    signs = np.ones(count)
    big = np.flatnonzero(np.bincount(part, minlength=number) > 1)
    roots = np.unique(part, return_index=True)[1]
    for root in roots[big]:
        order, above = breadth_first_order(graph, root, directed=False)
        child = order[1:]
        turns = np.asarray(graph[child, above[child]]).reshape(-1)
        for node, parent, value in zip(child.tolist(), above[child].tolist(), turns.tolist(), strict=True):
            signs[node] = signs[parent] * value
    return part, signs


def _merged(a: np.ndarray, b: np.ndarray, votes: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The connected part (count,) of each patch and its sign, from votes on pairs (a, b) of patches."""
    import heapq

    apart = a != b
    pair = np.minimum(a, b)[apart] * count + np.maximum(a, b)[apart]
    pair, place = np.unique(pair, return_inverse=True)
    total = np.bincount(place, votes[apart], minlength=len(pair))
    around: list[dict[int, float]] = [{} for _ in range(count)]
    heap = []
    for one, other, value in zip((pair // count).tolist(), (pair % count).tolist(), total.tolist(), strict=True):
        around[one][other] = around[other][one] = value
        heap.append((-abs(value), one, other))
    heapq.heapify(heap)
    members, signs, part = [[k] for k in range(count)], np.ones(count), np.arange(count)
    while heap:
        height, one, other = heapq.heappop(heap)
        if part[one] != one or part[other] != other or abs(around[one].get(other, np.inf)) != -height:
            continue  # merged or changed since
        if len(around[one]) < len(around[other]):
            one, other = other, one
        turn = -1.0 if around[one].pop(other) < 0 else 1.0
        del around[other][one]
        signs[members[other]] *= turn
        part[members[other]] = one
        members[one] += members[other]
        for third, value in around[other].items():
            del around[third][other]
            value = around[one].get(third, 0.0) + turn * value
            around[one][third] = around[third][one] = value
            heapq.heappush(heap, (-abs(value), one, third))
        members[other], around[other] = [], {}
    return part, signs


def _outward(points: np.ndarray, normals: np.ndarray, part: np.ndarray) -> NDArray[np.float64]:
    """For each point (N,), 1 or -1: whether the outermost points of its part have outward normals."""
    _, part = np.unique(part, return_inverse=True)
    grid = np.stack(np.meshgrid(*[[-1.0, 0.0, 1.0]] * 3), axis=-1).reshape(-1, 3)
    directions = np.delete(grid, len(grid) // 2, axis=0)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    order = np.argsort(part, kind="stable")
    begins = np.flatnonzero(np.diff(part[order], prepend=-1))
    outward = np.zeros(len(begins))
    for direction in directions:
        reach = (points @ direction)[order]
        best = np.maximum.reduceat(reach, begins)
        outermost = order[reach == best[part[order]]]
        np.add.at(outward, part[outermost], normals[outermost] @ direction)
    return np.where(outward < 0, -1.0, 1.0)[part]
