"""Distance from points to a triangle mesh (the field's P2F, point-to-face, or P2M)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._open3d import import_open3d
from .nearest import as_points
from .surface import as_surface


def point_to_surface(points: Any, mesh: Any, *, chunk: int = 1_000_000) -> NDArray[np.float64]:
    """The Euclidean distance of each point to the nearest point of the mesh: (N,), in the input's unit.

    Open3D's ray-casting scene computes in float32. The mesh and the points are therefore centered and scaled by the
    mesh in float64 first, and the result is scaled back. Its error is about 1e-7 of the mesh's size, also far from the
    origin.

    Args:
        points: a cloud of (N, 3) points.
        mesh: a path, a `Surface`, (vertices (V, 3), triangles (T, 3)), or a legacy Open3D mesh.
        chunk: points per query, which bounds the extra memory.

    Raises:
        CloudError: points or mesh are empty or not finite.
        FileError: the mesh file cannot be read.
    """
    points = as_points(points, "the cloud")
    o3d, scene, center, scale = _scene(mesh)
    distances = np.empty(len(points))
    for start in range(0, len(points), chunk):
        part = slice(start, start + chunk)
        query = o3d.core.Tensor(((points[part] - center) / scale).astype(np.float32))
        distances[part] = scene.compute_distance(query).numpy()
    return distances * scale


def height_above(points: Any, mesh: Any, *, chunk: int = 1_000_000) -> NDArray[np.float64]:
    """The height of each point above the nearest place of the mesh straight above or below it: (N,), NaN for none.

    Args and errors are those of `point_to_surface`; z is up.
    """
    points = as_points(points, "the cloud")
    o3d, scene, center, scale = _scene(mesh)
    heights = np.empty(len(points))
    for start in range(0, len(points), chunk):
        part = slice(start, start + chunk)
        query = ((points[part] - center) / scale).astype(np.float32)
        down, up = (
            scene.cast_rays(
                o3d.core.Tensor(np.hstack([query, np.tile(np.array([0, 0, way], np.float32), (len(query), 1))]))
            )
            for way in (-1, 1)
        )
        below, above = down["t_hit"].numpy(), up["t_hit"].numpy()
        heights[part] = np.where(below <= above, below, -above)
    return np.where(np.isfinite(heights), heights * scale, np.nan)


def _scene(mesh: Any) -> tuple[Any, Any, NDArray[np.float64], float]:
    """Open3D, the scene of a mesh that is centered and scaled, and its center (3,) and scale."""
    surface = as_surface(mesh)
    used = surface.vertices[np.unique(surface.triangles)]  # unused vertices must not change the scale
    low, high = used.min(axis=0), used.max(axis=0)
    center = (low + high) / 2
    scale = float((high - low).max()) / 2 or 1.0
    o3d = import_open3d()
    scene = o3d.t.geometry.RaycastingScene()
    scene.add_triangles(
        o3d.core.Tensor(((surface.vertices - center) / scale).astype(np.float32)),
        o3d.core.Tensor(surface.triangles.astype(np.uint32)),
    )
    return o3d, scene, center, scale
