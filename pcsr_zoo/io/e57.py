"""E57 (ASTM E2807) with pye57 (optional: `pip install "pcsr-zoo[e57]"`).

All scans of a file become one cloud in the frame of the file: each scan's pose is applied in float64. If there are
several scans, the attribute `scan` has their numbers, and a file that is written has the same scans with the same
poses. Points that the scanner marks as invalid are left out. Every field of the points is kept, also those of
extensions, under its name in the file; normals and colors become `normals` and `colors`.
"""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from ..cloud import COLORS, INTENSITY, NORMALS, Cloud
from ..errors import DependencyError, FileError
from .columns import Columns, free_name, group_columns
from .files import readable_file
from .limits import check_columns, check_expansion
from .recovery_note import KEY, note_from_text

CARTESIAN = ("cartesianX", "cartesianY", "cartesianZ")
SPHERICAL = ("sphericalRange", "sphericalAzimuth", "sphericalElevation")
RGB = ("colorRed", "colorGreen", "colorBlue")
NORMAL_FIELDS = ("nor:normalX", "nor:normalY", "nor:normalZ")
_START = b"ASTM-E57"
NOTE = "pcsr:note"
SCAN = "scan"
INVALID = "cartesianInvalidState"
_INVALID = (INVALID, "sphericalInvalidState")
# What a result has of its own, beside what a scan says of its instrument and its time.
_COMPUTED: tuple[str, ...] = (
    *("points", "pose", "pointGroupingSchemes", "indexBounds", "originalGuids"),
    *("colorLimits", "intensityLimits", "cartesianBounds", "sphericalBounds"),
)
_AT_ONCE = 1 << 18
_MOST_SCANS = 10_000
_MOST_FACTS = 200


def import_libe57(path: Path) -> ModuleType:
    """The library below pye57.

    Raises:
        DependencyError: pye57 is not installed; the message says how to install it.
    """
    try:
        from pye57 import libe57
    except ImportError as error:
        raise DependencyError(
            f'{path}: E57 files require pye57; install it with: pip install "pcsr-zoo[e57]"'
        ) from error
    return libe57


def read_e57(path: str | PathLike[str]) -> Cloud:
    """Read the points of all scans, in the frame of the file.

    Raises:
        FileError: the file is not an E57 file, is truncated, or its checksums are wrong.
        DependencyError: pye57 is not installed.
    """
    path = readable_file(path)
    lib = import_libe57(path)
    with open(path, "rb") as handle:
        if handle.read(len(_START)) != _START:
            raise FileError(f"{path} is not an E57 file: it does not begin with {_START.decode()}")
    try:
        file = lib.ImageFile(str(path), "r")
        try:
            return _read(lib, file, path)
        finally:
            file.close()
    except FileError:
        raise
    except Exception as error:  # libe57 raises its own, and pybind11 others
        reason = str(error).split("\n")[0].strip()
        raise FileError(f"{path} is not an E57 file, is truncated, or is broken: {reason}") from None


def _read(lib: ModuleType, file: Any, path: Path) -> Cloud:
    root = file.root()
    data = root["data3D"]
    count = data.childCount()
    if count > _MOST_SCANS:
        raise FileError(f"{path}: {count:,} scans are more than the limit of {_MOST_SCANS:,}")
    parts, scans = [], []
    taken = 0
    for i in range(count):
        node = data[i]
        if not node.isDefined("points"):
            continue
        points, invalid = _scan(lib, file, node, path, taken)
        taken += points.nbytes + sum(values.nbytes for values in invalid.values())
        pose = _pose(node)
        parts.append(Cloud(_placed(points, pose), _attributes(invalid)))
        scans.append({"pose": pose, "facts": _facts(lib, node, _COMPUTED)})
    if not parts:
        raise FileError(f"{path} has no scans with points")
    if len(parts) > 1:
        for i, part in enumerate(parts):
            part.attributes[free_name(SCAN, part.attributes, clean=False)] = np.full(len(part), i, np.int32)
    metadata: dict[str, Any] = {"format": "E57", "encoding": "binary", "position_dtype": "float64"}
    metadata["e57"] = {"scans": scans, "coordinates": _text(root, "coordinateMetadata")}
    prefixes = [file.extensionsPrefix(i) for i in range(file.extensionsCount())]
    known = NOTE.partition(":")[0] in prefixes and root.isDefined(NOTE)
    if known and (note := note_from_text(root[NOTE].value(), str(path))):
        metadata[KEY] = note
    return _joined(parts, metadata)


