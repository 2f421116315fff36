"""Marching tetrahedra: the zero level of a sampled function as a closed, indexed triangle mesh."""

from __future__ import annotations

from itertools import permutations

import numpy as np


def isosurface(values: np.ndarray, low: np.ndarray, step: float) -> tuple[np.ndarray, np.ndarray]:
    """Vertices (V, 3) and triangles (F, 3) of {values = 0}, its normals towards positive values.

    Every grid cell is cut into the six tetrahedra along its diagonal (Kuhn's subdivision), which fit across
    cell faces, so the mesh is watertight wherever the level set stays inside the grid.

    Args:
        values: (nx, ny, nz) samples, negative inside, none of them exactly zero.
        low: (3,) position of `values[0, 0, 0]`.
        step: distance between samples.
    """
    shape = np.array(values.shape)
    stride = np.array([shape[1] * shape[2], shape[2], 1])
    flat = values.ravel()
    cells = np.stack(np.meshgrid(*[np.arange(n - 1) for n in shape], indexing="ij"), axis=-1).reshape(-1, 3) @ stride
    corners = np.array(list(np.ndindex(2, 2, 2))) @ stride
    signs = flat[cells[:, None] + corners] < 0
    cells = cells[signs.any(axis=1) & ~signs.all(axis=1)]

    edges = []  # three grid edges (inside sample, outside sample) to a triangle
    for order in permutations(range(3)):
        tetrahedra = cells[:, None] + np.cumsum([0, *stride[list(order)]])
        below = flat[tetrahedra] < 0
        count = below.sum(axis=1)
        sorted_corners = np.take_along_axis(tetrahedra, np.argsort(~below, axis=1, kind="stable"), axis=1)
        a, b, c, d = sorted_corners.T  # the inside corners first
        for which, triangles in (
            (count == 1, [((a, b), (a, c), (a, d))]),
            (count == 3, [((a, d), (b, d), (c, d))]),
            (count == 2, [((a, c), (a, d), (b, d)), ((a, c), (b, d), (b, c))]),
        ):
            for triangle in triangles:
                edges.append(np.stack([np.stack([p[which], q[which]], axis=1) for p, q in triangle], axis=1))
    pairs = np.concatenate(edges)  # (F, 3, 2)
    unique, index = np.unique(pairs.reshape(-1, 2), axis=0, return_inverse=True)
    ends = np.stack(np.unravel_index(unique, values.shape), axis=-1) * step + low  # (V, 2, 3)
    inside, outside = flat[unique[:, 0]], flat[unique[:, 1]]
    vertices = ends[:, 0] + (inside / (inside - outside))[:, None] * (ends[:, 1] - ends[:, 0])
    triangles = index.reshape(-1, 3)

    # Orient every triangle so that its normal points from inside samples to outside samples.
    p, q, r = (vertices[triangles[:, i]] for i in range(3))
    grid_ends = np.stack(np.unravel_index(pairs, values.shape), axis=-1)
    outward = (grid_ends[:, :, 1] - grid_ends[:, :, 0]).sum(axis=1)
    wrong = np.sum(np.cross(q - p, r - p) * outward, axis=1) < 0
    triangles[wrong] = triangles[wrong][:, ::-1]
    return vertices, triangles
