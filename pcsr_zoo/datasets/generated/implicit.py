"""Solids as functions: points (N, 3) -> signed distance (N,), negative inside, or a lower bound of its size.

Each function here returns such a function. They follow Inigo Quilez' collection of distance functions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree

Solid = Callable[[np.ndarray], np.ndarray]


def ball(radius: float, center: ArrayLike = (0, 0, 0)) -> Solid:
    return lambda p: np.linalg.norm(p - np.asarray(center), axis=1) - radius


def ellipsoid(radii: ArrayLike) -> Solid:
    """An ellipsoid: a bound of the distance with a slope near 1 at the surface."""
    r: NDArray[np.float64] = np.asarray(radii, np.float64)

    def value(p: np.ndarray) -> np.ndarray:
        k = np.linalg.norm(p / r, axis=1)
        slope = np.linalg.norm(p / r**2, axis=1)
        return np.where(slope > 1e-9, k * (k - 1) / np.maximum(slope, 1e-9), -float(r.min()))

    return value


def box(half: ArrayLike, rounding: float = 0.0) -> Solid:
    h = np.asarray(half, np.float64) - rounding

    def value(p: np.ndarray) -> np.ndarray:
        d = np.abs(p) - h
        return np.linalg.norm(np.maximum(d, 0), axis=1) + np.minimum(d.max(axis=1), 0) - rounding

    return value


def cylinder(radius: float, half_height: float) -> Solid:
    """Along z."""

    def value(p: np.ndarray) -> np.ndarray:
        d = np.stack([np.hypot(p[:, 0], p[:, 1]) - radius, np.abs(p[:, 2]) - half_height], axis=1)
        return np.linalg.norm(np.maximum(d, 0), axis=1) + np.minimum(d.max(axis=1), 0)

    return value


def capsule(start: ArrayLike, end: ArrayLike, radius: float, end_radius: float | None = None) -> Solid:
    """A round bar whose radius changes linearly along its axis."""
    a, b = np.asarray(start, np.float64), np.asarray(end, np.float64)
    axis, last = b - a, radius if end_radius is None else end_radius

    def value(p: np.ndarray) -> np.ndarray:
        t = np.clip((p - a) @ axis / max(float(axis @ axis), 1e-12), 0, 1)
        return np.linalg.norm(p - a - t[:, None] * axis, axis=1) - (radius + (last - radius) * t)

    return value


def torus(major: float, minor: float) -> Solid:
    """Around z."""
    return lambda p: np.hypot(np.hypot(p[:, 0], p[:, 1]) - major, p[:, 2]) - minor


def tube(curve: np.ndarray, radius: float) -> Solid:
    """The region within `radius` of points (M, 3), whose spacing is much smaller than the radius."""
    tree = cKDTree(curve)
    return lambda p: tree.query(p)[0] - radius


def superquadric(radii: ArrayLike, e1: float, e2: float) -> Solid:
    """A superquadric (Barr 1981), with exponents from 0.2 (nearly a box) to 2 (an octahedron)."""
    r = np.asarray(radii, np.float64)

    def value(p: np.ndarray) -> np.ndarray:
        q = np.abs(p / r) + 1e-9
        level = (q[:, 0] ** (2 / e2) + q[:, 1] ** (2 / e2)) ** (e2 / e1) + q[:, 2] ** (2 / e1)
        return (level ** (e1 / 2) - 1) * r.min()

    return value


def half_space(normal: ArrayLike, offset: float) -> Solid:
    n = np.asarray(normal, np.float64)
    return lambda p: p @ (n / np.linalg.norm(n)) - offset


def polygon_distance(polygon: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Signed distance of plane points (N, 2) to a closed polygon (M, 2) without self-intersections."""
    ends = np.roll(polygon, -1, axis=0)

    def value(q: np.ndarray) -> np.ndarray:
        best, inside = np.full(len(q), np.inf), np.zeros(len(q), bool)
        for a, b in zip(polygon, ends, strict=True):
            e, w = b - a, q - a
            t = np.clip(w @ e / max(e @ e, 1e-12), 0, 1)
            best = np.minimum(best, ((w - t[:, None] * e) ** 2).sum(axis=1))
            if a[1] != b[1]:
                crosses = (a[1] <= q[:, 1]) != (b[1] <= q[:, 1])
                inside ^= crosses & (q[:, 0] < a[0] + (q[:, 1] - a[1]) * e[0] / e[1])
        return np.where(inside, -1, 1) * np.sqrt(best)

    return value


