"""The sculpture of the sample data: a twisted ribbon tied into a trefoil knot, on a turned column and plinth.

It is described by a signed distance function (negative inside), so any number of points can be put exactly on
its surface, with exact normals, and no mesh or license is involved. It holds what upsampling is judged by:
smooth regions of both curvatures (the column), creases (the plinth's and the ribbon's edges), a thin part
(the ribbon) and surfaces that pass close to each other (the knot's crossings). One unit is about a meter.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from scipy.spatial import cKDTree

# The knot: center, size, and the ribbon's half width, half thickness and edge radius.
KNOT_CENTER = np.array([0.0, 0.0, 0.56])
KNOT_SIZE = 0.38
RIBBON = (0.135, 0.040, 0.010)
HALF_TWISTS = 4  # over one turn of the knot; even, so that the ribbon closes on itself
# The column's radius over its height (straight pieces; SOFTEN rounds the joints).
COLUMN = np.array(
    [
        [-0.42, 0.30],
        [-0.38, 0.30],
        [-0.34, 0.19],
        [-0.26, 0.13],
        [-0.15, 0.125],
        [-0.09, 0.18],
        [-0.04, 0.18],
        [0.0, 0.11],
    ]
)
SOFTEN = 0.015
# The plinth: two octagonal steps, each (apothem, lowest z, highest z); they overlap, or the face that they share
# would be a surface inside of the solid.
STEPS = ((0.50, -0.60, -0.50), (0.40, -0.55, -0.42))


def _knot_curve(count: int = 4000) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points (M, 3) of the trefoil, unit tangents (M, 3) and the ribbon's unit width directions (M, 3)."""
    t = np.arange(count) * (2 * np.pi / count)
    # The trefoil stands upright: its plane is x-z.
    curve = np.stack([np.sin(t) + 2 * np.sin(2 * t), -1.15 * np.sin(3 * t), np.cos(t) - 2 * np.cos(2 * t)], axis=1)
    curve = KNOT_CENTER + KNOT_SIZE / 2 * curve
    tangent = np.roll(curve, -1, axis=0) - np.roll(curve, 1, axis=0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    # A frame without torsion: carry the first direction along the curve, then spread the gap at the seam.
    side = np.empty_like(tangent)
    side[0] = np.cross(tangent[0], [0.0, 1.0, 0.0])
    for i in range(1, count):
        side[i] = side[i - 1] - tangent[i] * (side[i - 1] @ tangent[i])
        side[i] /= np.linalg.norm(side[i])
    side[0] /= np.linalg.norm(side[0])
    up = np.cross(tangent, side)
    gap = np.arctan2(side[-1] @ up[0], side[-1] @ side[0])
    angle = t / (2 * np.pi) * (HALF_TWISTS * np.pi - gap)
    width = np.cos(angle)[:, None] * side + np.sin(angle)[:, None] * up
    return curve, tangent, width


_CURVE, _TANGENT, _WIDTH = _knot_curve()
_TREE = cKDTree(_CURVE)


def _box(u: np.ndarray, v: np.ndarray, half_u: float, half_v: float, radius: float) -> np.ndarray:
    """Signed distance of the plane points (u, v) to a rectangle with rounded corners."""
    du, dv = np.abs(u) - (half_u - radius), np.abs(v) - (half_v - radius)
    outside = np.hypot(np.maximum(du, 0), np.maximum(dv, 0))
    return outside + np.minimum(np.maximum(du, dv), 0) - radius


def ribbon_distance(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Signed distance (N,) to the knotted ribbon, and the place (N,) along it in [0, 1)."""
    near = _TREE.query(points)[1]
    offset = points - _CURVE[near]
    offset -= _TANGENT[near] * np.sum(offset * _TANGENT[near], axis=1, keepdims=True)
    u = np.sum(offset * _WIDTH[near], axis=1)
    v = np.sum(offset * np.cross(_TANGENT[near], _WIDTH[near]), axis=1)
    return _box(u, v, *RIBBON), near / len(_CURVE)


def column_distance(points: np.ndarray) -> np.ndarray:
    """Signed distance (N,) to the turned column."""
    r, z = np.hypot(points[:, 0], points[:, 1]), points[:, 2]
    corners = np.vstack([[COLUMN[0, 0], 0.0], COLUMN, [COLUMN[-1, 0], 0.0]])  # (z, r), closed along the axis
    squared, inside = np.full(len(r), np.inf), np.zeros(len(r), dtype=bool)
    for (z0, r0), (z1, r1) in pairwise(corners):
        dz, dr = z1 - z0, r1 - r0
        s = np.clip(((z - z0) * dz + (r - r0) * dr) / (dz * dz + dr * dr), 0, 1)
        squared = np.minimum(squared, (z - z0 - s * dz) ** 2 + (r - r0 - s * dr) ** 2)
        if dz > 0:
            inside |= (z >= z0) & (z < z1) & (r < r0 + (z - z0) / dz * dr)
    return np.where(inside, -1, 1) * np.sqrt(squared) - SOFTEN


def plinth_distance(points: np.ndarray) -> np.ndarray:
    """Signed distance (N,) (a lower bound outside the corners) to the two octagonal steps."""
    x, y = np.abs(points[:, 0]), np.abs(points[:, 1])
    octagon = np.maximum(np.maximum(x, y), (x + y) / np.sqrt(2))
    distance = np.full(len(points), np.inf)
    for apothem, low, high in STEPS:
        slab = np.abs(points[:, 2] - (low + high) / 2) - (high - low) / 2
        distance = np.minimum(distance, np.maximum(octagon - apothem, slab))
    return distance


def distance(points: np.ndarray) -> np.ndarray:
    """Signed distance (N,) to the whole sculpture, the ribbon welded to the column by a fillet of 4 cm."""
    a, b, fillet = ribbon_distance(points)[0], column_distance(points), 0.04
    blend = np.maximum(fillet - np.abs(a - b), 0) / fillet
    return np.minimum(np.minimum(a, b) - blend**2 * fillet / 4, plinth_distance(points))


def gradient(points: np.ndarray, step: float = 1e-4) -> np.ndarray:
    """Gradient (N, 3) of `distance` by central differences; on the surface it points outwards."""
    columns = [distance(points + step * axis) - distance(points - step * axis) for axis in np.eye(3)]
    return np.stack(columns, axis=1) / (2 * step)


def normals(points: np.ndarray) -> np.ndarray:
    """Outward unit normals (N, 3)."""
    vectors = gradient(points)
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


def project(points: np.ndarray, steps: int = 4) -> np.ndarray:
    """Points (N, 3) near the surface, moved onto it by Newton steps.

    The gradient is not of unit length everywhere: the fillet's is shorter.
    """
    for _ in range(steps):
        slope = gradient(points)
        points = points - slope * (distance(points) / np.maximum(np.sum(slope**2, axis=1), 0.1))[:, None]
    return points


def surface_points(count: int, rng: np.random.Generator) -> np.ndarray:
    """`count` points (N, 3) on the surface: random points of a thin layer around it, projected onto it."""
    low, high, layer, kept, total = np.array([-0.8, -0.8, -0.65]), np.array([0.8, 0.8, 1.3]), 0.02, [], 0
    while total < count:
        points = rng.uniform(low, high, (200_000, 3))
        points = points[np.abs(distance(points)) < layer]
        points = project(points)
        points = points[np.abs(distance(points)) < 1e-6]
        kept.append(points)
        total += len(points)
    return np.concatenate(kept)[:count]


def colors(points: np.ndarray) -> np.ndarray:
    """Colors (N, 3) uint8: enamel that runs along the ribbon, bronze column, veined stone plinth."""
    ribbon, place = ribbon_distance(points)
    stops = np.array([[18, 60, 140], [10, 150, 170], [245, 190, 60], [225, 80, 50], [120, 30, 110], [18, 60, 140]])
    at = place * (len(stops) - 1)
    low = np.floor(at).astype(int)
    enamel = stops[low] + (stops[low + 1] - stops[low]) * (at - low)[:, None]
    bronze = np.array([150, 98, 48]) * (0.85 + 0.15 * np.sin(60 * points[:, 2]))[:, None]
    vein = np.abs(np.sin(9 * points[:, 0] + 5 * points[:, 1] + 2.5 * np.sin(7 * points[:, 2] + 6 * points[:, 1])))
    stone = np.array([120, 118, 125]) + np.array([110, 108, 100]) * np.sqrt(vein)[:, None]
    part = np.argmin(np.stack([ribbon, column_distance(points), plinth_distance(points)], axis=1), axis=1)
    chosen = np.choose(part[:, None], [enamel, bronze, stone])
    return np.clip(np.round(chosen), 0, 255).astype(np.uint8)
