"""NumPy's .npy and .npz files, without pickle."""

from __future__ import annotations

import logging
import math
import zipfile
from os import PathLike
from pathlib import Path
from typing import IO, Any

import numpy as np

from ..cloud import COLORS, NORMALS, Cloud
from ..errors import CloudError, FileError
from .atomic import atomic_path
from .columns import Columns, float32_is_enough, normalized_colors, numeric
from .files import readable_file
from .limits import check_columns, check_expansion
from .named import cloud_from_named, columns_as_named, named
from .recovery_note import KEY, note_from_text, note_of, note_to_text

_log = logging.getLogger("pcsr_zoo")
_NOTE = "pcsr.json"  # name of an array that has one string, the recovery note
_POSITION_NAMES = ("positions", "xyz", "points", "pos", "coords", "coord", "pc", "pcd", "vertices", "data")
_COLOR_NAMES, _NORMAL_NAMES = ("colors", "rgb", "color", "colours", "rgba"), ("normals", "normal", "nxyz")
_WIDEST = 16  # columns of an array that may be 3 points


def read_npy(path: str | PathLike[str]) -> Cloud:
    """Read an array (N, 3), (N, 3 + C) whose columns from the fourth on become `features`, or structured with x, y, z.

    Raises:
        FileError: the file has no such array, or is truncated.
    """
    path = readable_file(path)
    try:
        with open(path, "rb") as handle:  # np.load does not close a broken file
            if handle.read(2) == b"PK":
                raise FileError(f"{path} has several arrays; rename it to .npz")
            handle.seek(0)
            array = _array(handle, path.stat().st_size, path)
    except FileError:
        raise
    except Exception as error:  # np.load lets errors of zipfile, zlib and tokenize through
        raise FileError(f"{path} cannot be read as a .npy file: {error}") from None
    return _cloud(array, {}, path, "NPY")


def stored_in_npy(cloud: Cloud) -> frozenset[str]:
    """The attributes that a .npy file stores: `features`; all of them if the source was a structured array."""
    return frozenset(cloud.attributes) if named(cloud, "npy") else frozenset({"features"})


def write_npy(cloud: Cloud, path: str | PathLike[str], overwrite: bool = True) -> None:
    """Write positions (N, 3) followed by `features`; other attributes cannot be stored (use .npz).

    The dtype is float64, or float32 if the source was float32 and no precision is lost. If the source was a structured
    array, as PDAL's, the result is one, too, with its fields in their order and in their dtypes.
    """
    if named(cloud, "npy"):
        try:
            array = to_structured(cloud)
        except CloudError as error:
            raise FileError(f"cannot write {path}: {error}") from None
        with atomic_path(path, overwrite) as temporary, open(temporary, "wb") as handle:
            np.lib.format.write_array(handle, array, allow_pickle=False)
        return
    parts = [cloud.positions]
    single = cloud.metadata.get("position_dtype") == "float32" and float32_is_enough(cloud.positions)
    if "features" in cloud.attributes:
        features = cloud.attributes["features"]
        features = features[:, None] if features.ndim == 1 else features
        single = single and features.dtype == np.float32
        parts.append(features.astype(np.float64))
    array = np.concatenate(parts, axis=1).astype(np.float32 if single else np.float64)
    with atomic_path(path, overwrite) as temporary, open(temporary, "wb") as handle:
        np.lib.format.write_array(handle, array, allow_pickle=False)


def from_structured(array: np.ndarray, metadata: dict[str, Any] | None = None, where: str = "the array") -> Cloud:
    """A cloud of a structured array, such as PDAL's, whose fields include x, y and z; `to_structured` is the reverse.

    Raises:
        CloudError: x, y or z is missing.
    """
    table = array.reshape(-1)
    columns = {name: np.ascontiguousarray(table[name]) for name in table.dtype.names or ()}
    columns = {name: values for name, values in columns.items() if values.dtype.kind in "fiub" and values.ndim < 3}
    if left := [name for name in table.dtype.names or () if name not in columns]:
        _log.warning("%s: %s have no numbers and are left out", where, ", ".join(left))
    dtypes = {name: values.dtype.str for name, values in columns.items()}
    return cloud_from_named(columns, metadata or {}, "npy", dtypes=dtypes)


