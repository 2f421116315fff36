"""Mesh files (OBJ and OFF with our own readers, STL and glTF with Open3D), and sampling of points from a surface."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

import numpy as np

from .._open3d import import_open3d
from ..cloud import COLORS, NORMALS, Cloud
from ..errors import FileError, OptionError
from .columns import colors_as_uint8
from .files import readable_file
from .obj import read_obj
from .off import read_off
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
    readers = {".ply": read_ply, ".obj": read_obj, ".off": read_off}
    suffix = path.suffix.lower()
    if suffix not in readers and suffix not in (".stl", ".glb", ".gltf"):
        raise FileError(f"{path}: '{suffix}' is not a mesh format; use .ply, .obj, .off, .stl, .glb or .gltf")
    found = readers.get(suffix, read_with_open3d)(path)
    if isinstance(found, Cloud):
        raise FileError(f"{path} has no faces; a mesh is required here")
    return found.vertices.positions, found.triangles


def read_with_open3d(path: str | PathLike[str]) -> Mesh:
    """Read a mesh with Open3D, whose readers return an empty mesh for a broken file.

    Raises:
        FileError: Open3D finds no triangle in the file.
    """
    path = readable_file(path)
    o3d = import_open3d()
    with o3d.utility.VerbosityContextManager(o3d.utility.VerbosityLevel.Error):
        mesh = o3d.io.read_triangle_mesh(str(path))
    triangles = np.asarray(mesh.triangles).astype(np.int64)
    if not len(triangles):
        raise FileError(f"{path}: Open3D found no triangles; the file is broken, truncated, or has no mesh")
    attributes = {}
    if mesh.has_vertex_normals():
        attributes[NORMALS] = np.asarray(mesh.vertex_normals).astype(np.float32)
    if mesh.has_vertex_colors():
        attributes[COLORS] = colors_as_uint8(np.asarray(mesh.vertex_colors))
    metadata = {"format": path.suffix[1:].upper(), "encoding": "mesh", "position_dtype": "float32"}
    return Mesh(Cloud(np.asarray(mesh.vertices).copy(), attributes, metadata), triangles)


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
