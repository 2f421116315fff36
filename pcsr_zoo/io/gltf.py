"""glTF 2.0 (.glb and .gltf): meshes by Open3D, whose reader trusts every length, and clouds of points by our own."""

from __future__ import annotations

import base64
import binascii
import json
import struct
from os import PathLike
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np

from ..cloud import COLORS, NORMALS, Cloud
from ..errors import FileError
from .columns import normalized_colors
from .files import read_bytes, readable_file
from .limits import check_expansion
from .open3d_meshes import read_with_open3d
from .trimesh import Mesh

_JSON, _BIN = 0x4E4F534A, 0x004E4942
_TYPES = {5120: "<i1", 5121: "<u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
_WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT2": 4, "MAT3": 9, "MAT4": 16}
_DEPTH = 64  # of nested nodes


def read_gltf(path: str | PathLike[str]) -> Cloud | Mesh:
    """Read a mesh; or the points (mode 0) of a file without triangles, in the frame of the scene.

    Raises:
        FileError: a length or an index does not fit the file; or it has neither triangles nor points.
    """
    path = readable_file(path)
    data = read_bytes(path)
    try:
        document, body = _parts(data, path)
        buffers = [_buffer(entry, i, body, path) for i, entry in enumerate(document.get("buffers", []))]
        reader = _Reader(document, buffers, path)
        reader.check()
        modes = {p.get("mode", 4) for mesh in document.get("meshes", []) for p in mesh.get("primitives", [])}
        if modes & {4, 5, 6} or modes != {0}:
            return read_with_open3d(path)
        return reader.points()
    except FileError:
        raise
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, struct.error, RecursionError) as error:
        raise FileError(f"{path} is not a glTF 2.0 file, or is broken: {type(error).__name__} {error}") from None


def _parts(data: bytes, path: Path) -> tuple[dict[str, Any], bytes | None]:
    """The document and the binary chunk, if any."""
    if data[:4] != b"glTF":
        return json.loads(data.decode("utf-8")), None
    at, document, body = 12, None, None
    if len(data) < 12 or struct.unpack_from("<I", data, 4)[0] != 2:
        raise ValueError("its version is not 2")
    while at + 8 <= len(data):
        length, kind = struct.unpack_from("<II", data, at)
        at += 8
        if at + length > len(data):
            raise FileError(f"{path} is truncated or broken: a chunk of {length:,} bytes does not fit into the file")
        if kind == _JSON and document is None:
            document = json.loads(data[at : at + length].decode("utf-8"))
        elif kind == _BIN and body is None:
            body = data[at : at + length]
        at += length
    if not isinstance(document, dict):
        raise ValueError("it has no JSON chunk")
    return document, body


def _buffer(entry: dict[str, Any], index: int, body: bytes | None, path: Path) -> bytes:
    uri = entry.get("uri")
    if uri is None:
        if index or body is None:
            raise ValueError(f"buffer {index} has no data")
        found = body
    elif uri.startswith("data:"):
        try:
            found = base64.b64decode(uri.partition(",")[2], validate=True)
        except binascii.Error as error:
            raise ValueError(f"buffer {index}: {error}") from None
    else:
        name = unquote(uri)
        if "://" in name or Path(name).is_absolute() or ".." in Path(name).parts:
            raise FileError(f"{path}: buffer {index} is not a file beside it: '{name[:80]}'")
        found = read_bytes(path.parent / name)
    if not 0 <= entry["byteLength"] <= len(found):
        raise FileError(
            f"{path} is truncated or broken: buffer {index} has {len(found)} of {entry['byteLength']} bytes"
        )
    return found


