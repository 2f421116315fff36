"""The fit of quadrics, in the subset of Python that numba compiles."""

from __future__ import annotations

from typing import Any

import numpy as np

from .compiled import compiled_fused


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
