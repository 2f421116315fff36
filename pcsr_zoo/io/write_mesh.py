"""Writing of triangle meshes: PLY, OBJ and STL. Open3D's writers round positions to six digits, or to float32."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable
from os import PathLike
from pathlib import Path

import numpy as np

from ..cloud import NORMALS
from ..errors import FileError
from .atomic import atomic_path
from .columns import float32_is_enough
from .ply import write_ply
from .trimesh import Mesh

_log = logging.getLogger("pcsr_zoo")


def write_mesh(mesh: Mesh, path: str | PathLike[str], overwrite: bool = True) -> None:
    """Write a triangle mesh. The suffix selects the format. The file is written completely or not at all.

    PLY keeps all attributes of the vertices, OBJ keeps colors and normals, STL keeps the shape only, in float32.

    Raises:
        FileError: the suffix is unknown, the folder does not exist, the file cannot be written, or it exists and
            `overwrite` is False.
    """
    path = Path(path)
    if (writer := _WRITERS.get(path.suffix.lower())) is None:
        raise FileError(f"cannot write {path}: the suffix '{path.suffix}' is not one of {' '.join(MESH_SUFFIXES)}")
    writer(mesh, path, overwrite)


def _write_ply(mesh: Mesh, path: Path, overwrite: bool) -> None:
    write_ply(mesh.vertices, path, overwrite, mesh.triangles)


def _write_obj(mesh: Mesh, path: Path, overwrite: bool) -> None:
    text, columns, colors = io.BytesIO(), mesh.vertices.positions, mesh.vertices.colors_as_float()
    if colors is not None:
        columns = np.concatenate([columns, colors], axis=1)
    np.savetxt(text, columns, "v" + " %.12g" * 3 + " %.6g" * (columns.shape[1] - 3))
    corner = " %d"
    corners = mesh.triangles + 1
    if NORMALS in mesh.vertices.attributes:
        np.savetxt(text, mesh.vertices.attributes[NORMALS], "vn %.6g %.6g %.6g")
        corner, corners = " %d//%d", np.repeat(corners, 2, axis=1)
    np.savetxt(text, corners, "f" + corner * 3)
    _write_bytes(text.getvalue(), path, overwrite)


def _write_stl(mesh: Mesh, path: Path, overwrite: bool) -> None:
    if not float32_is_enough(mesh.vertices.positions):
        _log.warning("%s: STL stores positions in float32, which rounds these; use .ply or .obj", path)
    facets = np.zeros(len(mesh.triangles), np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("rest", "u2")]))
    corners = mesh.vertices.positions[mesh.triangles]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    facets["normal"] = normal / np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-300)
    facets["corners"] = corners
    _write_bytes(bytes(80) + np.uint32(len(facets)).tobytes() + facets.tobytes(), path, overwrite)


def _write_bytes(data: bytes, path: Path, overwrite: bool) -> None:
    with atomic_path(path, overwrite) as temporary:
        temporary.write_bytes(data)


_WRITERS: dict[str, Callable[[Mesh, Path, bool], None]] = {".ply": _write_ply, ".obj": _write_obj, ".stl": _write_stl}
MESH_SUFFIXES: tuple[str, ...] = tuple(_WRITERS)