def _scan(lib: ModuleType, file: Any, node: Any, path: Path, taken: int) -> tuple[np.ndarray, Columns]:
    """Positions (N, 3) in the frame of the scan, and the other fields, of the valid points of a scan."""
    vector = node["points"]
    prototype = lib.StructureNode(vector.prototype())
    kinds = {prototype.get(i).elementName(): prototype.get(i) for i in range(prototype.childCount())}
    names = [name for name, kind in kinds.items() if _dtype(lib, kind) is not None]
    check_columns(path, len(names))
    count = vector.childCount()
    axes = next((axes for axes in (CARTESIAN, SPHERICAL) if set(axes) <= set(names)), None)
    if axes is None:
        raise FileError(f"{path}: a scan has neither {', '.join(CARTESIAN)} nor {', '.join(SPHERICAL)}")
    check_expansion(path, taken + 8 * count * len(names), path.stat().st_size, f"{count:,} points")
    out = {name: np.empty(count, _dtype(lib, kinds[name])) for name in names}
    buffers = {name: np.empty(min(count, _AT_ONCE) or 1, buffer_type(values.dtype)) for name, values in out.items()}
    targets = lib.VectorSourceDestBuffer()
    for name, values in buffers.items():
        targets.append(lib.SourceDestBuffer(file, name, values, len(values), True, True))
    at = 0
    if count:
        reader = vector.reader(targets)
        while got := reader.read():
            if at + got > count:
                raise FileError(f"{path} is broken: a scan has more than the {count:,} points that it says")
            for name, values in buffers.items():
                out[name][at : at + got] = values[:got]
            at += got
        reader.close()
    if at < count:
        raise FileError(f"{path} is truncated: a scan has {at:,} of {count:,} points")
    valid = np.ones(count, bool)
    for name in _INVALID:
        if name in out and name[:4] == axes[0][:4]:
            valid &= out.pop(name) == 0
    positions = np.stack([out.pop(axis) for axis in axes], axis=1)[valid]
    if axes is SPHERICAL:
        distance, azimuth, elevation = positions.T
        flat = distance * np.cos(elevation)
        positions = np.stack([flat * np.cos(azimuth), flat * np.sin(azimuth), distance * np.sin(elevation)], axis=1)
    columns = {name: values[valid] for name, values in out.items()}
    return positions, _scaled_colors(columns, node, kinds)


def _dtype(lib: ModuleType, node: Any) -> str | None:
    """The dtype of a field; None for texts and blobs."""
    kind = node.type()
    if kind == lib.NodeType.E57_FLOAT:
        single = lib.FloatNode(node).precision() == lib.FloatPrecision.E57_SINGLE
        return "f4" if single and node.elementName() not in (*CARTESIAN, *SPHERICAL) else "f8"
    if kind == lib.NodeType.E57_SCALED_INTEGER:
        return "f8"
    if kind != lib.NodeType.E57_INTEGER:
        return None
    if node.elementName() in (*CARTESIAN, *SPHERICAL):
        return "f8"
    whole = lib.IntegerNode(node)
    low, high = whole.minimum(), whole.maximum()
    for name in ("u1", "i1", "u2", "i2", "u4", "i4"):
        if np.iinfo(name).min <= low and high <= np.iinfo(name).max:
            return name
    return "i8"


def buffer_type(kind: np.dtype) -> np.dtype:
    """The dtype of the array through which pye57 takes values; it takes the 64-bit `long` of Linux for one of 32."""
    return np.dtype(np.longlong) if kind.kind in "iu" and kind.itemsize > 2 else kind


