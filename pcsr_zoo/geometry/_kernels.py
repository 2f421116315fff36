"""Inner loops in the subset of Python that numba compiles. Each has an equal, slower one in the module that calls it."""

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

    Returns the bounds (2 L, 6) of the nodes: node 1 is the root, node k has the children 2 k and 2 k + 1, and leaf L + j
    has the rows from N j // L up to N (j + 1) // L.
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
def fps(rows: Any, box: Any, weights: Any, picks: Any) -> None:
    """Farthest point sampling: the largest values first, and among equal values the lowest index, into `picks` (n,).

    Rows (N, 5), in the order of a `tree`, are points, their values and their indices. The value of a point is its
    distance to the nearest pick so far, times its weight (N,), and -1 for picks.

    Each node of the tree knows the largest value in it, so the root knows the next pick. A pick changes only points that
    are closer to it than their value, and visits only nodes whose box is closer to it than their largest value.
    """
    size, leaves = len(rows), len(box) // 2
    nodes = np.empty((2 * leaves, 8))  # bounds, the largest value, and its row
    nodes[:, :6] = box
    factor = np.empty(size)
    for i in range(size):
        factor[i] = weights[int(rows[i, 4])]
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
    least = weights.min()
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
                value, weight = rows[i, 3], factor[i]
                if square * (weight * weight) * 0.9999999999 <= value * abs(value):
                    value = -1.0 if i == pick else min(value, weight * np.sqrt(square))
                    rows[i, 3] = value
                if value > top or (value == top and rows[i, 4] < rows[best, 4]):
                    best, top = i, value
            nodes[node, 6], nodes[node, 7] = top, best
        for i in range(visited - 1, -1, -1):
            if seen[i] < leaves:
                _larger(nodes, rows, seen[i])
