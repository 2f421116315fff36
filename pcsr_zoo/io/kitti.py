"""KITTI's Velodyne scans, .bin: rows of float32 x, y, z and intensity without a header."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

import numpy as np

from ..cloud import INTENSITY, Cloud
from ..errors import FileError
from .atomic import atomic_path
from .columns import float32_is_enough
from .files import read_bytes

_TENTH_MILLIMETER = 1e-4  # KITTI is in meters


def read_kitti(path: str | PathLike[str]) -> Cloud:
    """Read positions and `intensity`, both float32.

    Raises:
        FileError: the size is not a multiple of the 16 bytes of a point.
    """
    path = Path(path)
    data = read_bytes(path)
    if len(data) % 16:
        raise FileError(
            f"{path} is not a KITTI scan: its size of {len(data)} bytes is not a multiple of 16 (float32 x, y, z, "
            "intensity); it is truncated or has another format"
        )
    table = np.frombuffer(data, "<f4").reshape(-1, 4)
    metadata = {"format": "KITTI", "encoding": "binary", "position_dtype": "float32"}
    return Cloud(table[:, :3], {INTENSITY: table[:, 3].astype(np.float32)}, metadata)


def write_kitti(cloud: Cloud, path: str | PathLike[str]) -> None:
    """Write positions and intensity (0 if the cloud has none); other attributes cannot be stored.

    Raises:
        FileError: the file cannot be written, or float32 would move the points noticeably (UTM coordinates).
    """
    finite = cloud.positions[np.isfinite(cloud.positions).all(axis=1)]
    error = np.abs(finite - finite.astype(np.float32)).max(initial=0)
    if error > _TENTH_MILLIMETER and not float32_is_enough(finite, tolerance=1e-2):
        raise FileError(
            f"cannot write {path}: KITTI's .bin stores float32, which would move points at these coordinates "
            f"by up to {error:.2g} units; subtract an origin first, or write .ply or .npz"
        )
    table = np.zeros((len(cloud), 4), "<f4")
    table[:, :3] = cloud.positions
    if INTENSITY in cloud.attributes:
        intensity = cloud.attributes[INTENSITY]
        table[:, 3] = intensity if intensity.ndim == 1 else intensity[:, 0]
    with atomic_path(path) as temporary, open(temporary, "wb") as handle:
        handle.write(table.tobytes())
