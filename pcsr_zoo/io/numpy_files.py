"""NumPy's .npy and .npz files, without pickle."""

from __future__ import annotations

import zipfile
from os import PathLike
from pathlib import Path

import numpy as np

from ..cloud import Cloud
from ..errors import CloudError, FileError
from .atomic import atomic_path
from .columns import float32_is_enough, numeric
from .files import readable_file
from .recovery_note import KEY, note_from_text, note_of, note_to_text

_NOTE = "pcsr.json"  # name of an array that has one string, the recovery note
_POSITION_NAMES = ("positions", "xyz", "points", "pos")


def read_npy(path: str | PathLike[str]) -> Cloud:
    """Read an array (N, 3), or (N, 3 + C) whose columns from the fourth on become `features`.

    Raises:
        FileError: the file has no such array, or is truncated.
    """
    path = readable_file(path)
    try:
        with open(path, "rb") as handle:  # np.load does not close a broken file
            array = np.load(handle, allow_pickle=False)
    except Exception as error:  # np.load lets errors of zipfile, zlib and tokenize through
        raise FileError(f"{path} cannot be read as a .npy file: {error}") from None
    if not isinstance(array, np.ndarray):
        raise FileError(f"{path} has several arrays; rename it to .npz")
    return _cloud(array, {}, path, "NPY")


def write_npy(cloud: Cloud, path: str | PathLike[str]) -> None:
    """Write positions (N, 3) followed by `features`; other attributes cannot be stored (use .npz).

    The dtype is float64, or float32 if the source was float32 and no precision is lost.
    """
    parts = [cloud.positions]
    single = cloud.metadata.get("position_dtype") == "float32" and float32_is_enough(cloud.positions)
    if "features" in cloud.attributes:
        features = cloud.attributes["features"]
        features = features[:, None] if features.ndim == 1 else features
        single = single and features.dtype == np.float32
        parts.append(features.astype(np.float64))
    array = np.concatenate(parts, axis=1).astype(np.float32 if single else np.float64)
    with atomic_path(path) as temporary, open(temporary, "wb") as handle:
        np.lib.format.write_array(handle, array, allow_pickle=False)


def read_npz(path: str | PathLike[str]) -> Cloud:
    """Read `positions` (or `xyz`, `points`, `pos`, or the only array), and all arrays of the same length.

    Raises:
        FileError: the file has no such array, or is truncated.
    """
    path = readable_file(path)
    try:
        with open(path, "rb") as handle, np.load(handle, allow_pickle=False) as archive:
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise ValueError("it has a single array; rename it to .npy")
            arrays = {name: archive[name] for name in archive.files}
    except Exception as error:
        raise FileError(f"{path} cannot be read as a .npz file: {error}") from None
    name = next((name for name in _POSITION_NAMES if name in arrays), None)
    if name is None and len(arrays) == 1:
        name = next(iter(arrays))
    if name is None:
        raise FileError(
            f"{path} has no array 'positions', 'xyz', 'points' or 'pos'; found: {', '.join(arrays) or 'none'}"
        )
    note = arrays.pop(_NOTE, None)
    cloud = _cloud(arrays.pop(name), arrays, path, "NPZ")
    if note is not None and (found := note_from_text(str(note), str(path))):
        cloud.metadata[KEY] = found
    return cloud


def write_npz(cloud: Cloud, path: str | PathLike[str]) -> None:
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
    with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w", allowZip64=True) as archive:
        for name, values in arrays.items():  # np.savez does not allow the name "file"
            with archive.open(f"{name}.npy", "w", force_zip64=True) as handle:
                np.lib.format.write_array(handle, values, allow_pickle=False)


def _cloud(array: np.ndarray, others: dict[str, np.ndarray], path: Path, kind: str) -> Cloud:
    if array.ndim != 2 or array.shape[1] < 3 or array.dtype.kind not in "fiu":
        raise FileError(f"{path}: positions must be numbers of shape (N, 3) or more, got {array.dtype} {array.shape}")
    attributes = {
        name: values
        for name, values in others.items()
        if values.ndim in (1, 2) and len(values) == len(array) and values.dtype.kind in "fiub"
    }
    if array.shape[1] > 3:
        attributes.setdefault("features", array[:, 3:])
    single = array.dtype.kind == "f" and array.dtype.itemsize <= 4
    metadata = {"format": kind, "encoding": "binary", "position_dtype": "float32" if single else "float64"}
    return Cloud(array[:, :3], attributes, metadata)
