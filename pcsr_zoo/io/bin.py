"""Binary files without a header, .bin: rows of x, y, z and other columns, as in KITTI, nuScenes, Waymo, SUN RGB-D."""

from __future__ import annotations

import logging
from os import PathLike
from pathlib import Path

import numpy as np

from ..cloud import INTENSITY, Cloud
from ..errors import FileError, OptionError
from .atomic import atomic_path
from .colmap import is_colmap
from .columns import Columns, float32_is_enough
from .files import read_bytes
from .layout import parse_columns
from .named import cloud_from_named, columns_as_named, named, sources_of

_log = logging.getLogger("pcsr_zoo")

_TENTH_MILLIMETER = 1e-4  # KITTI is in meters
_FARTHEST = 1e5  # no sensor that writes such files reaches farther, in meters
_TINY = 1e-30  # bytes of integers, read as floats, are mostly smaller
_NEIGHBORS = 64
_FEWEST = 8  # points of a file that is not KITTI's
_XYZ = ("x", "y", "z")
# The layouts that are tried, in this order: (what it is, dtype, columns).
_LAYOUTS = (
    ("KITTI", "<f4", (*_XYZ, "intensity")),
    ("nuScenes", "<f4", (*_XYZ, "intensity", "ring")),
    ("Waymo", "<f4", (*_XYZ, "intensity", "elongation", "time")),
    ("SUN RGB-D", "<f4", (*_XYZ, "red", "green", "blue")),
    ("float32 x, y, z", "<f4", _XYZ),
    ("float64 x, y, z", "<f8", _XYZ),
    ("float64 x, y, z, intensity", "<f8", (*_XYZ, "intensity")),
)


def read_bin(path: str | PathLike[str], columns: str | None = None, dtype: str | None = None) -> Cloud:
    """Read positions and other columns. The layout is the first one that the values and the other files agree with.

    Args:
        path: the file.
        columns: names of the columns, separated by commas; those named _ are left out.
        dtype: "float32" or "float64".

    Raises:
        FileError: the size does not fit the layout, or the values fit none.
        OptionError: `columns` or `dtype` is invalid.
    """
    path = Path(path)
    data = read_bytes(path)
    names = None if columns is None else tuple(parse_columns(columns))
    if dtype not in (None, "float32", "float64"):
        raise OptionError(f"dtype must be float32 or float64, got {dtype!r}")
    kind = {None: None, "float32": "<f4", "float64": "<f8"}[dtype]
    if names is not None:
        what, kind = "as given", kind or "<f4"
    else:
        what, kind, names = _guess(data, kind, path)
    table = _table(data, kind, len(names), path)
    found: Columns = {name: column for name, column in zip(names, table.T, strict=True) if name != "_"}
    single = kind == "<f4"
    metadata = {
        "format": "KITTI" if what == "KITTI" else "BIN",
        "encoding": "binary",
        "position_dtype": "float32" if single else "float64",
    }
    with np.errstate(invalid="ignore"):
        found = {name: column.astype(np.float32 if single else np.float64) for name, column in found.items()}
    return cloud_from_named(found, metadata, "bin", dtype=kind)


def _table(data: bytes, kind: str, width: int, path: Path) -> np.ndarray:
    row = width * np.dtype(kind).itemsize
    if len(data) % row:
        raise FileError(
            f"{path}: its size of {len(data)} bytes is not a multiple of the {row} bytes of {width} columns of "
            f"{np.dtype(kind).name}; it is truncated or has other columns (--columns, --dtype)"
        )
    return np.frombuffer(data, kind).reshape(-1, width)


def _guess(data: bytes, kind: str | None, path: Path) -> tuple[str, str, tuple[str, ...]]:
    """The layout (name, dtype, columns) that fits the values best.

    Raises:
        FileError: none fits.
    """
    if (owner := _gltf_beside(path)) is not None:
        raise FileError(f"{path} is the buffer of {owner.name}, not a scan; read {owner.name} instead")
    sizes = _sizes_beside(path)
    fitting: list[tuple[float, tuple[str, str, tuple[str, ...]]]] = []
    for layout in _LAYOUTS:
        row = np.dtype(layout[1]).itemsize * len(layout[2])
        if len(data) % row or kind not in (None, layout[1]):
            continue
        if sizes and sum(size % row == 0 for size in sizes) < len(sizes) / 2:
            continue
        table = np.frombuffer(data, layout[1]).reshape(-1, len(layout[2]))
        if layout[0] != "KITTI" and (len(table) < _FEWEST or not table.any()):
            continue
        with np.errstate(all="ignore"):
            if _plausible(table, layout[2]):
                fitting.append((_roughness(table), layout))
    if not fitting:
        raise FileError(
            f"{path} is not a scan of KITTI, nuScenes, Waymo or SUN RGB-D: its {len(data)} bytes are no plausible "
            "rows of coordinates; it is truncated or has another format (--columns x,y,z,_ and --dtype set the layout)"
        )
    if path.name.lower().endswith(".pcd.bin"):  # the suffix of nuScenes
        fitting = [entry for entry in fitting if entry[1][0] == "nuScenes"] or fitting
    best = min(roughness for roughness, _ in fitting)
    found = next(layout for roughness, layout in fitting if roughness <= 1.2 * best)
    if found[0] != "KITTI":
        _log.warning(
            "%s is read as %s (%s, %s); --columns and --dtype set another layout",
            *(path, found[0], ", ".join(found[2]), np.dtype(found[1]).name),
        )
    return found


