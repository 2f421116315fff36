"""Dual contouring (Ju et al. 2002): the zero level of a function as a triangle mesh that keeps creases and corners.

Each grid cell that the surface crosses has one vertex, which minimizes the distances to the tangent planes at the
cell's crossed edges. Each crossed edge has one quad, of the vertices of the four cells around it. Marching cubes would
cut off all creases.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Function = Callable[[np.ndarray], np.ndarray]  # points (N, 3) -> values (N,), negative inside

_BLOCK = 4  # fine cells along an edge of a coarse cell
_BISECTIONS = 4
_SHARP = 0.1  # least eigenvalue, beside the largest, of a direction in which the tangent planes really differ


def dual_contour(
    function: Function, low: np.ndarray, high: np.ndarray, resolution: int = 128, steepness: float = 2.0
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Vertices (V, 3) and triangles (F, 3) of {function = 0}, their normals towards positive values.

    Args:
        function: changes by at most `steepness` per unit of length (a signed distance: 1); with less, parts get lost.
        low, high: (3,) corners of a box around the surface; nothing is drawn on the box's own faces.
        resolution: cells along the box's longest edge, rounded up to a multiple of 4.
        steepness: a bound of the slope; blocks of cells farther from zero than it allows are not looked at.
    """
    low, high = np.asarray(low, np.float64), np.asarray(high, np.float64)
    step = float((high - low).max()) / resolution
    blocks = np.ceil((high - low) / (step * _BLOCK)).astype(int)
    values = _sample(function, low, step, blocks, steepness)
    cells, points, normals, quads, up = _edges(function, values, low, step)

    used, index = np.unique(cells, return_inverse=True)
    index = index.reshape(cells.shape)
    corner = np.stack(np.unravel_index(used, values.shape), axis=1) * step + low
    vertices = _minimize(function, corner, step, index, points, normals)
    quads = index[quads]
    quads[~up] = quads[~up][:, ::-1]
    return _triangulate(vertices, quads, normals)


def _sample(function: Function, low: np.ndarray, step: float, blocks: np.ndarray, steepness: float) -> np.ndarray:
    """The function's values on the grid, never zero. In blocks far from the surface, only the sign is right."""
    centers = np.stack(np.meshgrid(*[np.arange(n) + 0.5 for n in blocks], indexing="ij"), axis=-1) * (_BLOCK * step)
    coarse = function(centers.reshape(-1, 3) + low).reshape(blocks)
    near = np.abs(coarse) <= steepness * np.sqrt(3) / 2 * _BLOCK * step * 1.01
    shape = blocks * _BLOCK + 1
    values = np.empty(shape)
    values[:-1, :-1, :-1] = coarse.repeat(_BLOCK, 0).repeat(_BLOCK, 1).repeat(_BLOCK, 2)
    for axis in range(3):
        last = [slice(None)] * 3
        before = [slice(None)] * 3
        last[axis], before[axis] = slice(-1, None), slice(-2, -1)
        values[tuple(last)] = values[tuple(before)]
    wanted = np.zeros(shape, bool)
    fine = near.repeat(_BLOCK, 0).repeat(_BLOCK, 1).repeat(_BLOCK, 2)
    for offset in np.ndindex(2, 2, 2):
        wanted[tuple(slice(o, o + n) for o, n in zip(offset, fine.shape, strict=True))] |= fine
    places = np.argwhere(wanted)
    values[wanted] = function(places * step + low)
    values[values == 0] = 1e-12
    return values