def _scaled_colors(columns: Columns, node: Any, kinds: dict[str, Any]) -> Columns:
    """Colors as uint8 or uint16, from the limits that the scan gives for them."""
    if not set(RGB) <= set(columns):
        return columns
    rgb = np.stack([columns.pop(name) for name in RGB], axis=1)
    top = 255.0
    if node.isDefined("colorLimits"):
        top = float(node["colorLimits"]["colorRedMaximum"].value())
    elif hasattr(kinds[RGB[0]], "maximum"):
        top = float(kinds[RGB[0]].maximum())
    if not np.isfinite(top) or top <= 0 or top > 65535:
        top = 65535.0 if rgb.max(initial=0) > 255 else 255.0
    target = 255 if top <= 255 else 65535
    scale = target / top if top not in (255.0, 65535.0) else 1.0
    values = np.rint(np.clip(np.nan_to_num(rgb.astype(np.float64)) * scale, 0, target))
    columns[COLORS] = values.astype(np.uint8 if target == 255 else np.uint16)
    return columns


def _attributes(columns: Columns) -> Columns:
    """The columns of a scan as attributes."""
    out: Columns = {}
    if set(NORMAL_FIELDS) <= set(columns):
        out[NORMALS] = np.stack([columns.pop(name) for name in NORMAL_FIELDS], axis=1)
    out |= group_columns({name.removeprefix("pcsr:"): values for name, values in columns.items()})[0]
    return {name: out[name] for name in sorted(out, key=lambda n: (n != NORMALS, n != COLORS, n != INTENSITY))}


def _joined(parts: list[Cloud], metadata: dict[str, Any]) -> Cloud:
    """One cloud of all attributes; where a scan has none, they are NaN, or 0 for integers."""
    names = dict.fromkeys(name for part in parts for name in part.attributes)
    attributes = {}
    for name in names:
        have = [part.attributes[name] for part in parts if name in part.attributes]
        kind = np.result_type(*have)
        shape = have[0].shape[1:]
        none = np.nan if kind.kind == "f" else 0
        attributes[name] = np.concatenate(
            [part.attributes.get(name, np.full((len(part), *shape), none)).astype(kind) for part in parts]
        )
    return Cloud(np.concatenate([part.positions for part in parts]), attributes, metadata)


def _pose(node: Any) -> tuple[np.ndarray, np.ndarray]:
    """The rotation matrix (3, 3) and the translation (3,) from the frame of a scan to that of the file."""
    from scipy.spatial.transform import Rotation

    turn, shift = np.eye(3), np.zeros(3)
    if node.isDefined("pose/rotation"):
        w, x, y, z = (float(node["pose"]["rotation"][name].value()) for name in "wxyz")
        length = np.sqrt(w * w + x * x + y * y + z * z)
        if np.isfinite(length) and length > 0:
            turn = Rotation.from_quat(np.array([x, y, z, w]) / length).as_matrix()
    if node.isDefined("pose/translation"):
        shift = np.array([float(node["pose"]["translation"][name].value()) for name in "xyz"])
    return turn, shift


def _placed(points: np.ndarray, pose: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    turn, shift = pose
    if np.array_equal(turn, np.eye(3)) and not shift.any():
        return points
    return np.asarray(points @ turn.T + shift)


def _facts(lib: ModuleType, node: Any, without: tuple[str, ...] = (), depth: int = 0) -> dict[str, Any]:
    """The texts and numbers of a structure of the file, and those of the structures in it."""
    found: dict[str, Any] = {}
    kinds = lib.NodeType
    for i in range(min(node.childCount(), _MOST_FACTS)):
        child = node.get(i)
        name = child.elementName()
        if name in without or ":" in name:
            continue
        if child.type() == kinds.E57_STRUCTURE and depth < 4:
            found[name] = _facts(lib, lib.StructureNode(child), (), depth + 1)
        elif child.type() == kinds.E57_STRING:
            found[name] = lib.StringNode(child).value()
        elif child.type() == kinds.E57_INTEGER:
            found[name] = int(lib.IntegerNode(child).value())
        elif child.type() == kinds.E57_FLOAT:
            found[name] = float(lib.FloatNode(child).value())
    return found


def _text(node: Any, name: str) -> str:
    return str(node[name].value()) if node.isDefined(name) else ""
