"""Reading and writing point clouds: `read`, `write`, `describe`, `find_clouds`. One module per format family."""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Callable, Collection, Iterator
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from ..cloud import COLORS, Cloud, as_cloud
from ..errors import FileError, OptionError
from .formats import FORMATS, READ_SUFFIXES, WRITE_SUFFIXES, format_of, split_name
from .mesh import DEFAULT_POINTS, read_mesh, sample_mesh
from .numpy_files import from_structured, to_structured
from .recovery_note import KEY, note_of
from .side_notes import read_side_note, with_side_note
from .streams import is_stream, plain_source, plain_target
from .trimesh import Mesh
from .write_mesh import MESH_SUFFIXES, write_mesh

__all__ = [
    "MESH_SUFFIXES",
    "READ_SUFFIXES",
    "WRITE_SUFFIXES",
    "describe",
    "find_clouds",
    "has_faces",
    "is_stream",
    "list_folder",
    "open_cloud",
    "read",
    "read_mesh",
    "results_among",
    "split_name",
    "stores_note",
    "write",
    "write_mesh",
]

_log = logging.getLogger("pcsr_zoo")
_MESHES = (".obj", ".off", ".stl", ".glb", ".gltf")
_RESULT = re.compile(r"(.+?)_(?:(?:sampled_)?[xn][\d.]+|recovered(?:_[xn][\d.]+)?(?:_draw\d+)?|mesh)")


def read(
    path: str | PathLike[str],
    *,
    points: int | None = None,
    seed: int = 0,
    columns: str | None = None,
    dtype: str | None = None,
    strict: bool = False,
) -> Cloud:
    """Read a point cloud. The suffix, in upper or lower case, selects the format; `.gz` after it is decompressed.

    Points with a position that is NaN or infinite are left out, with a warning in the log that has their number.

    Args:
        path: a cloud (PLY, PCD, LAS, LAZ, E57, PTX, text, .bin, .npy, .npz, COLMAP's points3D) or a mesh (PLY, OBJ,
            OFF, STL, GLB, GLTF). "-" is standard input, whose format is recognized, and "-.csv" says it.
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

    Structured arrays, such as PDAL's, are taken, too, and given back with their fields.

    Raises:
        CloudError: the input cannot be used as a point cloud.
        FileError: the file cannot be read.
    """
    if isinstance(x, np.ndarray) and x.dtype.names:
        return from_structured(x), to_structured
    return (read(x), lambda cloud: cloud) if isinstance(x, (str, PathLike)) else as_cloud(x)


def write(cloud: Cloud, path: str | PathLike[str], *, like: Cloud | None = None, overwrite: bool = True) -> None:
    """Write a point cloud. The suffix selects the format, and `.gz` after it compresses.

    A file is written completely or not at all.

    The recovery note of a sampled cloud (`metadata["pcsr"]`, see `io.recovery_note`) is stored in the header of PLY,
    PCD, LAS, LAZ, E57 and NPZ files. For other formats it is written to a second file, FILE.pcsr.json.

    Args:
        cloud: the cloud. Attributes that the format cannot store are left out, with a warning in the log.
        path: the file; its folder must exist. "-.ply" is standard output, in this format.
        like: a cloud whose metadata (LAS header, PLY comments) and attribute dtypes are used for the file.
        overwrite: whether an existing file, and the recovery note beside it, may be replaced.

    Raises:
        FileError: the suffix is unknown, the folder does not exist, the file cannot be written, a value does not fit
            the format, or the file exists and `overwrite` is False.
        DependencyError: the format requires a library that is not installed.
    """
    path = Path(path)
    entry = format_of(path)
    if entry is None or entry.write is None:
        suffix = split_name(path)[1]
        raise FileError(f"cannot write {path}: the suffix '{suffix}' is not one of {' '.join(WRITE_SUFFIXES)}")
    cloud = cloud if like is None else _styled(cloud, like)
    if entry.stores is not None:
        stored = entry.stores(cloud)
        if lost := [name for name in cloud.attributes if name not in stored]:
            _log.warning("%s files cannot store %s; left out of %s", split_name(path)[1], ", ".join(lost), path)
    note = None if entry.has_room else note_of(cloud.metadata)
    if note and is_stream(path):
        _log.warning("standard output has no place for the recovery note in this format; -.ply and -.laz have one")
    alone = entry.has_room or is_stream(path)
    beside = contextlib.nullcontext() if alone else with_side_note(path, note, overwrite)
    with beside, plain_target(path, overwrite) as target:
        entry.write(cloud, target, overwrite)