def _plausible(table: np.ndarray, names: tuple[str, ...]) -> bool:
    """Whether the values can be what the columns say."""
    size = np.abs(table)
    if not (np.isfinite(table) | np.isnan(table)).all() or np.isnan(table).mean() > 0.5:
        return False
    if ((size > 0) & (size < _TINY)).any() or not (np.nan_to_num(size[:, :3]) < _FARTHEST).all():
        return False
    extra = dict(zip(names[3:], np.nan_to_num(table[:, 3:]).T, strict=True))
    if "intensity" in extra and not ((extra["intensity"] >= 0) & (extra["intensity"] <= 65535)).all():
        return False
    if "elongation" in extra and not _is_waymo(extra):
        return False
    if "ring" in extra and not (extra["ring"] == np.rint(extra["ring"])).all():
        return False
    if "red" in extra:
        colors = table[:, 3:6]
        return bool(((colors >= 0) & (colors <= 1)).all() or ((colors == np.rint(colors)) & (colors <= 255)).all())
    return True


def _is_waymo(extra: dict[str, np.ndarray]) -> bool:
    """Whether there are few times, from 0 on, and elongations as Waymo's; colors of SUN RGB-D are neither."""
    elongation, time = extra["elongation"], extra["time"]
    few = time.min() >= 0 and len(np.unique(time)) <= max(1, len(time) // 100) and (np.diff(time) >= 0).all()
    return bool(few and elongation.min() >= 0 and elongation.max() <= 2)


def _roughness(table: np.ndarray) -> float:
    """How much values differ from those in the same column of the next row, relative to the spread of all values.

    It is smallest for the right number of columns, if the columns differ or neighboring rows are neighbors in space.
    """
    sound = table[np.isfinite(table).all(axis=1)].astype(np.float64)
    if len(sound) < 2:
        return 1.0
    flat = np.sort(sound.ravel())
    spread = np.abs(flat - np.median(flat)).mean()
    return float(np.abs(np.diff(sound, axis=0)).mean() / max(spread, 1e-300))


def _sizes_beside(path: Path) -> list[int]:
    """The sizes of other files of the suffix in the folder."""
    try:
        others = (p for p in sorted(path.parent.iterdir()) if p.suffix.lower() == ".bin" and p.name != path.name)
        others = (p for p in others if not is_colmap(p.name.lower()))
        return [p.stat().st_size for p, _ in zip(others, range(_NEIGHBORS), strict=False) if p.is_file()]
    except OSError:
        return []


def _gltf_beside(path: Path) -> Path | None:
    """The .gltf file in the folder that refers to this file, if any."""
    try:
        for other in sorted(path.parent.glob("*.gltf"))[:_NEIGHBORS]:
            if other.stat().st_size < 1 << 24 and path.name.encode() in other.read_bytes():
                return other
    except OSError:
        pass
    return None


def stored_in_bin(cloud: Cloud) -> frozenset[str]:
    """The attributes that a .bin file stores: those that its source had, else intensity."""
    return sources_of(cloud, "bin") or frozenset({INTENSITY})


def write_bin(cloud: Cloud, path: str | PathLike[str], overwrite: bool = True) -> None:
    """Write the columns and the dtype of the .bin file that the cloud was read from, else KITTI's layout.

    That is positions and intensity (0 if the cloud has none) as float32.

    Raises:
        FileError: the file cannot be written, or float32 would move the points noticeably (UTM coordinates).
    """
    said = named(cloud, "bin")
    kind = np.dtype(said.get("dtype", "<f4"))
    finite = cloud.positions[np.isfinite(cloud.positions).all(axis=1)]
    with np.errstate(over="ignore", invalid="ignore"):
        error = np.abs(finite - finite.astype(kind)).max(initial=0)
    if error > _TENTH_MILLIMETER and not float32_is_enough(finite, tolerance=1e-2):
        raise FileError(
            f"cannot write {path}: this .bin file stores float32, which would move points at these coordinates "
            f"by up to {error:.2g} units; subtract an origin first, or write .ply or .npz"
        )
    columns: Columns = dict(zip(_XYZ, cloud.positions.T, strict=True))
    names: tuple[str, ...] = (*_XYZ, INTENSITY)
    if said:
        kept = {name: values for name, values in cloud.attributes.items() if name in said["sources"]}
        columns, names = columns_as_named(Cloud(cloud.positions, kept), said)[0], tuple(said["order"])
    elif INTENSITY in cloud.attributes:
        intensity = cloud.attributes[INTENSITY]
        columns[INTENSITY] = intensity if intensity.ndim == 1 else intensity[:, 0]
    table = np.zeros((len(cloud), len(names)), kind)
    for i, name in enumerate(names):
        if name in columns:
            table[:, i] = columns[name]
    with atomic_path(path, overwrite) as temporary, open(temporary, "wb") as handle:
        handle.write(table.tobytes())
