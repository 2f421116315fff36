"""Edge-aware upsampling (Huang, Wu, Gong, Cohen-Or, Ascher and Zhang, ACM TOG 2013, sec. 5), in parallel rounds.

A new point is inserted halfway between two points where the cloud has the largest gap, and moved onto the surface by a
bilateral projection along the normals of one side of a crease. The paper inserts one point after another. Here a round
inserts all those whose gap is the largest around them, which do not depend on each other.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...geometry.knn import KNN
from .normals import bilateral_weights

_NEIGHBORS = 16  # of a point, between which gaps are sought
_SUPPORT = 24  # points that a projection uses
_CHUNK = 1 << 13
_RING = 3.0  # radius of a neighborhood, in point spacings
_ROUNDS = 60


class Gaps(NamedTuple):
    """The largest gap at each point.

    Attributes:
        other: (N,), the second end of each gap.
        clearance: (N,), squared distance from its middle to the nearest point, along the surface.
        priority: (N,), the clearance times (2 - <n, n'>)^sensitivity, which is larger across creases.
    """

    other: NDArray[np.int64]
    clearance: NDArray[np.float64]
    priority: NDArray[np.float64]


def insert(
    points: np.ndarray, normals: np.ndarray, count: int, angle: float, sensitivity: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """New points (count, 3) and their unit normals; fewer where no gap is left.

    Args:
        points: (N, 3) float64, distinct, N at least 2.
        normals: (N, 3), oriented unit normals.
        count: number of new points.
        angle: in degrees; normals that differ by more belong to another surface.
        sensitivity: how much gaps across creases are preferred; 0 for not at all.
    """
    size = len(points)
    for _ in range(_ROUNDS):
        left = size + count - len(points)
        if left <= 0:
            break
        tree = KNN(points)
        gaps = find_gaps(points, normals, tree, sensitivity)
        chosen = independent(points, gaps)[:left]
        if len(chosen) == 0:
            break
        ends = np.stack([chosen, gaps.other[chosen]], axis=1)
        found, their_normals = project(points[ends].mean(axis=1), normals[ends], points, normals, tree, angle)
        points, normals = np.concatenate([points, found]), np.concatenate([normals, their_normals])
    return points[size:], normals[size:]


def find_gaps(points: np.ndarray, normals: np.ndarray, tree: KNN, sensitivity: float) -> Gaps:
    """The gap with the highest priority between each of points (N, 3) and its neighbors."""
    size = len(points)
    other, clearance, priority = np.empty(size, np.int64), np.empty(size), np.empty(size)
    for begin in range(0, size, _CHUNK):
        part = slice(begin, min(begin + _CHUNK, size))
        index = tree.query(points[part], _NEIGHBORS + 1)[1]
        near, turned = points[index] - points[part, None], normals[index]
        middle = near / 2
        gap = np.full(index.shape, np.inf)
        for s in range(index.shape[1]):  # of a middle to each neighbor, in the tangent plane of that one
            away = middle - near[:, s, None]
            along = (away * turned[:, s, None]).sum(axis=2)
            np.minimum(gap, (away * away).sum(axis=2) - along**2, out=gap)
        rank = gap * (2 - (turned * normals[part, None]).sum(axis=2)) ** sensitivity
        best = rank.argmax(axis=1)
        rows = np.arange(len(index))
        other[part], clearance[part], priority[part] = index[rows, best], gap[rows, best], rank[rows, best]
    return Gaps(other, clearance, priority)


def independent(points: np.ndarray, gaps: Gaps) -> NDArray[np.int64]:
    """The points, by descending priority, whose gap has the highest priority of all that are within its clearance."""
    order = np.argsort(-gaps.priority, kind="stable")
    order = order[gaps.priority[order] > 1e-20]
    order = order[np.unique(_pairs(order, gaps.other), axis=0, return_index=True)[1]] if len(order) else order
    order = order[np.argsort(-gaps.priority[order], kind="stable")]
    if len(order) == 0:
        return order
    middle = (points[order] + points[gaps.other[order]]) / 2
    distance, index = KNN(middle).query(middle, _NEIGHBORS)
    reach = np.sqrt(np.maximum(gaps.clearance[order], 0))
    before = (index < np.arange(len(order))[:, None]) & (distance < np.maximum(reach[:, None], reach[index]))
    return order[~before.any(axis=1)]


def _pairs(order: np.ndarray, other: np.ndarray) -> NDArray[np.int64]:
    return np.sort(np.stack([order, other[order]], axis=1), axis=1)


def project(
    places: np.ndarray,
    candidates: np.ndarray,
    points: np.ndarray,
    normals: np.ndarray,
    tree: KNN,
    angle: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Places (M, 3), projected onto the surface, and its unit normals (M, 3) there.

    Each of the candidate normals n (M, c, 3) selects, by `bilateral_weights`, the neighbors s with similar normals; the
    projection moves a place by the weighted mean of <s - place, n_s>. The candidate with the smallest move is used.
    """
    distance, index = tree.query(places, min(_SUPPORT, len(points)))
    radius = _RING * float(np.median(distance[:, min(6, distance.shape[1]) - 1])) + 1e-300
    away, theirs = points[index] - places[:, None], normals[index]
    height = (away * theirs).sum(axis=2)
    moves, turns = [], []
    for k in range(candidates.shape[1]):
        weight = bilateral_weights(away, candidates[:, k], theirs, radius, angle)
        total = weight.sum(axis=1)
        moves.append((weight * height).sum(axis=1) / total)
        normal = (weight[:, :, None] * theirs).sum(axis=1)
        turns.append(normal / np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12))
    best = np.abs(np.stack(moves)).argmin(axis=0)
    rows = np.arange(len(places))
    move, normal = np.stack(moves)[best, rows], np.stack(turns)[best, rows]
    return places + normal * move[:, None], normal
