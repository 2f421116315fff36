"""The field's patch files: HDF5 with one array of sparse and one of dense patches (PU-Net, PU-GAN, PU1K)."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DependencyError, FileError, OptionError
from ..io.files import readable_file

# In the order of preference. Poisson-disk inputs before Monte Carlo ("mc") and random ones.
_PREFIXES = ("poisson", "mc", "random", "montecarlo")


def read_patches(
    path: str | os.PathLike[str], sparse_key: str | None = None, dense_key: str | None = None
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Sparse patches (P, n, 3) and dense ones (P, m, 3) of a file such as PUGAN_poisson_256_poisson_1024.h5.

    Normals and other columns behind x, y, z are left out. The coordinates are those of the file.

    Args:
        path: the file.
        sparse_key, dense_key: names of its data sets. By default, of those named KIND_COUNT (`poisson_256`,
            `mc_1024`), the one with the largest COUNT is dense, and the one with the next smaller COUNT is sparse,
            Poisson before Monte Carlo where both are there.

    Raises:
        DependencyError: h5py is not installed.
        FileError: the file cannot be read, has no such data sets, or they do not fit together.
        OptionError: `sparse_key` or `dense_key` is not in the file.
    """
    try:
        import h5py
    except ImportError as error:
        raise DependencyError(
            f"h5py is needed to read {path}; install it with: pip install h5py (or pip install 'pcsr-zoo[h5]')"
        ) from error
    path = readable_file(path)
    try:
        with h5py.File(path, "r") as file:
            counts = {name: _count(name, item.shape) for name, item in file.items() if isinstance(item, h5py.Dataset)}
            for key in (sparse_key, dense_key):
                if key is not None and key not in counts:
                    raise OptionError(f"{path} has no data set '{key}'; there are: {', '.join(counts) or 'none'}")
            dense_key = dense_key or _pick(counts, None)
            sparse_key = sparse_key or _pick(counts, counts.get(dense_key or ""))
            if dense_key is None or sparse_key is None:
                raise FileError(
                    f"{path} has no pair of data sets such as poisson_256 and poisson_1024; name them by sparse_key "
                    f"and dense_key; there are: {', '.join(counts) or 'none'}"
                )
            sparse, dense = _read(file[sparse_key], path), _read(file[dense_key], path)
    except OSError as error:
        raise FileError(f"{path} cannot be read as HDF5: {error}") from None
    if len(sparse) != len(dense):
        raise FileError(f"{path}: '{sparse_key}' has {len(sparse)} patches and '{dense_key}' has {len(dense)}")
    return sparse, dense


def _count(name: str, shape: tuple[int, ...]) -> int:
    """The COUNT of a name KIND_COUNT whose data set is (P, COUNT, C); 0 for all else."""
    kind, _, count = name.rpartition("_")
    fits = kind in _PREFIXES and count.isdigit() and len(shape) == 3 and shape[2] >= 3
    return int(count) if fits else 0


def _pick(counts: dict[str, int], below: int | None) -> str | None:
    fitting = {name: count for name, count in counts.items() if count and (below is None or count < below)}
    if not fitting:
        return None
    most = max(fitting.values())
    same = [name for name, count in fitting.items() if count == most]
    return min(same, key=lambda name: _PREFIXES.index(name.rpartition("_")[0]))


def _read(dataset: Any, path: Any) -> NDArray[np.float32]:
    array = np.asarray(dataset)
    if array.ndim != 3 or array.shape[2] < 3 or array.dtype.kind not in "fiu":
        raise FileError(
            f"{path}: '{dataset.name.lstrip('/')}' must hold numbers of shape (P, n, 3) or more, got {array.shape}"
        )
    points = np.ascontiguousarray(array[:, :, :3], np.float32)
    if not np.isfinite(points).all():
        row = int(np.flatnonzero(~np.isfinite(points).all(axis=(1, 2)))[0])
        raise FileError(f"{path}: patch {row} of '{dataset.name.lstrip('/')}' has NaN or infinite coordinates")
    return points