Cloud.read, Cloud.write = staticmethod(read), write


def find_clouds(path: str | PathLike[str], recursive: bool = False) -> list[Path]:
    """List a file as itself, and a folder as the supported files in it, sorted by name.

    Args:
        path: a file or a folder.
        recursive: whether the folders in a folder are listed, too.

    Raises:
        FileError: `path` does not exist, or the folder has no supported file.
    """
    path = Path(path)
    if is_stream(path):
        return [path]
    if not path.exists():
        raise FileError(f"{path}: no such file or folder")
    if not path.is_dir():
        return [path]
    found, _ = list_folder(path, recursive)
    if not found:
        raise FileError(f"the folder {path} has no file with one of the suffixes {' '.join(READ_SUFFIXES)}")
    return found


def list_folder(path: Path, recursive: bool = False) -> tuple[list[Path], list[Path]]:
    """The supported files in a folder, and the folders and other files, without hidden ones; each sorted.

    Raises:
        FileError: the folder cannot be listed.
    """
    try:
        names = sorted(p for p in path.iterdir() if not p.name.startswith("."))
    except OSError as error:
        raise FileError(f"{path} cannot be listed: {error.strerror or error}") from error
    found, others = [], []
    for name in names:
        if recursive and name.is_dir() and not name.is_symlink():  # links may lead in circles
            inside = list_folder(name, recursive)
            found += inside[0]
            others += inside[1]
        elif format_of(name) is not None and name.is_file():
            found.append(name)
        else:
            others.append(name)
    return found, others


def stores_note(path: Path) -> bool:
    """Whether files of this suffix store a recovery note themselves, not in a second file."""
    entry = format_of(path)
    return entry is not None and entry.has_room


def results_among(paths: Collection[Path]) -> set[Path]:
    """The files with the name of a result of `pcsr` from another of these files: a_x4.ply, a_recovered.ply."""
    stems = {path: split_name(path)[0] for path in paths}
    places = {(path.parent, stem) for path, stem in stems.items()}
    return {
        path for path, stem in stems.items() if (found := _RESULT.fullmatch(stem)) and (path.parent, found[1]) in places
    }


def describe(path: str | PathLike[str], *, columns: str | None = None, dtype: str | None = None) -> dict[str, object]:
    """The facts that `pcsr info` prints; see `pcsr_zoo.io.about.describe_file`. The options are those of `read`."""
    from .about import describe_file

    path = Path(path)
    with _opened(path) as file:
        about = describe_file(file, _content(file, path, columns, dtype))
    about["file"] = str(path)
    if file != path and not is_stream(path):  # a compressed file
        size = path.stat().st_size
        bits = about["bits_per_point"] and 8 * size / about["points"]
        about |= {"bytes": size, "bits_per_point": bits}
    return about


def has_faces(path: str | PathLike[str]) -> bool:
    """Whether a file has a mesh, whose points `read` draws.

    Raises:
        FileError: the file cannot be read.
    """
    return Path(path).suffix.lower() in (".ply", *_MESHES) and isinstance(_load(Path(path)), Mesh)


def _load(path: Path, columns: str | None = None, dtype: str | None = None) -> Cloud | Mesh:
    with _opened(path) as file:
        return _content(file, path, columns, dtype)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Path]:
    """The file to read, see `plain_source`.

    Raises:
        FileError: no format has such names.
    """
    if format_of(path) is None and path != Path("-"):
        if path.is_dir():
            raise FileError(f"{path} is a folder; name a file in it")
        suffix = split_name(path)[1]
        what = f"the unknown suffix '{suffix}'" if suffix else "no suffix"
        raise FileError(f"{path} has {what}; supported are: {' '.join(READ_SUFFIXES)}")
    with plain_source(path) as file:
        yield file


def _content(file: Path, path: Path, columns: str | None, dtype: str | None) -> Cloud | Mesh:
    """What a file has, and the recovery note beside `path`."""
    entry = format_of(file)
    assert entry is not None
    options = {name: value for name, value in (("columns", columns), ("dtype", dtype)) if value is not None}
    if unused := [name for name in options if name not in entry.layout]:
        able = " ".join(suffix for suffix, other in FORMATS.items() if unused[0] in other.layout)
        raise OptionError(f"{path}: {unused[0]} (--{unused[0]}) is for {able} only, so leave it out")
    found = entry.read(file, **options)
    may_have = isinstance(found, Cloud) and entry.write and not entry.has_room and not is_stream(path)
    if isinstance(found, Cloud) and may_have and (note := read_side_note(path)):
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
