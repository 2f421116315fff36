"""Writing of E57 with pye57: positions as float64, every attribute, and the scans and poses of the source."""

from __future__ import annotations

import uuid
from os import PathLike
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from ..cloud import COLORS, INTENSITY, NORMALS, Cloud
from ..errors import CloudError, FileError
from .atomic import atomic_path
from .columns import Columns, columns_from_cloud, free_name
from .e57 import CARTESIAN, INVALID, NORMAL_FIELDS, NOTE, RGB, SCAN, buffer_type, import_libe57
from .recovery_note import note_of, note_to_text

_NORMALS_URI = "http://www.libe57.org/E57_EXT_surface_normals.txt"
_OUR_URI = "https://pypi.org/project/pcsr-zoo/"
_INDICES = ("rowIndex", "columnIndex", "returnIndex", "returnCount", "timeStamp")
_STANDARD = (INTENSITY, *_INDICES, "isColorInvalid", "isIntensityInvalid", "isTimeStampInvalid")
_ENDS = ("Minimum", "Maximum")
_AT_ONCE = 1 << 18


def write_e57(cloud: Cloud, path: str | PathLike[str], overwrite: bool = True) -> None:
    """Write all points and attributes, float64 positions, and the scans and poses that an E57 source had.

    Raises:
        FileError: the file cannot be written, or an attribute is not numeric.
        DependencyError: pye57 is not installed.
    """
    path = Path(path)
    lib = import_libe57(path)
    try:
        cloud.validate(min_points=0)
        parts = _scans(cloud)
    except CloudError as error:
        raise FileError(f"cannot write {path}: {error}") from None
    with atomic_path(path, overwrite) as temporary:
        try:
            file = lib.ImageFile(str(temporary), "w")
            _write(lib, file, cloud, parts)
            file.close()  # not after an error: libE57Format then crashes when the writer of the points is deleted
        except (OSError, MemoryError, KeyboardInterrupt, SystemExit):
            raise
        except Exception as error:
            reason = str(error).split("\n")[0].strip()
            raise FileError(f"cannot write {path}: {reason}; check the path and the disk") from error


def _scans(cloud: Cloud) -> list[tuple[dict[str, Any], np.ndarray, Columns]]:
    """What is known of each scan, its positions in its own frame, and its fields."""
    known = cloud.metadata.get("e57", {}).get("scans", [])
    numbers = cloud.attributes.get(SCAN)
    if len(known) > 1 and numbers is not None and numbers.dtype.kind in "iu" and numbers.ndim == 1:
        inside = np.isin(numbers, np.arange(len(known)))
        if inside.all():
            rows = [np.flatnonzero(numbers == i) for i in range(len(known))]
            rest = {name: values for name, values in cloud.attributes.items() if name != SCAN}
            return [
                _in_frame(about, Cloud(cloud.positions[row], {name: values[row] for name, values in rest.items()}))
                for about, row in zip(known, rows, strict=True)
            ]
    if len(known) != 1:
        known = [{"pose": (np.eye(3), np.zeros(3)), "facts": {"name": "pcsr-zoo"}}]
    return [_in_frame(known[0], cloud)]


def _in_frame(about: dict[str, Any], part: Cloud) -> tuple[dict[str, Any], np.ndarray, Columns]:
    turn, shift = about["pose"]
    own = part.positions if np.array_equal(turn, np.eye(3)) and not shift.any() else (part.positions - shift) @ turn
    fields: Columns = {}
    attributes = dict(part.attributes)
    for name, fields_of in ((COLORS, RGB), (NORMALS, NORMAL_FIELDS)):
        if name in attributes:
            values = attributes[name]
            if name == COLORS and values.dtype.kind == "f":
                values = np.rint(np.clip(np.nan_to_num(values), 0, 1) * 65535).astype(np.uint16)
            fields.update(zip(fields_of, values.T[:3], strict=True))
            del attributes[name]
            if values.shape[1] > 3:
                attributes[free_name("alpha", attributes)] = values[:, 3]
    others = columns_from_cloud(Cloud(part.positions, attributes))
    for name, values in list(others.items())[3:]:
        standard = name in _STANDARD and (name not in _INDICES[:4] or values.dtype.kind in "iu")
        fields[name if standard else free_name("pcsr:" + _element(name), fields, clean=False)] = values
    return about, own, fields


def _element(name: str) -> str:
    """A name that XML allows."""
    text = "".join(mark if mark.isalnum() and mark.isascii() else "_" for mark in name)
    return text if text[:1].isalpha() else "a" + text


