"""Inner loops in the subset of Python that numba compiles. Each has an equal, slower one in the module that calls it."""

from __future__ import annotations

from typing import Any

import numpy as np

from .compiled import compiled, compiled_fused



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
def fps(rows: Any, box: Any, picks: Any) -> None:
    """Farthest point sampling: the largest values first, and among equal values the lowest index, into `picks` (n,).

    Rows (N, 6), in the order of a `tree`, are points, their values, indices and weights. The value of a point is its
    distance to the nearest pick so far, times its weight, and -1 for picks.

    Each node of the tree knows the largest value in it, so the root knows the next pick. A pick changes only points that
    are closer to it than their value, and visits only nodes whose box is closer to it than their largest value.
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


@compiled_fused
def _onto(local: Any, shapes: Any, row: int, at: int, out: Any, view: int) -> None:
    """The move of a point onto the quadric in shapes[row, at:]: coefficients, origin, axes."""
    x, y, z = local[0] - shapes[row, at + 6], local[1] - shapes[row, at + 7], local[2] - shapes[row, at + 8]
    a = at + 9
    height = x * shapes[row, a] + y * shapes[row, a + 3] + z * shapes[row, a + 6]
    u = x * shapes[row, a + 1] + y * shapes[row, a + 4] + z * shapes[row, a + 7]
    v = x * shapes[row, a + 2] + y * shapes[row, a + 5] + z * shapes[row, a + 8]
    quadric = shapes[row, at] + shapes[row, at + 1] * u + shapes[row, at + 2] * v
    quadric += shapes[row, at + 3] * u * u + shapes[row, at + 4] * u * v + shapes[row, at + 5] * v * v
    move = min(max(quadric - height, -1.0), 1.0)
    for c in range(3):
        out[view, c] = move * shapes[row, a + 3 * c]


@compiled_fused
def decoder_input(positions: Any, points: Any, index: Any, shapes: Any, place: Any, near: Any, wide: Any) -> None:
    """What the decoder of `jetnet` gets of positions (M, 3) and their m nearest points, see `JetNetwork.decode`.

    Writes `place` (M m, 10), and the moves `near` and `wide` (M m, 3) onto the two quadrics of each point.
    """
    views = index.shape[1]
    local, away = np.empty(3), np.empty(views)
    for row in range(len(index)):
        mean = 0.0
        for v in range(views):
            j, out = index[row, v], row * views + v
            radius = shapes[j, 9]
            x = (positions[row, 0] - points[j, 0]) / radius
            y = (positions[row, 1] - points[j, 1]) / radius
            z = (positions[row, 2] - points[j, 2]) / radius
            for c in range(3):
                local[c] = x * shapes[j, c] + y * shapes[j, c + 3] + z * shapes[j, c + 6]
            square = local[0] * local[0] + local[1] * local[1] + local[2] * local[2]
            away[v] = np.sqrt(square) * radius
            mean += away[v] / views
            _onto(local, shapes, j, 11, near, out)
            _onto(local, shapes, j, 29, wide, out)
            place[out, 0], place[out, 1], place[out, 2] = local[0], local[1], local[2]
            place[out, 3], place[out, 4] = near[out, 0] + near[out, 1] + near[out, 2], near[out, 0]
            place[out, 5], place[out, 6], place[out, 7] = wide[out, 0], wide[out, 1], wide[out, 2]
            place[out, 8] = square
        for v in range(views):
            place[row * views + v, 9] = away[v] / (mean + 1e-12)


@compiled_fused
def decoder_output(
    index: Any, shapes: Any, place: Any, near: Any, wide: Any, out: Any, sharpness: float, step: Any
) -> None:
    """The moves (M, 3) of positions from the output (M m, 6) of the decoder, see `JetNetwork.decode`."""
    views = index.shape[1]
    votes = np.empty((views, 2))
    for row in range(len(index)):
        most = -np.inf
        for v in range(views):
            i = row * views + v
            votes[v, 0] = out[i, 0] - sharpness * place[i, 8]
            votes[v, 1] = out[i, 1] - sharpness * place[i, 8] - 1.0
            most = max(most, votes[v, 0], votes[v, 1])
        total = x = y = z = 0.0
        for v in range(views):
            i, j = row * views + v, index[row, v]
            a, b = np.exp(votes[v, 0] - most), np.exp(votes[v, 1] - most)
            total += a + b
            rest, radius = (a + b) * shapes[j, 10], shapes[j, 9]
            p = radius * (a * near[i, 0] + b * wide[i, 0] + rest * out[i, 2])
            q = radius * (a * near[i, 1] + b * wide[i, 1] + rest * out[i, 3])
            r = radius * (a * near[i, 2] + b * wide[i, 2] + rest * out[i, 4])
            x += shapes[j, 0] * p + shapes[j, 1] * q + shapes[j, 2] * r
            y += shapes[j, 3] * p + shapes[j, 4] * q + shapes[j, 5] * r
            z += shapes[j, 6] * p + shapes[j, 7] * q + shapes[j, 8] * r
        step[row, 0], step[row, 1], step[row, 2] = x / total, y / total, z / total


@compiled_fused
def _principal_axes(m: Any, axes: Any, variances: Any) -> None:
    """Eigenvalues (3,), ascending, and eigenvectors (3, 3) of a symmetric matrix, which is overwritten (Jacobi)."""
    for i in range(3):
        for j in range(3):
            axes[i, j] = 1.0 if i == j else 0.0
    scale = m[0, 0] + m[1, 1] + m[2, 2]
    for _ in range(12):
        if m[0, 1] ** 2 + m[0, 2] ** 2 + m[1, 2] ** 2 <= 1e-30 * scale * scale:
            break
        for p in range(2):
            for q in range(p + 1, 3):
                if m[p, q] == 0.0:
                    continue
                theta = (m[q, q] - m[p, p]) / (2 * m[p, q])
                t = 1.0 / (abs(theta) + np.sqrt(theta * theta + 1.0))
                t = -t if theta < 0 else t
                c = 1.0 / np.sqrt(t * t + 1.0)
                s = t * c
                r = 3 - p - q
                a, b = m[r, p], m[r, q]
                m[p, p] -= t * m[p, q]
                m[q, q] += t * m[p, q]
                m[p, q] = m[q, p] = 0.0
                m[r, p] = m[p, r] = c * a - s * b
                m[r, q] = m[q, r] = s * a + c * b
                for i in range(3):
                    a, b = axes[i, p], axes[i, q]
                    axes[i, p], axes[i, q] = c * a - s * b, s * a + c * b
    for i in range(3):
        variances[i] = m[i, i]
    for a, b in ((0, 1), (1, 2), (0, 1)):
        if variances[b] < variances[a]:
            variances[a], variances[b] = variances[b], variances[a]
            for i in range(3):
                axes[i, a], axes[i, b] = axes[i, b], axes[i, a]


@compiled_fused
def _solve(a: Any, b: Any) -> None:
    """Solve a symmetric positive definite system (n, n) in place, by its Cholesky factor; b (n,) gets the solution."""
    n = len(b)
    for i in range(n):
        for j in range(i + 1):
            total = a[i, j]
            for k in range(j):
                total -= a[i, k] * a[j, k]
            a[i, j] = np.sqrt(max(total, 1e-300)) if i == j else total / a[j, j]
        total = b[i]
        for k in range(i):
            total -= a[i, k] * b[k]
        b[i] = total / a[i, i]
    for i in range(n - 1, -1, -1):
        total = b[i]
        for k in range(i + 1, n):
            total -= a[k, i] * b[k]
        b[i] = total / a[i, i]


@compiled_fused
def fit_jets(
    near: Any,
    sharpness: float,
    rounds: int,
    tolerance: float,
    ridge: Any,
    origin: Any,
    axes: Any,
    coefficients: Any,
    misfit: Any,
    weights: Any,
) -> None:
    """Quadrics of neighborhoods (M, k, 3), into the other arrays; see `jets.fit_jets`."""
    k = near.shape[1]
    base, weight, height, design = np.empty(k), np.empty(k), np.empty(k), np.empty((k, 6))
    center, spread, turn, variances = np.empty(3), np.empty((3, 3)), np.empty((3, 3)), np.empty(3)
    a, b = np.empty((6, 6)), np.empty(6)
    for row in range(len(near)):
        for i in range(k):
            x, y, z = near[row, i, 0], near[row, i, 1], near[row, i, 2]
            base[i] = weight[i] = np.exp(-sharpness * (x * x + y * y + z * z))
        for left in range(rounds, -1, -1):
            total = 0.0
            center[:] = 0.0
            spread[:] = 0.0
            for i in range(k):
                total += weight[i]
                for c in range(3):
                    center[c] += weight[i] * near[row, i, c]
            for c in range(3):
                center[c] /= total
            for i in range(k):
                share = weight[i] / total
                x, y, z = near[row, i, 0] - center[0], near[row, i, 1] - center[1], near[row, i, 2] - center[2]
                spread[0, 0] += share * x * x
                spread[0, 1] += share * x * y
                spread[0, 2] += share * x * z
                spread[1, 1] += share * y * y
                spread[1, 2] += share * y * z
                spread[2, 2] += share * z * z
            spread[1, 0], spread[2, 0], spread[2, 1] = spread[0, 1], spread[0, 2], spread[1, 2]
            _principal_axes(spread, turn, variances)
            a[:] = 0.0
            b[:] = 0.0
            for i in range(k):
                x, y, z = near[row, i, 0] - center[0], near[row, i, 1] - center[1], near[row, i, 2] - center[2]
                h = x * turn[0, 0] + y * turn[1, 0] + z * turn[2, 0]
                u = x * turn[0, 1] + y * turn[1, 1] + z * turn[2, 1]
                v = x * turn[0, 2] + y * turn[1, 2] + z * turn[2, 2]
                height[i] = h
                design[i, 0], design[i, 1], design[i, 2] = 1.0, u, v
                design[i, 3], design[i, 4], design[i, 5] = u * u, u * v, v * v
                share = weight[i] / total
                for p in range(6):
                    part = share * design[i, p]
                    b[p] += part * h
                    for q in range(p + 1):
                        a[p, q] += part * design[i, q]
            for p in range(6):
                a[p, p] += ridge[p]
            _solve(a, b)
            square = 0.0
            for i in range(k):
                rest = height[i]
                for p in range(6):
                    rest -= design[i, p] * b[p]
                square += weight[i] / total * rest * rest
                if left:
                    weight[i] = base[i] * (np.exp(-((rest / tolerance) ** 2)) + 1e-4)
            if left == rounds:
                misfit[row] = np.sqrt(square)
        for c in range(3):
            origin[row, c] = center[c]
            for d in range(3):
                axes[row, c, d] = turn[c, d]
        for p in range(6):
            coefficients[row, p] = b[p]
        for i in range(k):
            weights[row, i] = weight[i]


@compiled_fused
def told(offsets: Any, residuals: Any, frame: Any, radius: Any, index: Any, begin: int, seen: Any) -> None:
    """The geometry (n, k, 13) that goes with the messages to patches from `begin` on, see `JetNetwork.encode`.

    Args:
        offsets, residuals, index: (n, k or more, ...), of these patches.
        frame, radius: (N, 3, 3) and (N, 1), of all patches.
        seen: the result.
    """
    for row in range(len(seen)):
        own = begin + row
        for i in range(seen.shape[1]):
            j = index[row, i]
            x, y, z = offsets[row, i, 0], offsets[row, i, 1], offsets[row, i, 2]
            seen[row, i, 0], seen[row, i, 1], seen[row, i, 2] = x, y, z
            seen[row, i, 3], seen[row, i, 4] = residuals[row, i, 0], residuals[row, i, 1]
            seen[row, i, 5] = np.sqrt(x * x + y * y + z * z)
            for a in range(3):
                for b in range(2):
                    seen[row, i, 6 + 2 * a + b] = (
                        frame[own, 0, a] * frame[j, 0, b]
                        + frame[own, 1, a] * frame[j, 1, b]
                        + frame[own, 2, a] * frame[j, 2, b]
                    )
            seen[row, i, 12] = np.log(min(max(radius[j, 0] / radius[own, 0], 0.1), 10.0))


_LOG2E, _LN2 = np.float32(1.4426950408889634), np.float32(0.6931471805599453)
_MOST, _HALF, _ONE = np.float32(125), np.float32(0.5), np.float32(1)
_C2, _C3, _C4 = np.float32(1 / 2), np.float32(1 / 6), np.float32(1 / 24)
_C5, _C6 = np.float32(1 / 120), np.float32(1 / 720)
_BIAS, _SHIFT = np.int32(127), np.int32(23)


@compiled_fused
def _silu(row: Any, power: Any, scale: Any, rest: Any) -> None:
    """x / (1 + exp(-x)) of a row of float32, in place, by loops that become vector instructions.

    exp(-x) = 2^i exp(r) with |r| < 0.35, by the bits of 2^i and a polynomial; `power` (int32), `scale` (its bits as
    float32) and `rest` have the length of the row.
    """
    for c in range(len(row)):
        t = min(max(-row[c] * _LOG2E, -_MOST), _MOST)
        whole = np.floor(t + _HALF)
        rest[c] = (t - whole) * _LN2
        power[c] = (np.int32(whole) + _BIAS) << _SHIFT
    for c in range(len(row)):
        r = rest[c]
        e = _ONE + r * (_ONE + r * (_C2 + r * (_C3 + r * (_C4 + r * (_C5 + r * _C6)))))
        row[c] = row[c] / (_ONE + e * scale[c])


@compiled_fused
def silu(rows: Any) -> None:
    """The SiLU of rows (n, h) of float32, in place."""
    power, rest = np.empty(rows.shape[1], np.int32), np.empty(rows.shape[1], np.float32)
    for i in range(len(rows)):
        _silu(rows[i], power, power.view(np.float32), rest)


@compiled_fused
def hear(said: Any, mine: Any, told: Any, index: Any) -> None:
    """said (n, k, h) <- SiLU(said + mine (n, h) + told (N, h) at index (n, k or more)); without index, told is 0."""
    h = said.shape[2]
    power, rest = np.empty(h, np.int32), np.empty(h, np.float32)
    scale = power.view(np.float32)
    for i in range(len(said)):
        own = mine[i]
        for j in range(said.shape[1]):
            row = said[i, j]
            if len(told):
                other = told[index[i, j]]
                for c in range(h):
                    row[c] += own[c] + other[c]
            else:
                for c in range(h):
                    row[c] += own[c]
            _silu(row, power, scale, rest)


@compiled_fused
def pool(said: Any, share: Any, mine: Any, out: Any) -> None:
    """Sums (heads of them) of said (n, k, h), weighted by softmax of share (n, k, heads), then mine (n, h), into `out`."""
    k, h = said.shape[1:]
    heads = share.shape[2]
    weight = np.empty(k, np.float32)
    for i in range(len(said)):
        for head in range(heads):
            most = share[i, 0, head]
            for j in range(1, k):
                most = max(most, share[i, j, head])
            total = np.float32(0)
            for j in range(k):
                weight[j] = np.exp(share[i, j, head] - most)
                total += weight[j]
            row = out[i, head * h : (head + 1) * h]
            row[:] = np.float32(0)
            for j in range(k):
                part, one = weight[j] / total, said[i, j]
                for c in range(h):
                    row[c] += part * one[c]
        for c in range(h):
            out[i, heads * h + c] = mine[i, c]
