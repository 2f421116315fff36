"""Reading and writing point clouds: `read`, `write`, `describe`, `find_clouds`. One module per format family."""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Callable, Collection
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..cloud import COLORS, INTENSITY, NORMALS, Cloud, as_cloud
from ..errors import FileError, OptionError
from .bin import read_bin, write_bin
from .gltf import read_gltf
from .las import read_las, write_las
from .mesh import DEFAULT_POINTS, read_mesh, sample_mesh
from .numpy_files import read_npy, read_npz, write_npy, write_npz
from .obj import read_obj
from .off import read_off
from .open3d_meshes import read_stl
from .pcd import read_pcd, write_pcd
from .ply import read_ply, write_ply
from .recovery_note import KEY, note_of
from .side_notes import read_side_note, with_side_note
from .text import read_text, write_text
from .trimesh import Mesh
from .write_mesh import MESH_SUFFIXES, write_mesh

__all__ = [
    "MESH_SUFFIXES",
    "READ_SUFFIXES",
    "WRITE_SUFFIXES",
    "describe",
    "find_clouds",
    "open_cloud",
    "read",
    "read_mesh",
    "results_among",
    "stores_note",
    "write",
    "write_mesh",
]

_log = logging.getLogger("pcsr_zoo")
_RESULT = re.compile(r"(.+?)_(?:(?:sampled_)?[xn][\d.]+|recovered(?:_[xn][\d.]+)?(?:_draw\d+)?|mesh)")


class _Format(NamedTuple):
    read: Callable[..., Cloud | Mesh]
    write: Callable[[Cloud, Path, bool], None] | None = None
    holds: frozenset[str] | None = None  # the attributes that it can store; None: all of them
    has_room: bool = False  # whether the file itself can store a recovery note
    layout: tuple[str, ...] = ()  # of the options `columns` and `dtype`, those that its reader takes


def _only(*names: str) -> frozenset[str]:
    return frozenset(names)


_FORMATS: dict[str, _Format] = {
    ".ply": _Format(read_ply, write_ply, has_room=True),
    ".pcd": _Format(read_pcd, write_pcd, has_room=True),
    ".las": _Format(read_las, write_las, has_room=True),
    ".laz": _Format(read_las, write_las, has_room=True),
    ".xyz": _Format(read_text, write_text, _only(NORMALS), layout=("columns",)),
    ".xyzn": _Format(read_text, write_text, _only(NORMALS), layout=("columns",)),
    ".xyzrgb": _Format(read_text, write_text, _only(COLORS), layout=("columns",)),
    ".pts": _Format(read_text, write_text, _only(INTENSITY, COLORS), layout=("columns",)),
    ".txt": _Format(read_text, write_text, layout=("columns",)),
    ".asc": _Format(read_text, write_text, layout=("columns",)),
    ".csv": _Format(read_text, write_text, layout=("columns",)),
    ".bin": _Format(read_bin, write_bin, _only(INTENSITY), layout=("columns", "dtype")),
    ".npy": _Format(read_npy, write_npy, _only("features")),
    ".npz": _Format(read_npz, write_npz, has_room=True),
    ".obj": _Format(read_obj),
    ".off": _Format(read_off),
    ".stl": _Format(read_stl),
    ".glb": _Format(read_gltf),
    ".gltf": _Format(read_gltf),
}

READ_SUFFIXES: tuple[str, ...] = tuple(_FORMATS)
WRITE_SUFFIXES: tuple[str, ...] = tuple(suffix for suffix, entry in _FORMATS.items() if entry.write)


def read(
    path: str | PathLike[str],
    *,
    points: int | None = None,
    seed: int = 0,
    columns: str | None = None,
    dtype: str | None = None,
    strict: bool = False,
) -> Cloud:
    """Read a point cloud. The suffix, in upper or lower case, selects the format.

    Points with a position that is NaN or infinite are left out, with a warning in the log that has their number.

    Args:
        path: a cloud (PLY, PCD, LAS, LAZ, text, KITTI .bin, .npy, .npz) or a mesh (PLY, OBJ, OFF, STL, GLB, GLTF).
        points: number of points to sample from the surface of a mesh, by Poisson-disk sampling; 8192 by default. It
            must be None for a file with a point cloud.
        seed: seed of that sampling.
        columns: the names of the columns of a text file or a .bin file, separated by commas, such as "x,y,z,r,g,b,_";
            columns named _ are left out. By default they come from the header, or are guessed from the values.
        dtype: float32 or float64, the type of the numbers of a .bin file; by default it is guessed.
        strict: refuse a file with such points instead.

    Raises:
        FileError: the file is missing, empty, truncated, broken or of an unknown format; the message names it.
        OptionError: `points` is not positive, or the file has a point cloud; `columns` or `dtype` is invalid, or the
            format has no use for it.
        DependencyError: the format requires a library that is not installed.
    """
    path = Path(path)
    found = _load(path, columns, dtype)
    if isinstance(found, Mesh):
        return sample_mesh(found, DEFAULT_POINTS if points is None else points, seed, str(path))
    if points is not None:
        raise OptionError(f"{path} has a point cloud; points (--points) is for meshes only, so leave it out")
    return _finite(found, path, strict)


def _finite(cloud: Cloud, path: Path, strict: bool) -> Cloud:
    """The points whose positions are finite."""
    valid = np.isfinite(cloud.positions).all(axis=1)
    invalid = len(cloud) - int(valid.sum())
    if not invalid:
        return cloud
    if strict or invalid == len(cloud):
        cloud.validate(str(path))
    _log.warning("%s: %d of %d points are NaN or infinite and are left out", path, invalid, len(cloud))
    return cloud[valid]