def to_structured(cloud: Cloud) -> np.ndarray:
    """A structured array (N,) with the fields that the source had, in their order and dtypes, and new ones.

    Raises:
        CloudError: an attribute is not numeric, or the source was no structured array.
    """
    said = named(cloud, "npy")
    if not said:
        raise CloudError("the cloud was not made of a structured array")
    return _structured(columns_as_named(cloud, said)[0], said["dtypes"], said["sources"][None])


def _structured(columns: Columns, dtypes: dict[str, str], axes: tuple[str, ...]) -> np.ndarray:
    """A structured array of these columns; positions get more digits than they had only if they need them."""
    kinds: list[tuple] = []
    exact = float32_is_enough(np.stack([columns[axis] for axis in axes], axis=1))
    for name, values in columns.items():
        kind = np.dtype(dtypes.get(name, values.dtype))
        if name in axes and (kind.kind != "f" or (kind.itemsize < 8 and not exact)):
            kind = np.dtype(np.float64)
        kinds.append((name, kind, values.shape[1:]))
    count = len(next(iter(columns.values())))
    array = np.zeros(count, kinds)
    for name, values in columns.items():
        array[name] = values
    return array


def read_npz(path: str | PathLike[str]) -> Cloud:
    """Read `positions` (or `xyz`, `points`, `coords`, ..., or the only array), and all arrays of the same length.

    Raises:
        FileError: the file has no such array, or is truncated.
    """
    path = readable_file(path)
    try:
        with zipfile.ZipFile(path) as archive:
            members = [member for member in archive.infolist() if member.filename.endswith(".npy")]
            check_expansion(path, sum(m.file_size for m in members), path.stat().st_size, "its arrays")
            arrays = {}
            for member in members:
                with archive.open(member) as handle:
                    arrays[member.filename[:-4]] = _array(handle, member.file_size, path)
    except FileError:
        raise
    except zipfile.BadZipFile as error:
        with open(path, "rb") as plain:
            single = plain.read(6) == b"\x93NUMPY"
        reason = "it has a single array; rename it to .npy" if single else str(error)
        raise FileError(f"{path} cannot be read as a .npz file: {reason}") from None
    except Exception as error:
        raise FileError(f"{path} cannot be read as a .npz file: {error}") from None
    name = next((name for name in _POSITION_NAMES if name in arrays), None)
    if name is None and len(arrays) == 1:
        name = next(iter(arrays))
    if name is None:
        raise FileError(
            f"{path} has no array 'positions', 'xyz', 'points' or 'coords'; found: {', '.join(arrays) or 'none'}"
        )
    note = arrays.pop(_NOTE, None)
    cloud = _cloud(arrays.pop(name), arrays, path, "NPZ")
    if note is not None and (found := note_from_text(str(note), str(path))):
        cloud.metadata[KEY] = found
    return cloud


def write_npz(cloud: Cloud, path: str | PathLike[str], overwrite: bool = True) -> None:
    """Write `positions` (float64), each attribute under its name and in its dtype, and the recovery note, if any.

    Raises:
        FileError: the file cannot be written, or an attribute is not numeric.
    """
    arrays = {"positions": cloud.positions}
    if note := note_of(cloud.metadata):
        arrays[_NOTE] = np.array(note_to_text(note))
    try:
        for name, values in cloud.attributes.items():
            numeric(name, values)
            arrays["positions_" if name == "positions" else name] = values
    except CloudError as error:
        raise FileError(f"cannot write {path}: {error}") from None
    with atomic_path(path, overwrite) as temporary, zipfile.ZipFile(temporary, "w", allowZip64=True) as archive:
        for name, values in arrays.items():  # np.savez does not allow the name "file"
            with archive.open(f"{name}.npy", "w", force_zip64=True) as handle:
                np.lib.format.write_array(handle, values, allow_pickle=False)


