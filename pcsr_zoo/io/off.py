"""OFF meshes, in all variants of the first lines that common data sets have.

ModelNet writes "OFF490 518 0" on one line, others write "OFF 490 518 0" or omit the word; Open3D rejects these. COFF,
NOFF and CNOFF add normals and colors to each vertex.
"""

from __future__ import annotations

import re
from os import PathLike
from pathlib import Path

import numpy as np

from ..cloud import COLORS, NORMALS, Cloud
from ..errors import FileError
from .columns import normalized_colors
from .files import read_bytes
from .trimesh import Mesh, fan_triangles

_Row = tuple[int, list[str]]  # the number of the line, and its words


def read_off(path: str | PathLike[str]) -> Cloud | Mesh:
    """Read a mesh, or a cloud if there are no faces.

    Vertices and faces are one to a line, or, in files without colors, separated in any way.

    Raises:
        FileError: a line is wrong or missing; the message names it.
    """
    path = Path(path)
    text = read_bytes(path).decode("utf-8", "replace")
    lines = [(number, line.split("#", 1)[0].strip()) for number, line in enumerate(text.splitlines(), start=1)]
    lines = [(number, line) for number, line in lines if line]
    magic = re.match(r"((?:ST|C|N|4|n)*)OFF", lines[0][1]) if lines else None
    kind = magic.group(1) if magic else ""
    if set(kind) & set("4n") or (lines and "BINARY" in lines[0][1]):
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
    words = lines[0][1].split()[3:]
    begun = [(lines[0][0], " ".join(words))] if words else []
    body = [(number, line.split()) for number, line in [*begun, *lines[1:]]]
    if len(body) < vertices + faces or any(len(words) > 32 for _, words in body[:vertices]):
        body = _one_to_a_row(path, body, vertices, faces, 3 + 3 * ("N" in kind))
    table = [_numbers(path, row, float) for row in body[:vertices]]
    if any(len(row) < 3 for row in table):
        row = next(row for row, values in zip(body, table, strict=False) if len(values) < 3)
        raise FileError(f"{path}, line {row[0]}: expected 3 numbers, found '{' '.join(row[1])[:60]}'")
    polygons = []
    for row in body[vertices : vertices + faces]:
        count = _numbers(path, (row[0], row[1][:1]), int)[0]
        if not 0 <= count < len(row[1]):
            raise FileError(f"{path}, line {row[0]}: expected {count + 1} numbers, found '{' '.join(row[1])[:60]}'")
        polygon = _numbers(path, (row[0], row[1][1 : 1 + count]), int)
        if polygon and not (min(polygon) >= 0 and max(polygon) < vertices):
            shown = " ".join(row[1])[:60]
            raise FileError(f"{path}, line {row[0]}: a vertex number is not from 0 to {vertices - 1}: '{shown}'")
        polygons.append(np.array(polygon, dtype=np.int64))
    cloud = Cloud(
        np.array([row[:3] for row in table]).reshape(-1, 3),
        _attributes(table, kind),
        {"format": "OFF", "encoding": "ascii"},
    )
    triangles = fan_triangles(polygons)
    return Mesh(cloud, triangles) if len(triangles) else cloud


def _attributes(table: list[list[float]], kind: str) -> dict[str, np.ndarray]:
    """Normals and colors, in this order after the position of each vertex."""
    attributes = {}
    at = 3
    if "N" in kind and all(len(row) >= 6 for row in table):
        attributes[NORMALS] = np.array([row[3:6] for row in table]).reshape(-1, 3)
        at = 6
    if "C" in kind and table and all(len(row) >= at + 3 for row in table):
        colors = normalized_colors(np.array([row[at : at + 3] for row in table]))
        if colors is not None:
            attributes[COLORS] = colors
    return attributes


def _one_to_a_row(path: Path, body: list[_Row], vertices: int, faces: int, width: int) -> list[_Row]:
    """The words of a file without regard to lines, as rows of `width` words and of faces."""
    words = [(number, word) for number, line in body for word in line]
    rows: list[_Row] = []
    at = 0
    while at < len(words) and len(rows) < vertices + faces:
        count = width
        if len(rows) >= vertices:
            count = 1 + max(0, _numbers(path, (words[at][0], [words[at][1]]), int)[0])
        if at + count > len(words):
            break
        rows.append((words[at][0], [word for _, word in words[at : at + count]]))
        at += count
    if len(rows) < vertices + faces:
        raise FileError(
            f"{path} is truncated: it has {len(body)} lines for the {vertices} vertices and {faces} faces in its header"
        )
    return rows


def _numbers(path: Path, row: _Row, kind: type) -> list:
    number, words = row
    try:
        return [kind(word) for word in words]
    except ValueError:
        raise FileError(f"{path}, line {number}: expected numbers, found '{' '.join(words)[:60]}'") from None
