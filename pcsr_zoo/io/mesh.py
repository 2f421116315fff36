"""Mesh files of all formats, and sampling of points from a surface."""

from __future__ import annotations

from collections.abc import Callable
from os import PathLike
from pathlib import Path

import numpy as np

from .._open3d import import_open3d
from ..cloud import COLORS, NORMALS, Cloud
from ..errors import FileError, OptionError
from .columns import colors_as_uint8
from .gltf import read_gltf
from .obj import read_obj
from .off import read_off
from .open3d_meshes import read_stl
from .ply import read_ply
from .trimesh import Mesh

DEFAULT_POINTS = 8192
_OPEN3D_LIMIT = 10_000  # its sample elimination takes 0.5 s for 8 k points and 13 s for 100 k
_ELIMINATION_LIMIT = 1_000_000  # ours takes 2.3 kB of memory per output point
_OVERSAMPLING = 4


def read_mesh(path: str | PathLike[str]) -> tuple[np.ndarray, np.ndarray]:
    """Read the surface in a PLY, OBJ, OFF, STL, GLB or GLTF file.

    Returns:
        Vertices (V, 3) float64 and triangles (F, 3) int64; polygons are split into triangle fans.

    Raises:
        FileError: the file cannot be read, has another format, or has no faces.
    """
    path = Path(path)
    readers: dict[str, Callable[[Path], Cloud | Mesh]] = {
        **{".ply": read_ply, ".obj": read_obj, ".off": read_off, ".stl": read_stl},
        **{".glb": read_gltf, ".gltf": read_gltf},
    }
    suffix = path.suffix.lower()
    if suffix not in readers:
        raise FileError(f"{path}: '{suffix}' is not a mesh format; use .ply, .obj, .off, .stl, .glb or .gltf")
    found = readers[suffix](path)
    if isinstance(found, Cloud):
        raise FileError(f"{path} has no faces; a mesh is required here")
    return found.vertices.positions, found.triangles


def sample_mesh(mesh: Mesh, points: int = DEFAULT_POINTS, seed: int = 0, name: str = "the mesh") -> Cloud:
    """Sample points evenly from the surface, with interpolated normals and colors if the vertices have them.

    Up to 10,000 points are drawn by Poisson-disk sampling (Yuksel's sample elimination) in Open3D. For more, 4 times as
    many uniform random points are thinned by our own sample elimination, and above a million points by farthest point
    sampling. The result depends on the seed only.

    Args:
        mesh: the mesh.
        points: number of points.
        seed: seed of the random numbers.
        name: the name of the mesh in messages, such as its path.

    Raises:
        OptionError: `points` is not positive.
        FileError: the surface has no area.
    """
    if points < 1:
        raise OptionError(f"points must be at least 1, got {points}")
    o3d = import_open3d()
    vertices = mesh.vertices.validate(name)
    center = vertices.positions.mean(axis=0)  # areas far from the origin are inaccurate
    surface = o3d.geometry.TriangleMesh(
        o3d.utility.Vector3dVector(vertices.positions - center),
        o3d.utility.Vector3iVector(mesh.triangles.astype(np.int32)),
    )
    if NORMALS in vertices.attributes:
        surface.vertex_normals = o3d.utility.Vector3dVector(vertices.attributes[NORMALS].astype(np.float64))
    if (colors := vertices.colors_as_float()) is not None:
        surface.vertex_colors = o3d.utility.Vector3dVector(colors)
    area = surface.get_surface_area()
    if not (np.isfinite(area) and area > 0):
        raise FileError(f"{name}: the faces have no area, so no points can be sampled from them")
    o3d.utility.random.seed(seed)
    if points <= _OPEN3D_LIMIT:
        drawn = surface.sample_points_poisson_disk(points)
    else:
        drawn = surface.sample_points_uniformly(_OVERSAMPLING * points)
    cloud = Cloud.from_open3d(drawn)
    if len(cloud) > points:
        cloud = cloud[_thin(cloud.positions, points, area, seed)]
    if NORMALS in cloud.attributes:
        normals = cloud.attributes[NORMALS]
        length = np.linalg.norm(normals, axis=1, keepdims=True)
        cloud.attributes[NORMALS] = (normals / np.where(length > 0, length, 1)).astype(np.float32)
    if COLORS in cloud.attributes:
        cloud.attributes[COLORS] = colors_as_uint8(cloud.attributes[COLORS])
    metadata = {**vertices.metadata, "mesh": {"vertices": len(vertices), "triangles": len(mesh.triangles)}}
    return Cloud(cloud.positions + center, cloud.attributes, metadata)


def _thin(positions: np.ndarray, points: int, area: float, seed: int) -> np.ndarray:
    """Sorted indices (points,) of an even subset."""
    if points <= _ELIMINATION_LIMIT:
        from ..geometry.elimination import eliminate

        return eliminate(positions, points, area)
    from ..geometry.fps import farthest_point_sample

    return np.sort(farthest_point_sample(positions, points, seed=seed))