def _write(lib: ModuleType, file: Any, cloud: Cloud, parts: list[tuple[dict[str, Any], np.ndarray, Columns]]) -> None:
    root = file.root()
    file.extensionsAdd("", lib.E57_V1_0_URI)
    file.extensionsAdd("nor", _NORMALS_URI)
    file.extensionsAdd("pcsr", _OUR_URI)
    text, whole = lib.StringNode, lib.IntegerNode
    root.set("formatName", text(file, "ASTM E57 3D Imaging Data File"))
    root.set("guid", text(file, f"{{{uuid.uuid4()}}}"))
    root.set("versionMajor", whole(file, lib.E57_FORMAT_MAJOR))
    root.set("versionMinor", whole(file, lib.E57_FORMAT_MINOR))
    root.set("e57LibraryVersion", text(file, lib.E57_LIBRARY_ID))
    root.set("coordinateMetadata", text(file, cloud.metadata.get("e57", {}).get("coordinates", "")))
    if note := note_of(cloud.metadata):
        root.set(NOTE, text(file, note_to_text(note)))
    data = lib.VectorNode(file, True)
    root.set("data3D", data)
    root.set("images2D", lib.VectorNode(file, True))
    for about, positions, fields in parts:
        node = _structure(lib, file, {"guid": f"{{{uuid.uuid4()}}}", "name": "scan", **about["facts"]})
        node.set("pose", _pose_node(lib, file, *about["pose"]))
        if len(positions):
            corners = zip(_ENDS, (positions.min(axis=0), positions.max(axis=0)), strict=True)
            bounds = {axis + end: float(v) for end, corner in corners for axis, v in zip("xyz", corner, strict=True)}
            node.set("cartesianBounds", _structure(lib, file, bounds))
            for name, limits in _limits(fields).items():
                node.set(name, _structure(lib, file, limits))
        valid = np.zeros(len(positions), np.int8)  # no bits for each point; pye57 reads no scan without it
        own = dict(zip(CARTESIAN, positions.T, strict=True))
        _write_points(lib, file, data, node, {**own, INVALID: valid, **fields})


def _limits(fields: Columns) -> dict[str, dict[str, Any]]:
    """The ranges that readers scale colors and intensities by."""
    found: dict[str, dict[str, Any]] = {}
    if RGB[0] in fields:
        top = int(np.iinfo(fields[RGB[0]].dtype).max)
        found["colorLimits"] = {name + end: v for name in RGB for end, v in zip(_ENDS, (0, top), strict=True)}
    if INTENSITY in fields:
        values = fields[INTENSITY]
        finite = values[np.isfinite(values)]
        if finite.size:
            ends = (finite.min().item(), finite.max().item())
            found["intensityLimits"] = {INTENSITY + end: v for end, v in zip(_ENDS, ends, strict=True)}
    return found


def _structure(lib: ModuleType, file: Any, values: dict[str, Any]) -> Any:
    node = lib.StructureNode(file)
    for name, value in values.items():
        if isinstance(value, dict):
            node.set(name, _structure(lib, file, value))
        elif isinstance(value, str):
            node.set(name, lib.StringNode(file, value))
        else:
            node.set(name, lib.IntegerNode(file, value) if isinstance(value, int) else lib.FloatNode(file, value))
    return node


def _pose_node(lib: ModuleType, file: Any, turn: np.ndarray, shift: np.ndarray) -> Any:
    from scipy.spatial.transform import Rotation

    x, y, z, w = Rotation.from_matrix(turn).as_quat()
    node = lib.StructureNode(file)
    node.set("rotation", _structure(lib, file, {"w": float(w), "x": float(x), "y": float(y), "z": float(z)}))
    node.set("translation", _structure(lib, file, dict(zip("xyz", map(float, shift), strict=True))))
    return node


def _write_points(lib: ModuleType, file: Any, data: Any, node: Any, fields: Columns) -> None:
    prototype = lib.StructureNode(file)
    buffers: Columns = {}
    targets = lib.VectorSourceDestBuffer()
    count = len(fields[CARTESIAN[0]])
    for name, values in fields.items():
        buffers[name] = np.zeros(min(count, _AT_ONCE) or 1, buffer_type(_stored_type(values)))
        if buffers[name].dtype.kind == "f":
            single = buffers[name].dtype == np.float32
            precision = lib.FloatPrecision.E57_SINGLE if single else lib.FloatPrecision.E57_DOUBLE
            limit = float(np.finfo(buffers[name].dtype).max)
            prototype.set(name, lib.FloatNode(file, 0.0, precision, -limit, limit))
        else:
            if name == INVALID:
                prototype.set(name, lib.IntegerNode(file, 0, 0, 0))
                continue
            bounds = np.iinfo(values.dtype if values.dtype.kind in "iu" else np.uint8)
            low, high = max(bounds.min, -(2**63)), min(bounds.max, 2**63 - 1)
            prototype.set(name, lib.IntegerNode(file, 0, low, high))
    vector = lib.CompressedVectorNode(file, prototype, lib.VectorNode(file, True))
    node.set("points", vector)
    data.append(node)
    for name, values in buffers.items():
        targets.append(lib.SourceDestBuffer(file, name, values, len(values), True, True))
    writer = vector.writer(targets)
    for start in range(0, count, _AT_ONCE):
        stop = min(count, start + _AT_ONCE)
        for name, values in buffers.items():
            values[: stop - start] = fields[name][start:stop]
        writer.write(stop - start)
    writer.close()


def _stored_type(values: np.ndarray) -> np.dtype:
    if values.dtype.kind == "f":
        return np.dtype(np.float64 if values.dtype.itemsize > 4 else np.float32)
    if values.dtype.kind == "u" and values.dtype.itemsize == 8 and values.max(initial=0) > np.iinfo(np.int64).max:
        raise CloudError("an attribute has whole numbers above 2^63, which E57 does not store; delete it")
    return np.dtype(np.int64)
