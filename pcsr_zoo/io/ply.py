"""PLY files: clouds and meshes, ascii and binary, with any properties."""

from __future__ import annotations

import logging
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from ..cloud import COLORS, Cloud
from ..errors import CloudError, FileError
from .atomic import atomic_path
from .columns import Columns, cloud_from_columns, colors_as_uint8, columns_from_cloud, float32_is_enough
from .files import read_bytes
from .ply_body import Elements, parse_body
from .ply_header import Header, parse_header
from .recovery_note import KEY, MARK, note_of, note_to_text, split_comments
from .trimesh import Mesh, fan_triangles, strip_triangles

_NAMES = {
    **{"i1": "char", "u1": "uchar", "i2": "short", "u2": "ushort", "i4": "int", "u4": "uint"},
    **{"f4": "float", "f8": "double", "i8": "int64", "u8": "uint64"},
}
_log = logging.getLogger("pcsr_zoo")


def read_ply(path: str | PathLike[str]) -> Cloud | Mesh:
    """Read the vertices with all scalar properties; the result is a `Mesh` if the file has faces.

    Properties become attributes, see `columns`. Comments and obj_info are in `metadata["ply"]`, a recovery note is in
    `metadata["pcsr"]`. Vertex lists of different lengths, and elements other than vertices and faces, are not read.

    Raises:
        FileError: the file is not a PLY file, is truncated, or has wrong counts.
    """
    path = Path(path)
    data = read_bytes(path)
    header = parse_header(data, path)
    elements = parse_body(data, header, path)
    if "vertex" not in elements:
        raise FileError(f"{path}: the PLY header has no element 'vertex'")
    columns = {name: values for name, values in elements["vertex"].items() if isinstance(values, np.ndarray)}
    types = {p.name: p.type for element in header.elements if element.name == "vertex" for p in element.properties}
    _restore_float32(columns, types)
    if lists := [name for name in elements["vertex"] if name not in columns]:
        _log.warning("%s: the lists %s of the vertices have different lengths and are left out", path, ", ".join(lists))
    try:
        cloud = cloud_from_columns(columns, _metadata(header, types, path))
    except CloudError as error:
        raise FileError(f"{path}: {error}") from None
    triangles = _triangles(elements, len(cloud), path)
    return Mesh(cloud, triangles) if len(triangles) else cloud


def write_ply(
    cloud: Cloud, path: str | PathLike[str], overwrite: bool = True, triangles: np.ndarray | None = None
) -> None:
    """Write a binary little endian PLY file. Positions are double, or float if the source was float.

    With `triangles` (F, 3), rows of the cloud, the file has a mesh.

    Colors are uchar, the only type that most readers support, unless they were read from a PLY file with ushort.

    Raises:
        FileError: the file cannot be written, or an attribute does not fit.
    """
    path = Path(path)
    try:
        columns = columns_from_cloud(cloud)
    except CloudError as error:
        raise FileError(f"cannot write {path}: {error}") from None
    if cloud.metadata.get("format") != "PLY" and COLORS in cloud.attributes:
        columns.update({name: colors_as_uint8(columns[name]) for name in ("red", "green", "blue")})
    single = cloud.metadata.get("position_dtype") == "float32" and float32_is_enough(cloud.positions)
    fields = []
    for name, values in columns.items():
        values = values.astype(np.float32) if single and name in ("x", "y", "z") else _storable(values)
        columns[name] = values
        fields.append((name, values.dtype.newbyteorder("<").str[1:]))
    table = np.empty(len(cloud), np.dtype([(name, "<" + kind) for name, kind in fields]))
    for name, values in columns.items():
        table[name] = values
    said = cloud.metadata.get("ply", {})
    lines = ["ply", "format binary_little_endian 1.0"]
    lines += [f"comment {' '.join(text.split())}" for text in said.get("comments", [])]
    if note := note_of(cloud.metadata):
        lines.append(f"comment {MARK} {note_to_text(note)}")
    lines += [f"obj_info {' '.join(text.split())}" for text in said.get("obj_info", [])]
    lines += [
        f"element vertex {len(cloud)}",
        *(f"property {_NAMES[kind]} {name}" for name, kind in fields),
    ]
    faces = np.empty(0 if triangles is None else len(triangles), np.dtype([("count", "u1"), ("rows", "<i4", (3,))]))
    if triangles is not None:
        faces["count"], faces["rows"] = 3, triangles
        lines += [f"element face {len(triangles)}", "property list uchar int vertex_indices"]
    lines.append("end_header")
    with atomic_path(path, overwrite) as temporary, open(temporary, "wb") as handle:
        handle.write(("\n".join(lines) + "\n").encode("utf-8"))
        handle.write(table.tobytes())
        handle.write(faces.tobytes())


def _metadata(header: Header, types: dict[str, str], path: Path) -> dict[str, Any]:
    comments, note = split_comments(header.comments, str(path))
    return {
        **({KEY: note} if note else {}),
        "format": "PLY",
        "encoding": header.encoding,
        "position_dtype": "float64" if "f8" in (types.get("x"), types.get("y"), types.get("z")) else "float32",
        "ply": {"comments": comments, "obj_info": header.obj_info},
    }


def _restore_float32(columns: Columns, types: dict[str, str]) -> None:
    """Convert ascii columns, which are read as float64, to the declared type, except for positions."""
    for name, values in columns.items():
        if types[name] == "f4" and values.dtype == np.float64 and name.lower() not in ("x", "y", "z"):
            columns[name] = values.astype(np.float32)


def _triangles(elements: Elements, vertices: int, path: Path) -> np.ndarray:
    """(F, 3) int64 from the face lists, which become fans, and from triangle strips."""
    parts = [np.empty((0, 3), np.int64)]
    for element, split in (("face", fan_triangles), ("tristrips", strip_triangles)):
        lists = elements.get(element, {})
        polygons = next((lists[name] for name in ("vertex_indices", "vertex_index") if name in lists), None)
        if polygons is None:
            continue
        if isinstance(polygons, np.ndarray) and (polygons.ndim != 2 or polygons.dtype.kind == "f"):
            raise FileError(f"{path}: the vertex numbers of '{element}' must be lists of integers")
        parts.append(split(polygons))
    triangles = np.concatenate(parts)
    if triangles.size and not (triangles.min() >= 0 and triangles.max() < vertices):
        raise FileError(f"{path}: a face refers to vertex {triangles.max()}, but there are only {vertices}")
    return triangles


def _storable(values: np.ndarray) -> np.ndarray:
    """The values in a type that all readers of PLY know; int64 and uint64, which many do not, for what needs them."""
    if values.dtype.kind == "f":
        return values.astype(np.float32 if values.dtype.itemsize == 2 else np.float64 if values.itemsize > 4 else "f4")
    if values.dtype.itemsize < 8:
        return values
    low, high = (int(values.min()), int(values.max())) if values.size else (0, 0)
    if low >= -(2**31) and high < 2**31:
        return values.astype(np.int32)
    if low >= 0 and high < 2**32:
        return values.astype(np.uint32)
    return values.astype(np.float64) if max(-low, high) <= 2**53 else values
