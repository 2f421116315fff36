"""Meshes that Open3D reads: STL, and the triangles of glTF."""

from __future__ import annotations

from os import PathLike

import numpy as np

from .._open3d import import_open3d
from ..cloud import COLORS, NORMALS, Cloud
from ..errors import FileError
from .columns import colors_as_uint8
from .files import readable_file
from .trimesh import Mesh


def read_stl(path: str | PathLike[str]) -> Mesh:
    """Read an STL file with Open3D, after a check of the number of triangles in a binary one.

    Raises:
        FileError: the file is broken, or Open3D finds no triangle in it.
    """
    path = readable_file(path)
    with open(path, "rb") as handle:
        head = handle.read(84)
    size = path.stat().st_size
    count = int.from_bytes(head[80:84], "little")
    if not head.lstrip().startswith(b"solid") and (len(head) < 84 or 84 + 50 * count > size):
        raise FileError(f"{path} is truncated or not an STL file: {count:,} triangles do not fit into {size:,} bytes")
    return read_with_open3d(path)


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
