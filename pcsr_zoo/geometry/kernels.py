"""Inner loops in the subset of Python that numba compiles; the modules that call them have equal, slower ones."""

from __future__ import annotations

from typing import Any

import numpy as np

from .compiled import compiled


@compiled
def _split(rows: Any, low: int, high: int, middle: int, axis: int) -> None:
    """Reorder rows[low:high] so that no coordinate before `middle` is larger than one behind it (quickselect)."""
    high -= 1
    while low < high:
        a, b, c = rows[low, axis], rows[(low + high) // 2, axis], rows[high, axis]
        pivot = max(min(a, b), min(max(a, b), c))
        i, j = low, high
        while i <= j:
            while rows[i, axis] < pivot:
                i += 1
            while rows[j, axis] > pivot:
                j -= 1
            if i <= j:
                for c in range(rows.shape[1]):
                    rows[i, c], rows[j, c] = rows[j, c], rows[i, c]
                i += 1
                j -= 1
        if middle <= j:
            high = j
        elif middle >= i:
            low = i
        else:
            break


@compiled
def tree(rows: Any, leaf: int) -> Any:
    """A balanced k-d tree of rows (N, 3 or more), N at least 1, which are reordered, with at most `leaf` in a leaf.

    Returns the bounds (2 L, 6) of the nodes: node 1 is the root, node k has the children 2 k and 2 k + 1, and leaf
    L + j has the rows from N j // L up to N (j + 1) // L.
    """
    size = len(rows)
    depth = 0
    while (size >> depth) >= leaf and size >> (depth + 1) > 0:
        depth += 1
    leaves = 1 << depth
    box = np.empty((2 * leaves, 6))
    box[0] = 0.0
    for level in range(depth + 1):
        count = 1 << level
        for k in range(count):
            node, low, high = count + k, size * k // count, size * (k + 1) // count
            for c in range(3):
                box[node, c] = box[node, c + 3] = rows[low, c]
            for i in range(low + 1, high):
                for c in range(3):
                    box[node, c] = min(box[node, c], rows[i, c])
                    box[node, c + 3] = max(box[node, c + 3], rows[i, c])
            if level < depth:
                axis = 0
                for c in (1, 2):
                    if box[node, c + 3] - box[node, c] > box[node, axis + 3] - box[node, axis]:
                        axis = c
                _split(rows, low, high, size * (2 * k + 1) // (2 * count), axis)
    return box


@compiled
def _larger(nodes: Any, rows: Any, node: int) -> None:
    """Give a node of `fps` the larger value of its children; among equal values, that of the lower index."""
    a, b = 2 * node, 2 * node + 1
    if nodes[b, 6] > nodes[a, 6] or (
        nodes[b, 6] == nodes[a, 6] and rows[int(nodes[b, 7]), 4] < rows[int(nodes[a, 7]), 4]
    ):
        a = b
    nodes[node, 6], nodes[node, 7] = nodes[a, 6], nodes[a, 7]


@compiled
def fps(rows: Any, box: Any, picks: Any) -> None:
    """Farthest point sampling: the largest values first, and among equal values the lowest index, into `picks` (n,).

    Rows (N, 6), in the order of a `tree`, are points, their values, indices and weights. The value of a point is its
    distance to the nearest pick so far, times its weight, and -1 for picks.

    Each node of the tree knows the largest value in it, so the root knows the next pick. A pick changes only points
    that are closer to it than their value, and visits only nodes whose box is closer to it than their largest value.
    """
    size, leaves = len(rows), len(box) // 2
    nodes = np.empty((2 * leaves, 8))  # bounds, the largest value, and its row
    nodes[:, :6] = box
    for node in range(2 * leaves - 1, 0, -1):
        if node < leaves:
            _larger(nodes, rows, node)
            continue
        low, high = size * (node - leaves) // leaves, size * (node - leaves + 1) // leaves
        best = low
        for i in range(low + 1, high):
            if rows[i, 3] > rows[best, 3] or (rows[i, 3] == rows[best, 3] and rows[i, 4] < rows[best, 4]):
                best = i
        nodes[node, 6], nodes[node, 7] = rows[best, 3], best
    least = np.inf
    for i in range(size):
        least = min(least, rows[i, 5])
    stack, seen = np.empty(128, np.int64), np.empty(2 * leaves, np.int64)
    for k in range(len(picks)):
        pick = int(nodes[1, 7])
        picks[k] = int(rows[pick, 4])
        x, y, z = rows[pick, 0], rows[pick, 1], rows[pick, 2]
        held, visited = 1, 0
        stack[0] = 1
        while held:
            held -= 1
            node = stack[held]
            dx = max(nodes[node, 0] - x, x - nodes[node, 3], 0.0)
            dy = max(nodes[node, 1] - y, y - nodes[node, 4], 0.0)
            dz = max(nodes[node, 2] - z, z - nodes[node, 5], 0.0)
            reach = nodes[node, 6] / least
            # the factor is for rounding; the pick itself is visited even if its value is 0
            if (dx * dx + dy * dy + dz * dz) * 0.9999999999 > reach * abs(reach):
                continue
            seen[visited] = node
            visited += 1
            if node < leaves:
                stack[held], stack[held + 1] = 2 * node, 2 * node + 1
                held += 2
                continue
            low, high = size * (node - leaves) // leaves, size * (node - leaves + 1) // leaves
            best, top = low, -2.0
            for i in range(low, high):
                dx, dy, dz = rows[i, 0] - x, rows[i, 1] - y, rows[i, 2] - z
                square = dx * dx + dy * dy + dz * dz
                value, weight = rows[i, 3], rows[i, 5]
                if square * (weight * weight) * 0.9999999999 <= value * abs(value):
                    value = -1.0 if i == pick else min(value, weight * np.sqrt(square))
                    rows[i, 3] = value
                if value > top or (value == top and rows[i, 4] < rows[best, 4]):
                    best, top = i, value
            nodes[node, 6], nodes[node, 7] = top, best
        for i in range(visited - 1, -1, -1):
            if seen[i] < leaves:
                _larger(nodes, rows, seen[i])


@compiled
def settle_ties(distance: Any, index: Any, key: Any, tie: float) -> None:
    """Order neighbors (M, k) of nearly equal distance (up to the ratio `tie`) by their key (N,), the largest first."""
    for row in range(len(distance)):
        for _ in range(2):
            for a in range(distance.shape[1] - 1):
                i, j = index[row, a], index[row, a + 1]
                if distance[row, a + 1] <= distance[row, a] * tie and key[i] < key[j]:
                    index[row, a], index[row, a + 1] = j, i
                    distance[row, a], distance[row, a + 1] = distance[row, a + 1], distance[row, a]


@compiled
def among(points: Any, near: Any, seeds: Any, positions: Any, distance: Any, index: Any) -> None:
    """The points nearest to positions (M, 3) among the neighbors of their seeds, into `distance` and `index` (M, k).

    Args:
        points: (N, 3).
        near: (N, n), the nearest points of each, n at least k.
        seeds: (M, s), points that each position is close to.
    """
    k = distance.shape[1]
    for row in range(len(positions)):
        held = 0
        x, y, z = positions[row, 0], positions[row, 1], positions[row, 2]
        for seed in seeds[row]:
            for j in near[seed]:
                a, b, c = points[j, 0] - x, points[j, 1] - y, points[j, 2] - z
                d = a * a + b * b + c * c
                if held == k and d >= distance[row, k - 1]:
                    continue
                place = held
                while place > 0 and distance[row, place - 1] > d:
                    place -= 1
                known = False
                for i in range(place - 1, -1, -1):
                    if distance[row, i] < d:
                        break
                    known |= index[row, i] == j
                if known:
                    continue
                if held < k:
                    held += 1
                for i in range(held - 1, place, -1):
                    distance[row, i], index[row, i] = distance[row, i - 1], index[row, i - 1]
                distance[row, place], index[row, place] = d, j
        for i in range(k):
            distance[row, i] = np.sqrt(distance[row, i])


@compiled
def empty_edges(points: Any, index: Any, begin: int, share: float, empty: Any) -> None:
    """Whether no other neighbor is near the middle of each edge, into `empty` (M, k); see `edges.neighbor_edges`."""
    for row in range(len(index)):
        i = begin + row
        for far in range(index.shape[1]):
            j = index[row, far]
            empty[row, far] = j != i
            if far < 2 or j == i:
                continue
            x, y, z = points[j, 0] - points[i, 0], points[j, 1] - points[i, 1], points[j, 2] - points[i, 2]
            x, y, z = x / 2, y / 2, z / 2
            limit = share * share * (x * x + y * y + z * z)
            for near in range(far):
                other = index[row, near]
                a = points[other, 0] - points[i, 0] - x
                b = points[other, 1] - points[i, 1] - y
                c = points[other, 2] - points[i, 2] - z
                if a * a + b * b + c * c < limit and other != i:
                    empty[row, far] = False
                    break


@compiled
def ranks(ends: Any, score: Any, size: int, rank: Any) -> None:
    """The rank (E,) of each edge by score at its ends, the smaller of both; see `edges.rank_at_ends`."""
    count = len(ends)
    first = np.zeros(size + 1, np.int64)
    for e in range(count):
        first[ends[e, 0] + 1] += 1
        first[ends[e, 1] + 1] += 1
    for i in range(size):
        first[i + 1] += first[i]
    held, at = np.zeros(size, np.int64), np.empty(2 * count, np.int64)
    for side in range(2):
        for e in range(count):
            i = ends[e, side]
            place = first[i] + held[i]  # insertion sort: a point has few edges
            held[i] += 1
            while place > first[i] and score[at[place - 1]] > score[e]:
                at[place] = at[place - 1]
                place -= 1
            at[place] = e
    rank[:] = count
    for i in range(size):
        for k in range(held[i]):
            rank[at[first[i] + k]] = min(rank[at[first[i] + k]], k)


@compiled
def mean_of_three(points: Any, neighbors: Any, mean: Any) -> None:
    """The mean distance (N,) of points (N, 3) to the three nearest of their neighbors (N, k), k at least 3."""
    for i in range(len(points)):
        a = b = c = np.inf
        for j in neighbors[i]:
            x, y, z = points[j, 0] - points[i, 0], points[j, 1] - points[i, 1], points[j, 2] - points[i, 2]
            d = np.sqrt(x * x + y * y + z * z)
            if d < c:
                c = d
                if c < b:
                    b, c = c, b
                if b < a:
                    a, b = b, a
        mean[i] = (a + b + c) / 3


@compiled
def repulse(points: Any, neighbors: Any, near: Any, begin: int, reach: float, size: float, step: Any) -> None:
    """Repulsion steps (M, 3) of the points from `begin` on; see `repulsion.repulsion`."""
    for row in range(len(step)):
        i = begin + row
        total = near[i]
        for j in neighbors[i]:
            total += near[j]
        h = reach * total / (neighbors.shape[1] + 1)
        sx = sy = sz = 0.0
        for j in neighbors[i]:
            x, y, z = points[i, 0] - points[j, 0], points[i, 1] - points[j, 1], points[i, 2] - points[j, 2]
            d = np.sqrt(x * x + y * y + z * z)
            if 0.0 < d < h:
                push = (1 - d / h) / d
                sx += push * x
                sy += push * y
                sz += push * z
        step[row, 0], step[row, 1], step[row, 2] = size * h * sx, size * h * sy, size * h * sz
