"""OFF meshes, in all variants of the first lines that common data sets have.

ModelNet writes "OFF490 518 0" on one line, others write "OFF 490 518 0" or omit the word; Open3D rejects these. COFF,
NOFF and CNOFF add columns to each vertex; only x, y and z are read.
"""

from __future__ import annotations

import re
from os import PathLike
from pathlib import Path

import numpy as np

from ..cloud import Cloud
from ..errors import FileError
from .files import read_bytes
from .trimesh import Mesh, fan_triangles


def read_off(path: str | PathLike[str]) -> Cloud | Mesh:
    """Read a mesh, or a cloud if there are no faces.

    Raises:
        FileError: a line is wrong or missing; the message names it.
    """
    path = Path(path)
    text = read_bytes(path).decode("utf-8", "replace")
    lines = [(number, line.split("#", 1)[0].strip()) for number, line in enumerate(text.splitlines(), start=1)]
    lines = [(number, line) for number, line in lines if line]
    magic = re.match(r"(ST|C|N|4|n)*OFF", lines[0][1]) if lines else None
    if (magic and "4" in magic.group()) or (lines and "BINARY" in lines[0][1]):
        raise FileError(f"{path}: binary and four-dimensional OFF files are not supported; convert it to PLY")
    if magic:
        number, line = lines[0]
        rest = line[magic.end() :].strip()
        lines = [(number, rest), *lines[1:]] if rest else lines[1:]
    try:
        vertices, faces = (int(word) for word in lines[0][1].split()[:2])
        if vertices < 0 or faces < 0:
            raise ValueError
    except (ValueError, IndexError):
        raise FileError(f"{path} is not an OFF file: it has no line with the numbers of vertices and faces") from None
    body = lines[1:]
    if len(body) < vertices + faces:
        raise FileError(
            f"{path} is truncated: it has {len(body)} lines for the {vertices} vertices and {faces} faces in its header"
        )
    positions = np.array([_numbers(path, row, 3, float) for row in body[:vertices]]).reshape(-1, 3)
    polygons = []
    for row in body[vertices : vertices + faces]:
        count = _numbers(path, row, 1, int)[0]
        polygon = _numbers(path, row, count + 1, int)[1:]
        if polygon and not (min(polygon) >= 0 and max(polygon) < vertices):
            raise FileError(f"{path}, line {row[0]}: a vertex number is not from 0 to {vertices - 1}: '{row[1][:60]}'")
        polygons.append(np.array(polygon, dtype=np.int64))
    cloud = Cloud(positions, metadata={"format": "OFF", "encoding": "ascii"})
    triangles = fan_triangles(polygons)
    return Mesh(cloud, triangles) if len(triangles) else cloud


def _numbers(path: Path, row: tuple[int, str], count: int, kind: type) -> list:
    """The first `count` numbers of a line."""
    number, line = row
    try:
        values = [kind(word) for word in line.split(None, count)[:count]]
    except ValueError:
        values = []
    if len(values) != count or count < 1:
        raise FileError(f"{path}, line {number}: expected {count} numbers, found '{line[:60]}'")
    return values