def _array(handle: IO[bytes], size: int, path: Path) -> np.ndarray:
    """An array of `size` bytes, header included; NumPy would allocate whatever the header says."""
    version = np.lib.format.read_magic(handle)
    read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read_header(handle)
    if dtype.hasobject:
        raise FileError(f"{path} has an array of Python objects, which is not read; save an array of numbers")
    wanted = dtype.itemsize * math.prod(shape)
    if wanted > size:
        raise FileError(f"{path} is truncated: an array of shape {shape} takes {wanted:,} bytes, but it has {size:,}")
    data = handle.read(wanted)
    if len(data) < wanted:
        raise FileError(f"{path} is truncated: an array of shape {shape} takes {wanted:,} bytes, it has {len(data):,}")
    array = np.frombuffer(data, dtype, math.prod(shape)) if dtype.itemsize else np.zeros(0, dtype)
    return array.reshape(shape, order="F" if fortran else "C")


def _cloud(array: np.ndarray, others: dict[str, np.ndarray], path: Path, kind: str) -> Cloud:
    if array.dtype.names:
        check_columns(path, len(array.dtype.names))
        try:
            cloud = from_structured(array, {"format": kind, "encoding": "binary"}, str(path))
        except CloudError as error:
            raise FileError(f"{path}: {error}") from None
        cloud.attributes.update(_matching(others, len(cloud), path))
        return cloud
    if array.ndim == 3 and len(array) == 1:  # a batch of one
        array = array[0]
        others = {name: v[0] if v.ndim > 1 and v.shape[:2] == (1, len(array)) else v for name, v in others.items()}
    if array.ndim != 2 or array.shape[1] < 3 or array.dtype.kind not in "fiu":
        hint = ""
        if array.ndim == 3:
            hint = f"; it has {len(array)} clouds, save them one by one"
        elif array.ndim == 2 and array.shape[0] in (3, 4, 6):
            hint = "; save the transposed array"
        raise FileError(
            f"{path}: positions must be numbers of shape (N, 3) or more, got {array.dtype} {array.shape}{hint}"
        )
    if array.shape[0] == 3 and array.shape[1] > _WIDEST:
        raise FileError(
            f"{path} has an array of shape {array.shape}, 3 points or 3 coordinates; save the transposed array"
        )
    fitting = _matching(others, len(array), path)
    attributes = dict(fitting)
    for name, aliases in ((COLORS, _COLOR_NAMES), (NORMALS, _NORMAL_NAMES)):
        found = next(
            (a for a in aliases if a in fitting and fitting[a].ndim == 2 and fitting[a].shape[1] in (3, 4)), None
        )
        values = None if found is None else fitting[found]
        if values is not None and name == COLORS:
            values = normalized_colors(values)
        if found is not None and values is not None:
            del attributes[found]
            attributes[name] = values
    if array.shape[1] > 3:
        attributes.setdefault("features", array[:, 3:])
    single = array.dtype.kind == "f" and array.dtype.itemsize <= 4
    metadata = {"format": kind, "encoding": "binary", "position_dtype": "float32" if single else "float64"}
    with np.errstate(invalid="ignore"):  # signaling NaNs are allowed
        return Cloud(array[:, :3].astype(np.float64), attributes, metadata)


def _matching(others: dict[str, np.ndarray], count: int, path: Path) -> dict[str, np.ndarray]:
    """The arrays with a number, or a row of numbers, for each point; the others are named in a warning."""
    fitting = {
        name: values
        for name, values in others.items()
        if values.ndim in (1, 2) and len(values) == count and values.dtype.kind in "fiub"
    }
    if left := [name for name in others if name not in fitting]:
        _log.warning("%s: %s do not belong to its %d points and are left out", path, ", ".join(left), count)
    return fitting