def _edges(
    function: Function, values: np.ndarray, low: np.ndarray, step: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """All crossed edges: cells (4 E,) around them, crossings (E, 3), unit normals (E, 3), quads (E, 4), up (E,)."""
    stride = np.array([values.shape[1] * values.shape[2], values.shape[2], 1])
    starts, steps, around = [], [], []
    for axis in range(3):
        size = np.array(values.shape) - (np.arange(3) == axis)
        first = values[tuple(slice(0, n) for n in size)]
        second = values[tuple(slice(int(a == axis), None) for a in range(3))]
        place = np.argwhere((first < 0) != (second < 0))
        u, v = (axis + 1) % 3, (axis + 2) % 3
        inner = (place[:, [u, v]] > 0).all(axis=1) & (place[:, [u, v]] < np.array(values.shape)[[u, v]] - 1).all(axis=1)
        place = place[inner]
        starts.append(place)
        steps.append(np.broadcast_to(np.eye(3)[axis], place.shape))
        here = place @ stride
        around.append(np.stack([here - stride[u] - stride[v], here - stride[v], here, here - stride[u]], axis=1))
    start, direction, cells = np.concatenate(starts), np.concatenate(steps) * step, np.concatenate(around)
    below = values.ravel()[start @ stride] < 0
    origin = start * step + low
    left, right = np.zeros(len(origin)), np.ones(len(origin))
    for _ in range(_BISECTIONS):
        middle = (left + right) / 2
        same = (function(origin + middle[:, None] * direction) < 0) == below
        left, right = np.where(same, middle, left), np.where(same, right, middle)
    a, b = function(origin + left[:, None] * direction), function(origin + right[:, None] * direction)
    share = np.abs(a) / np.maximum(np.abs(a) + np.abs(b), 1e-300)
    points = origin + (left + share * (right - left))[:, None] * direction
    normals = gradient(function, points, 1e-3 * step)
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    return cells.ravel(), points, normals, np.arange(4 * len(points)).reshape(-1, 4), below


def gradient(function: Function, points: np.ndarray, step: float) -> NDArray[np.float64]:
    """Gradient (N, 3) by central differences."""
    return np.stack([function(points + step * e) - function(points - step * e) for e in np.eye(3)], axis=1) / (2 * step)


def _minimize(
    function: Function, corner: np.ndarray, step: float, index: np.ndarray, points: np.ndarray, normals: np.ndarray
) -> NDArray[np.float64]:
    """The vertex (C, 3) of each cell: closest to all tangent planes; if they are degenerate, to the crossings' mean."""
    count = len(corner)
    rows = np.repeat(np.arange(len(points)), 4)

    def total(columns: np.ndarray) -> np.ndarray:
        flat = columns.reshape(len(points), -1)[rows]
        sums = [np.bincount(index, flat[:, c], count) for c in range(flat.shape[1])]
        return np.stack(sums, axis=1).reshape(count, *columns.shape[1:])

    mean = total(points) / np.bincount(index, minlength=count)[:, None]
    planes = total(normals[:, :, None] * normals[:, None, :])
    offset = total(normals * (normals * points).sum(axis=1, keepdims=True)) - np.einsum("nij,nj->ni", planes, mean)
    size, axes = np.linalg.eigh(planes)
    firm = size > _SHARP * size[:, -1:]
    inverse = np.where(firm, 1 / np.where(firm, size, 1), 0)
    vertices = mean + np.einsum("nij,nj,nkj,nk->ni", axes, inverse, axes, offset)
    smooth = firm.sum(axis=1) == 1
    for _ in range(2):  # on a smooth piece the planes only touch the surface: go there
        slope = gradient(function, vertices[smooth], 1e-3 * step)
        length = np.maximum((slope**2).sum(axis=1), 0.05)
        vertices[smooth] -= slope * (function(vertices[smooth]) / length)[:, None]
    return np.clip(vertices, corner, corner + step)


def _triangulate(
    vertices: np.ndarray, quads: np.ndarray, normals: np.ndarray
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Split each quad along the diagonal whose triangles fit the surface's normals (E, 3) better."""

    def facing(triangles: np.ndarray) -> np.ndarray:
        a, b, c = (vertices[triangles[..., k]] for k in range(3))
        normal = np.cross(b - a, c - a)
        length = np.linalg.norm(normal, axis=-1)
        return np.where(length > 0, (normal * normals[:, None]).sum(axis=-1) / np.where(length > 0, length, 1), 1.0)

    one = quads[:, [[0, 1, 2], [0, 2, 3]]]
    two = quads[:, [[0, 1, 3], [1, 2, 3]]]
    better = facing(two).min(axis=1) > facing(one).min(axis=1) + 1e-9
    return vertices, np.where(better[:, None, None], two, one).reshape(-1, 3)
