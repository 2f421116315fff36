"""Codecs for positions, as a comparison with sampling and recovery: Draco and LAZ.

Both round positions to a grid of 2^bits steps along the bounding cube and encode the cells without loss. Both get the
points in their best order (Draco chooses it, LAZ gets a space-filling curve), the smallest header and no attributes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DependencyError
from ..geometry.fps import farthest_point_sample
from ..geometry.frames import UnitFrame
from ..geometry.grid import MOST_BITS, Grid, morton_order

Points = NDArray[np.float64]

_NEAR = 0.02  # file sizes that differ by less count as equal
_FINER = 4  # number of finer grids that are tried with fewer points


class Codec(ABC):
    """A file format for positions."""

    name: str
    suffix: str

    @abstractmethod
    def require(self) -> None:
        """Raise a DependencyError that says what to install if the codec is not installed."""

    @abstractmethod
    def write(self, points: Points, grid: Grid, bits: int, path: Path) -> None:
        """Write (N, 3) points, rounded to a grid of `bits` bits per axis."""

    @abstractmethod
    def read(self, path: Path, grid: Grid) -> NDArray[np.float64]:
        """Read the positions (N, 3), in the order of the codec."""

    def size(self, points: np.ndarray, bits: int, folder: Path) -> int:
        """Bytes of the file with (N, 3) points on a grid over their own bounding cube."""
        return self.store(points, bits, folder)[0].stat().st_size

    def store(self, points: np.ndarray, bits: int, folder: Path) -> tuple[Path, Grid]:
        """Write (N, 3) points to a file; returns its path and the grid."""
        grid, path = Grid.of(points, bits), folder / f"codec{self.suffix}"
        self.write(points, grid, bits, path)
        return path, grid


class Draco(Codec):
    """Google's Draco with DracoPy, at its strongest compression. It merges points that are equal."""

    name, suffix = "draco", ".drc"

    def require(self) -> None:
        try:
            import DracoPy  # noqa: F401
        except ImportError as error:
            raise DependencyError('Draco requires DracoPy; install it with: pip install "pcsr-zoo[codecs]"') from error

    def write(self, points: Points, grid: Grid, bits: int, path: Path) -> None:
        import DracoPy

        # Draco computes in float32, which is too coarse far from the origin. The size of its header does not depend on
        # the origin that is stored.
        coded = DracoPy.encode(
            ((points - grid.origin) / grid.step).astype(np.float32),
            quantization_bits=bits,
            compression_level=10,
            quantization_range=float(2**bits - 1),
            quantization_origin=[0.0, 0.0, 0.0],
        )
        path.write_bytes(coded)

    def read(self, path: Path, grid: Grid) -> NDArray[np.float64]:
        import DracoPy

        cells = np.rint(np.asarray(DracoPy.decode(path.read_bytes()).points, dtype=np.float64))
        return grid.points(cells)


class LAZ(Codec):
    """LAZ with laspy and lazrs: LAS 1.2, point format 0."""

    name, suffix = "laz", ".laz"

    def require(self) -> None:
        from ..io.las import import_laspy

        try:
            import_laspy(Path("positions.laz"))
        except DependencyError as error:
            raise DependencyError(
                'LAZ requires laspy and lazrs; install them with: pip install "pcsr-zoo[las]"'
            ) from error

    def write(self, points: Points, grid: Grid, bits: int, path: Path) -> None:
        import laspy

        cells = grid.cells(points)
        header = laspy.LasHeader(version="1.2", point_format=0)
        header.scales, header.offsets = np.full(3, grid.step), grid.origin
        las = laspy.LasData(header, laspy.ScaleAwarePointRecord.zeros(len(cells), header=header))
        las.X, las.Y, las.Z = cells[morton_order(cells)].astype(np.int32).T
        las.write(str(path), do_compress=True)

    def read(self, path: Path, grid: Grid) -> NDArray[np.float64]:
        import laspy

        return np.array(laspy.read(str(path)).xyz, dtype=np.float64)


CODECS: tuple[Codec, ...] = (Draco(), LAZ())


def at_equal_bytes(
    codec: Codec, points: Points, target: int, folder: Path, compare: Callable[[Points], dict[str, Any]]
) -> list[tuple[str, int, int, int, Points]]:
    """Encode (N, 3) points in about `target` bytes.

    The first row has all points, on the grid whose file size is closest to the target. If it differs by more than 2 %,
    a second row has as many points of a farthest point sampling as fit, on the finer grid with the lowest Chamfer
    distance.

    Returns:
        Rows of (name, bits per axis, number of points, bytes, decoded positions).
    """

    def result(bits: int, chosen: Points, name: str) -> tuple[str, int, int, int, Points]:
        path, grid = codec.store(chosen, bits, folder)
        return name, bits, len(chosen), path.stat().st_size, codec.read(path, grid)

    sizes = {}
    for bits in range(1, MOST_BITS + 1):
        sizes[bits] = codec.size(points, bits, folder)
        if sizes[bits] >= target:
            break
    nearest = min(sizes, key=lambda bits: abs(sizes[bits] - target))
    rows = [result(nearest, points, codec.name)]
    if abs(sizes[nearest] - target) <= _NEAR * target or sizes[max(sizes)] < target:
        return rows
    first = max(sizes)  # the coarsest grid on which all points take too many bytes
    most = min(len(points), int(1.5 * len(points) * target / sizes[first]) + 64)
    order = points[farthest_point_sample(UnitFrame.of(points).to_unit(points), most)]
    fitting = []
    for bits in range(first, min(first + _FINER, MOST_BITS) + 1):
        count = _fitting_count(codec, order, bits, target, folder)
        if count:
            fitting.append(result(bits, order[:count], f"fps+{codec.name}"))
    return rows + sorted(fitting, key=lambda row: compare(row[4])["cd"])[:1]


def _fitting_count(codec: Codec, order: Points, bits: int, target: int, folder: Path) -> int:
    """The number of leading points that fit into `target` bytes, by bisection; 0 if fewer than two fit."""
    low, high = 0, len(order)
    while high - low > max(1, high // 200):
        middle = (low + high + 1) // 2
        fits = middle >= 2 and codec.size(order[:middle], bits, folder) <= target
        low, high = (middle, high) if fits else (low, middle - 1 if middle > 1 else 0)
    return low if low >= 2 else 0
