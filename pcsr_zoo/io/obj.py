"""OBJ meshes: vertices (with colors if their lines have six numbers) and faces, in float64.

Open3D's reader is not used: it rounds UTM coordinates to float32 and rejects vertices without faces.
"""

from __future__ import annotations

from os import PathLike
from pathlib import Path

import numpy as np

from ..cloud import COLORS, NORMALS, Cloud
from ..errors import FileError
from .columns import normalized_colors
from .files import read_bytes
from .trimesh import Mesh, fan_triangles


def read_obj(path: str | PathLike[str]) -> Cloud | Mesh:
    """Read a mesh, or a cloud if there are no faces. Materials and textures are not read.

    Normals are read from a file without faces that has one for each vertex.

    Raises:
        FileError: the file cannot be read; the message names the line.
    """
    path = Path(path)
    text = read_bytes(path).decode("utf-8", "replace").replace("\\\n", " ").replace("\\\r\n", " ")
    vertices: list[list[float]] = []
    normals: list[list[float]] = []
    polygons: list[list[int]] = []
    known = False
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        try:
            if words[0] == "v":
                vertices.append([float(word) for word in words[1:]])
                if len(words) < 4:
                    raise ValueError
            elif words[0] == "vn":
                normals.append([float(word) for word in words[1:4]])
            elif words[0] == "f":
                polygons.append(_corners(words[1:], len(vertices)))
        except ValueError:
            raise FileError(f"{path}, line {number}: not an OBJ vertex or face: '{line[:60]}'") from None
        known = known or words[0] in ("v", "f", "vn", "vt", "o", "g", "mtllib", "usemtl")
    if not known:
        raise FileError(f"{path} is not an OBJ file: no line is an OBJ record")
    highest = max((max(polygon, default=0) for polygon in polygons), default=-1)
    if highest >= max(len(vertices), 1):
        raise FileError(
            f"{path}: a face refers to vertex {highest + 1}, but there are only {len(vertices)}; is it truncated?"
        )
    attributes = {}
    if vertices and all(len(row) >= 6 for row in vertices):
        colors = normalized_colors(np.array([row[3:6] for row in vertices]))
        if colors is not None:
            attributes[COLORS] = colors
    if not polygons and len(normals) == len(vertices) and all(len(row) == 3 for row in normals):
        attributes[NORMALS] = np.array(normals).reshape(-1, 3)
    positions = np.array([row[:3] for row in vertices]).reshape(-1, 3)
    cloud = Cloud(positions, attributes, {"format": "OBJ", "encoding": "ascii"})
    triangles = fan_triangles([np.array(polygon, np.int64) for polygon in polygons])
    return Mesh(cloud, triangles) if len(triangles) else cloud


def _corners(words: list[str], vertices: int) -> list[int]:
    """Vertex numbers from 0, from words such as '7', '7/1', '7/1/3', '7//3': from 1, or negative from the end."""
    corners = [int(word.split("/", 1)[0]) for word in words]
    corners = [corner + vertices if corner < 0 else corner - 1 for corner in corners]
    if any(corner < 0 for corner in corners):  # a 0, or a negative number before the first vertex
        raise ValueError
    return corners
