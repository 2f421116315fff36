"""Inner loops of `jetnet`, in the subset of Python that numba compiles."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...geometry.compiled import compiled_fused


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
    """Sums of said (n, k, h), weighted by the softmax of share (n, k, heads), then mine (n, h), into `out`."""
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