def open_cloud(x: Any) -> tuple[Cloud, Callable[[Cloud], Any]]:
    """Convert an input or a path to a Cloud, and return a function that converts a Cloud back; see `cloud.as_cloud`.

    Raises:
        CloudError: the input cannot be used as a point cloud.
        FileError: the file cannot be read.
    """
    return (read(x), lambda cloud: cloud) if isinstance(x, (str, PathLike)) else as_cloud(x)


def write(cloud: Cloud, path: str | PathLike[str], *, like: Cloud | None = None, overwrite: bool = True) -> None:
    """Write a point cloud. The suffix selects the format. The file is written completely or not at all.

    The recovery note of a sampled cloud (`metadata["pcsr"]`, see `io.recovery_note`) is stored in the header of PLY,
    PCD, LAS, LAZ and NPZ files. For other formats it is written to a second file, FILE.pcsr.json.

    Args:
        cloud: the cloud. Attributes that the format cannot store are left out, with a warning in the log.
        path: the file; its folder must exist.
        like: a cloud whose metadata (LAS header, PLY comments) and attribute dtypes are used for the file.
        overwrite: whether an existing file, and the recovery note beside it, may be replaced.

    Raises:
        FileError: the suffix is unknown, the folder does not exist, the file cannot be written, a value does not fit
            the format, or the file exists and `overwrite` is False.
        DependencyError: the format requires a library that is not installed.
    """
    path = Path(path)
    entry = _FORMATS.get(path.suffix.lower())
    if entry is None or entry.write is None:
        raise FileError(f"cannot write {path}: the suffix '{path.suffix}' is not one of {' '.join(WRITE_SUFFIXES)}")
    if entry.holds is not None and (lost := [name for name in cloud.attributes if name not in entry.holds]):
        _log.warning("%s files cannot store %s; left out of %s", path.suffix, ", ".join(lost), path)
    with contextlib.nullcontext() if entry.has_room else with_side_note(path, note_of(cloud.metadata), overwrite):
        entry.write(cloud if like is None else _styled(cloud, like), path, overwrite)


Cloud.read, Cloud.write = staticmethod(read), write


def find_clouds(path: str | PathLike[str]) -> list[Path]:
    """List a file as itself, and a folder as the supported files in it, sorted by name and without subfolders.

    Raises:
        FileError: `path` does not exist, or the folder has no supported file.
    """
    path = Path(path)
    if not path.exists():
        raise FileError(f"{path}: no such file or folder")
    if not path.is_dir():
        return [path]
    try:
        names = sorted(p for p in path.iterdir() if not p.name.startswith("."))
    except OSError as error:
        raise FileError(f"{path} cannot be listed: {error.strerror or error}") from error
    found = [p for p in names if p.suffix.lower() in _FORMATS and p.is_file()]
    if not found:
        raise FileError(f"the folder {path} has no file with one of the suffixes {' '.join(READ_SUFFIXES)}")
    return found


def stores_note(path: Path) -> bool:
    """Whether files of this suffix store a recovery note themselves, not in a second file."""
    entry = _FORMATS.get(path.suffix.lower())
    return entry is not None and entry.has_room


def results_among(paths: Collection[Path]) -> set[Path]:
    """The files with the name of a result of `pcsr` from another of these files: a_x4.ply, a_recovered.ply."""
    stems = {(path.parent, path.stem) for path in paths}
    return {path for path in paths if (found := _RESULT.fullmatch(path.stem)) and (path.parent, found[1]) in stems}


def describe(path: str | PathLike[str], *, columns: str | None = None, dtype: str | None = None) -> dict[str, object]:
    """The facts that `pcsr info` prints; see `pcsr_zoo.io.about.describe_file`. The options are those of `read`."""
    from .about import describe_file

    return describe_file(Path(path), _load(Path(path), columns, dtype))


def _load(path: Path, columns: str | None = None, dtype: str | None = None) -> Cloud | Mesh:
    entry = _FORMATS.get(path.suffix.lower())
    if entry is None:
        if path.is_dir():
            raise FileError(f"{path} is a folder; name a file in it")
        what = f"the unknown suffix '{path.suffix}'" if path.suffix else "no suffix"
        raise FileError(f"{path} has {what}; supported are: {' '.join(READ_SUFFIXES)}")
    options = {name: value for name, value in (("columns", columns), ("dtype", dtype)) if value is not None}
    if unused := [name for name in options if name not in entry.layout]:
        able = " ".join(suffix for suffix, other in _FORMATS.items() if unused[0] in other.layout)
        raise OptionError(f"{path}: {unused[0]} (--{unused[0]}) is for {able} only, so leave it out")
    found = entry.read(path, **options)
    if isinstance(found, Cloud) and entry.write and not entry.has_room and (note := read_side_note(path)):
        found.metadata[KEY] = note
    return found


def _styled(cloud: Cloud, like: Cloud) -> Cloud:
    """The cloud with the metadata of `like`, and with integer attributes where interpolation made them floats."""
    attributes = dict(cloud.attributes)
    for name, values in attributes.items():
        wanted = like.attributes[name].dtype if name in like.attributes else values.dtype
        if wanted.kind in "iu" and values.dtype.kind == "f":
            limits = np.iinfo(wanted)
            scale = limits.max if name == COLORS else 1
            attributes[name] = np.rint(np.clip(np.nan_to_num(values) * scale, limits.min, limits.max)).astype(wanted)
        elif wanted.kind == "f" and values.dtype.kind == "f":
            attributes[name] = values.astype(wanted)
    said = {**cloud.metadata, **like.metadata}
    for key in (KEY, "grid"):  # these belong to this cloud only
        said.pop(key, None)
        if key in cloud.metadata:
            said[key] = cloud.metadata[key]
    return Cloud(cloud.positions, attributes, said)