class _Reader:
    def __init__(self, document: dict[str, Any], buffers: list[bytes], path: Path) -> None:
        self.document, self.buffers, self.path = document, buffers, path

    def check(self) -> None:
        """Check every accessor, and every index of a primitive, against the data."""
        accessors = self.document.get("accessors", [])
        size = sum(map(len, self.buffers)) + 1
        wanted = 0
        for accessor in accessors:
            width = np.dtype(_TYPES[accessor["componentType"]]).itemsize * _WIDTHS[accessor["type"]]
            if not isinstance(accessor["count"], int) or accessor["count"] < 0:
                raise ValueError(f"an accessor has the count {accessor['count']!r}")
            wanted += width * accessor["count"]
            if "bufferView" in accessor:
                self._place(accessor, width)
        check_expansion(self.path, wanted, size, "its accessors")
        for mesh in self.document.get("meshes", []):
            for primitive in mesh.get("primitives", []):
                counts = [accessors[_index(i)]["count"] for i in primitive.get("attributes", {}).values()]
                if counts and max(counts) != min(counts):
                    raise ValueError("the attributes of a mesh have different numbers of vertices")
                if "indices" in primitive and "bufferView" in (entry := accessors[_index(primitive["indices"])]):
                    if entry["type"] != "SCALAR" or _TYPES[entry["componentType"]] not in ("<u1", "<u2", "<u4"):
                        raise ValueError("indices must be unsigned integers")
                    highest = int(self.values(_index(primitive["indices"])).max(initial=0))
                    have = min(counts, default=0)
                    if entry["count"] and highest >= have:
                        raise FileError(f"{self.path}: a face refers to vertex {highest}, but there are only {have}")

    def _place(self, accessor: dict[str, Any], width: int) -> tuple[bytes, int, int]:
        """The buffer, the first byte, and the bytes from one element to the next."""
        view = self.document["bufferViews"][_index(accessor["bufferView"])]
        buffer = self.buffers[_index(view["buffer"])]
        begin, length = view.get("byteOffset", 0), view["byteLength"]
        start, step = accessor.get("byteOffset", 0), view.get("byteStride", width)
        if min(begin, length, start) < 0 or step < width or step > 252 + width or begin + length > len(buffer):
            raise ValueError("a buffer view does not fit its buffer")
        if accessor["count"] and start + (accessor["count"] - 1) * step + width > length:
            raise ValueError("an accessor does not fit its buffer view")
        return buffer, begin + start, step

    def values(self, index: int) -> np.ndarray:
        """The values (N, C) of an accessor; normalized integers as floats in [0, 1], except for bytes."""
        accessor = self.document["accessors"][index]
        if "sparse" in accessor or "bufferView" not in accessor:
            raise FileError(f"{self.path} has sparse accessors, which are not supported; convert it to .ply")
        kind, count = np.dtype(_TYPES[accessor["componentType"]]), _WIDTHS[accessor["type"]]
        buffer, start, step = self._place(accessor, kind.itemsize * count)
        shape = (accessor["count"], count)
        return (
            np.ndarray(shape, kind, buffer, start, (step, kind.itemsize)).copy() if shape[0] else np.empty(shape, kind)
        )

    def points(self) -> Cloud:
        """All points of the scene, in its frame."""
        scenes = self.document.get("scenes", [])
        nodes = self.document.get("nodes", [])
        roots = scenes[_index(self.document.get("scene", 0))].get("nodes", []) if scenes else range(len(nodes))
        clouds = [cloud for root in roots for cloud in self._clouds(_index(root), np.eye(4), 0)]
        if not clouds:
            raise FileError(f"{self.path} has no triangles and no points in its scene")
        return Cloud.concatenate(clouds)

    def _clouds(self, number: int, parent: np.ndarray, depth: int) -> list[Cloud]:
        if depth > _DEPTH:
            raise ValueError("its nodes are nested too deeply, or in a circle")
        node = self.document["nodes"][number]
        frame = parent @ _matrix(node)
        out = []
        if "mesh" in node:
            for primitive in self.document["meshes"][_index(node["mesh"])]["primitives"]:
                out.append(self._cloud(primitive["attributes"], frame))
        for child in node.get("children", []):
            out += self._clouds(_index(child), frame, depth + 1)
        return out

    def _cloud(self, names: dict[str, int], frame: np.ndarray) -> Cloud:
        positions = self.values(_index(names["POSITION"])).astype(np.float64) @ frame[:3, :3].T + frame[:3, 3]
        attributes = {}
        if "NORMAL" in names:
            normals = self.values(_index(names["NORMAL"])) @ np.linalg.inv(frame[:3, :3])
            attributes[NORMALS] = normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-300)
        if "COLOR_0" in names:
            colors = normalized_colors(self.values(_index(names["COLOR_0"])))
            if colors is not None:
                attributes[COLORS] = colors[:, :3]
                if colors.shape[1] == 4 and (colors[:, 3] != colors[:1, 3]).any():
                    attributes["alpha"] = colors[:, 3]
        metadata = {"format": self.path.suffix[1:].upper(), "encoding": "binary", "position_dtype": "float32"}
        return Cloud(positions, attributes, metadata)


def _index(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"{value!r} is not an index")
    return value


def _matrix(node: dict[str, Any]) -> np.ndarray:
    """The transformation (4, 4) of a node: a matrix by columns, or scale, rotation (x, y, z, w) and translation."""
    if "matrix" in node:
        return np.array(node["matrix"], np.float64).reshape(4, 4).T
    from scipy.spatial.transform import Rotation

    out = np.eye(4)
    quaternion = np.array(node.get("rotation", [0, 0, 0, 1]), np.float64)
    turn = Rotation.from_quat(quaternion).as_matrix() if quaternion.any() else np.eye(3)
    out[:3, :3] = turn * np.array(node.get("scale", [1, 1, 1]), np.float64)
    out[:3, 3] = node.get("translation", [0, 0, 0])
    return out
