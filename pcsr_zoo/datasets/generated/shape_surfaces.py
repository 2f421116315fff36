"""Families of surfaces with borders: functions of a random generator that return vertices and triangles."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Rng = np.random.Generator
Mesh = tuple[NDArray[np.float64], NDArray[np.int64]]
_ACROSS = 160  # vertices along a side of the grid


def grid_mesh(points: np.ndarray, closed: bool = False) -> Mesh:
    """Vertices and triangles of a grid (U, V, 3); `closed` joins the last row of u to the first."""
    rows, columns = points.shape[:2]
    index = np.arange(rows * columns).reshape(rows, columns)
    after = np.roll(index, -1, axis=0) if closed else index[1:]
    index = index if closed else index[:-1]
    a, b, c, d = index[:, :-1], after[:, :-1], after[:, 1:], index[:, 1:]
    quads = np.stack([a, b, c, a, c, d], axis=-1).reshape(-1, 3)
    return points.reshape(-1, 3), quads


def _parameters(u: tuple[float, float], v: tuple[float, float], rows: int = _ACROSS) -> tuple[np.ndarray, np.ndarray]:
    grid = np.meshgrid(np.linspace(*u, rows), np.linspace(*v, _ACROSS), indexing="ij")
    return grid[0], grid[1]


def terrain(rng: Rng) -> Mesh:
    """A height field: rolling hills of all wavelengths, or ridges and terraces with creases."""
    x, y = _parameters((-0.8, 0.8), (-0.8, 0.8))
    z = np.zeros_like(x)
    for _ in range(8):
        wave = rng.normal(size=2)
        wave *= rng.uniform(2, 12) / np.linalg.norm(wave)
        z += np.sin(wave[0] * x + wave[1] * y + rng.uniform(0, 6.3)) * rng.uniform(0.2, 0.7) / np.linalg.norm(wave)
    kind = rng.integers(3)
    if kind == 1:
        z = np.abs(z)
    elif kind == 2:
        z = np.clip(z, *np.quantile(z, [0.25, 0.8]))
    return grid_mesh(np.stack([x, y, z], axis=-1))


def half_shell(rng: Rng) -> Mesh:
    """A part of an ellipsoid, a torus or a cone: a dome, a gutter, a bowl."""
    kind = int(rng.integers(3))
    if kind == 0:
        u, v = _parameters((0, rng.uniform(3.5, 6.0)), (rng.uniform(0.05, 0.3), rng.uniform(1.2, 2.2)))
        points = np.stack([np.sin(v) * np.cos(u), np.sin(v) * np.sin(u), np.cos(v)], axis=-1) * rng.uniform(0.5, 0.9, 3)
    elif kind == 1:
        u, v = _parameters((0, rng.uniform(2, 5.5)), (0, rng.uniform(2, 5)))
        r = 0.6 + rng.uniform(0.15, 0.3) * np.cos(v)
        points = np.stack([r * np.cos(u), r * np.sin(u), rng.uniform(0.15, 0.3) * np.sin(v)], axis=-1)
    else:
        u, v = _parameters((0, rng.uniform(2.5, 6.0)), (-0.7, 0.7))
        r = 0.45 + rng.uniform(-0.4, 0.4) * v
        points = np.stack([r * np.cos(u), r * np.sin(u), v], axis=-1)
    return grid_mesh(points)


def leaf(rng: Rng) -> Mesh:
    """A sheet with pointed ends, bent along and across, with or without a crease along its middle."""
    u, v = _parameters((-1, 1), (-1, 1))
    half = rng.uniform(0.2, 0.5) * (np.clip(1 - u**2, 0, 1) ** rng.uniform(0.6, 1.2) + 0.002)
    half *= 1 + rng.uniform(0, 0.3) * u
    across = rng.uniform(0.1, 0.6) * (np.abs(v) if rng.random() < 0.5 else v**2)
    z = (
        rng.uniform(-0.6, 0.6) * u**2
        + half * across
        + 0.03 * np.sin(rng.uniform(8, 20) * u + 3 * v) * rng.choice([0, 1])
    )
    return grid_mesh(np.stack([0.9 * u, half * v, z], axis=-1))


def open_tube(rng: Rng) -> Mesh:
    """A tube of varying radius along a curve, without end caps, with a round or polygonal section."""
    t = np.linspace(0, 1, 300)
    curve = sum(np.outer(np.cos(np.pi * k * t), rng.normal(size=3)) / k**1.5 for k in range(1, 4))
    curve = np.asarray(curve) * (0.75 / np.abs(curve).max())
    tangent = np.gradient(curve, axis=0)
    tangent /= np.maximum(np.linalg.norm(tangent, axis=1, keepdims=True), 1e-12)
    side = np.empty_like(curve)
    side[0] = np.cross(tangent[0], np.eye(3)[np.argmin(np.abs(tangent[0]))])
    for k in range(len(t)):  # carried along without torsion
        before = side[k - 1] if k else side[0]
        side[k] = before - (before @ tangent[k]) * tangent[k]
        side[k] /= np.linalg.norm(side[k])
    up = np.cross(tangent, side)
    corners = int(rng.choice([0, 3, 4, 6]))
    angle = np.linspace(0, 2 * np.pi, 96, endpoint=False)
    ring = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    if corners:  # a regular polygon: its apothem over the cosine of the angle to the middle of the side
        part = 2 * np.pi / corners
        ring *= (np.cos(part / 2) / np.cos(angle % part - part / 2))[:, None]
    radius = rng.uniform(0.06, 0.14) * (1 + rng.uniform(0, 0.4) * np.sin(rng.uniform(4, 15) * t))
    points = curve[None] + radius[None, :, None] * (ring[:, :1, None] * side + ring[:, 1:, None] * up)
    return grid_mesh(points, closed=True)


def ruled(rng: Rng) -> Mesh:
    """Ruled surfaces between two curves: saddles, helicoids, folded fans, a ribbon with half twists."""
    u, v = _parameters((0, 1), (-1, 1), 2 * _ACROSS)
    kind = int(rng.integers(3))
    if kind == 0:  # ribbon round a circle, open at the seam, so that it has two sides
        twist, angle = rng.integers(1, 5), 2 * np.pi * 0.96 * u
        r = 0.65 + rng.uniform(0.15, 0.28) * v * np.cos(twist * angle / 2)
        points = np.stack([r * np.cos(angle), r * np.sin(angle), 0.25 * v * np.sin(twist * angle / 2)], axis=-1)
    elif kind == 1:  # helicoid
        angle = rng.uniform(2, 9) * u
        r = rng.uniform(0.05, 0.2) + 0.25 * (v + 1)
        points = np.stack([r * np.cos(angle), r * np.sin(angle), 1.3 * (u - 0.5)], axis=-1)
    else:  # folded: a zigzag with true creases
        folds = int(rng.integers(3, 8))
        height = rng.uniform(0.08, 0.25) * np.abs((u * folds) % 2 - 1)
        points = np.stack(
            [1.4 * (u - 0.5), v * (0.3 + rng.uniform(0, 0.4) * u), height + rng.uniform(0, 0.3) * v * u], -1
        )
    return grid_mesh(points)


SURFACES: dict[str, Callable[[Rng], Mesh]] = {
    family.__name__: family for family in (terrain, half_shell, leaf, open_tube, ruled)
}
