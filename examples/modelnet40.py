"""Loaders of ModelNet40 (Wu et al., CVPR 2015) in the two layouts in which its point clouds are passed on.

- `modelnet40_ply_hdf5_2048` (2,048 points of each shape): `train_files.txt` and `test_files.txt` list HDF5 files with
  `data` (B, 2048, 3) and `label` (B, 1); `shape_names.txt` has the classes. Needs `pip install h5py`.
- `modelnet40_normal_resampled` (10,000 points with normals): `modelnet40_shape_names.txt`, `modelnet40_train.txt` and
  `modelnet40_test.txt` list shapes such as `night_stand_0001`, in `night_stand/night_stand_0001.txt`, with a line
  `x,y,z,nx,ny,nz` for each point.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from pcsr_zoo.errors import DependencyError, FileError


class Shapes(NamedTuple):
    """Clouds (B, N, 3) float32 with radius 1 about their mean, their classes (B,), and the names of the classes."""

    clouds: np.ndarray
    classes: np.ndarray
    names: list[str]


def load_modelnet40(folder: str | Path, split: str, points: int = 1024, most: int | None = None) -> Shapes:
    """Read one split of either layout.

    Args:
        folder: the folder of either layout, recognized by its files.
        split: "train" or "test".
        points: number of points of each shape: the first ones, as the field takes them.
        most: read only this many shapes, evenly spread over the list; None for all.

    Raises:
        FileError: the folder has neither layout, a file is missing or broken, or a shape has fewer points.
        DependencyError: h5py is not installed.
    """
    folder = Path(folder)
    if (folder / f"{split}_files.txt").is_file():
        found = _hdf5(folder, split, points, most)
    elif (folder / f"modelnet40_{split}.txt").is_file():
        found = _text(folder, split, points, most)
    else:
        raise FileError(
            f"{folder} is not ModelNet40: it has neither {split}_files.txt (HDF5) nor modelnet40_{split}.txt (text)"
        )
    clouds = found.clouds - found.clouds.mean(axis=1, keepdims=True)
    radius = np.linalg.norm(clouds, axis=2).max(axis=1)
    return found._replace(clouds=(clouds / np.maximum(radius, 1e-12)[:, None, None]).astype(np.float32))


def _lines(path: Path) -> list[str]:
    try:
        return [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise FileError(f"{path} cannot be read: {error}") from None


def _some(count: int, most: int | None) -> np.ndarray:
    return np.arange(count) if most is None or most >= count else np.arange(most) * count // most


def _hdf5(folder: Path, split: str, points: int, most: int | None) -> Shapes:
    try:
        import h5py
    except ImportError:
        raise DependencyError(f"{folder} has HDF5 files; install h5py to read them: pip install h5py") from None
    clouds, classes = [], []
    for line in _lines(folder / f"{split}_files.txt"):
        path = folder / Path(line).name  # the list has paths of its authors' machine
        try:
            with h5py.File(path, "r") as file:
                data, label = np.asarray(file["data"]), np.asarray(file["label"]).reshape(-1)
        except (OSError, KeyError) as error:
            raise FileError(f"{path} is not a file of ModelNet40 with data and label: {error}") from None
        if data.ndim != 3 or data.shape[2] != 3 or len(data) != len(label):
            raise FileError(f"{path}: data {data.shape} and label {label.shape} do not match")
        if data.shape[1] < points:
            raise FileError(f"{path}: shapes have {data.shape[1]:,} points, fewer than the {points:,} asked for")
        clouds.append(data[:, :points])
        classes.append(label)
    every, labels = np.concatenate(clouds), np.concatenate(classes).astype(np.int64)
    kept = _some(len(every), most)
    return Shapes(every[kept], labels[kept], _lines(folder / "shape_names.txt"))


def _text(folder: Path, split: str, points: int, most: int | None) -> Shapes:
    names = _lines(folder / "modelnet40_shape_names.txt")
    listed = _lines(folder / f"modelnet40_{split}.txt")
    clouds, classes = [], []
    for row in _some(len(listed), most):
        name, _, number = listed[row].rpartition("_")
        if name not in names or not number.isdigit():
            raise FileError(f"{folder / f'modelnet40_{split}.txt'}: '{listed[row]}' is not a shape of a listed class")
        path = folder / name / f"{listed[row]}.txt"
        try:
            cloud = np.loadtxt(path, delimiter=",", usecols=(0, 1, 2), max_rows=points, dtype=np.float32, ndmin=2)
        except (OSError, ValueError) as error:
            raise FileError(f"{path} cannot be read as lines of x,y,z,nx,ny,nz: {error}") from None
        if len(cloud) < points:
            raise FileError(f"{path} has {len(cloud):,} points, fewer than the {points:,} asked for")
        clouds.append(cloud)
        classes.append(names.index(name))
    return Shapes(np.stack(clouds), np.array(classes, np.int64), names)