def extruded(polygon: np.ndarray, half_height: float, twist: float = 0.0) -> Solid:
    """A polygon (M, 2) extruded along z, with a twist of `twist` radians per unit of height."""
    plane = polygon_distance(polygon)

    def value(p: np.ndarray) -> np.ndarray:
        c, s = np.cos(twist * p[:, 2]), np.sin(twist * p[:, 2])
        q = np.stack([c * p[:, 0] + s * p[:, 1], c * p[:, 1] - s * p[:, 0]], axis=1)
        d = np.stack([plane(q), np.abs(p[:, 2]) - half_height], axis=1)
        return np.linalg.norm(np.maximum(d, 0), axis=1) + np.minimum(d.max(axis=1), 0)

    return value


def revolved(profile: np.ndarray) -> Solid:
    """A solid of revolution about z of a closed polygon of (radius, z) rows."""
    plane = polygon_distance(profile)
    return lambda p: plane(np.stack([np.hypot(p[:, 0], p[:, 1]), p[:, 2]], axis=1))


def gyroid(periods: float, thickness: float, kind: int = 0) -> Solid:
    """A sheet of the gyroid (0), Schwarz' P (1) or D (2) surface, of about this thickness."""

    def value(p: np.ndarray) -> np.ndarray:
        q = np.pi * periods * p
        s, c = np.sin(q), np.cos(q)
        if kind == 0:
            level = (s * np.roll(c, -1, axis=1)).sum(axis=1) / 1.5
        elif kind == 1:
            level = c.sum(axis=1) / 1.5
        else:
            level = c.prod(axis=1) - s.prod(axis=1)
        return np.abs(level) / (np.pi * periods) - thickness / 2

    return value


# -- operations


def union(solids: Sequence[Solid]) -> Solid:
    return lambda p: reduce(np.minimum, (solid(p) for solid in solids))


def intersection(*solids: Solid) -> Solid:
    return lambda p: reduce(np.maximum, (solid(p) for solid in solids))


def without(solid: Solid, *holes: Solid) -> Solid:
    return lambda p: reduce(np.maximum, (-hole(p) for hole in holes), solid(p))


def blend(solids: Sequence[Solid], width: float) -> Solid:
    """A union with fillets of about this width."""

    def pair(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        h = np.maximum(width - np.abs(a - b), 0) / width
        return np.minimum(a, b) - h**2 * width / 4

    return lambda p: reduce(pair, (solid(p) for solid in solids))


def shell(solid: Solid, thickness: float) -> Solid:
    return lambda p: np.abs(solid(p)) - thickness / 2


def moved(solid: Solid, offset: ArrayLike, rotation: np.ndarray | None = None) -> Solid:
    """A solid that is rotated by a matrix (3, 3), then translated."""
    shift = np.asarray(offset, np.float64)
    turn = np.eye(3) if rotation is None else rotation
    return lambda p: solid((p - shift) @ turn)


def bumpy(solid: Solid, waves: np.ndarray, phases: np.ndarray, heights: np.ndarray) -> Solid:
    """A solid whose surface is displaced by plane waves: wave vectors (K, 3), phases and heights (K,)."""
    return lambda p: solid(p) + np.sin(p @ waves.T + phases) @ heights


def bent(solid: Solid, curvature: float) -> Solid:
    """A solid that is bent so that its x axis becomes a circle of radius 1 / curvature in the x-z plane."""
    radius = 1 / curvature

    def value(p: np.ndarray) -> np.ndarray:
        x, z = p[:, 0], p[:, 2] + radius
        return solid(np.stack([np.arctan2(x, z) * radius, p[:, 1], np.hypot(x, z) - radius], axis=1))

    return value
