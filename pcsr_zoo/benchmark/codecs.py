"""General codecs for positions, to set sampling and recovery beside: Draco and LAZ.

Both quantize to a grid of 2^bits steps over the bounding cube and code the cells without loss. Both get the points as
they like them best: in Draco's own order, for LAZ along a space-filling curve; the leanest header; no attributes.
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

_NEAR = 0.02  # bytes that differ by less are equal
_FINER = 4  # so many more bits are tried for fewer points


class Codec(ABC):
    """Writes positions to a file and reads them."""

    name: str
    suffix: str

    @abstractmethod
    def require(self) -> None:
        """Raise a DependencyError, which says what to install, where the codec is not there."""

    @abstractmethod
    def write(self, points: Points, grid: Grid, bits: int, path: Path) -> None:
        """(N, 3) points, rounded to a grid of `bits` bits."""

    @abstractmethod
    def read(self, path: Path, grid: Grid) -> NDArray[np.float64]:
        """The positions (N, 3), in an order of the codec's."""

    def size(self, points: np.ndarray, bits: int, folder: Path) -> int:
        """Bytes of the file with (N, 3) points on a grid of their own."""
        return self.store(points, bits, folder)[0].stat().st_size

    def store(self, points: np.ndarray, bits: int, folder: Path) -> tuple[Path, Grid]:
        """The file with (N, 3) points, and the grid that they are on in it."""
        grid, path = Grid.of(points, bits), folder / f"codec{self.suffix}"
        self.write(points, grid, bits, path)
        return path, grid


class Draco(Codec):
    """Google's Draco through DracoPy, at its strongest compression. Of points that are equal it keeps one."""

    name, suffix = "draco", ".drc"

    def require(self) -> None:
        try:
            import DracoPy  # noqa: F401
        except ImportError as error:
            raise DependencyError('Draco needs DracoPy; install it with: pip install "pcsr-zoo[codecs]"') from error

    def write(self, points: Points, grid: Grid, bits: int, path: Path) -> None:
        import DracoPy

        # Draco works in float32, which is too coarse far from the origin. Its header has room for an origin whatever
        # it is: the file is as large as it would be with the grid's.
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
    """LAZ through laspy and lazrs: LAS 1.2, point format 0."""

    name, suffix = "laz", ".laz"

    def require(self) -> None:
        from ..io.las import import_laspy

        try:
            import_laspy(Path("positions.laz"))
        except DependencyError as error:
            raise DependencyError(
                'LAZ needs laspy and lazrs; install them with: pip install "pcsr-zoo[las]"'
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
    """What the codec makes of the (N, 3) points in about `target` bytes: rows of name, bits, points, bytes, result.

    The first has all points, on the grid whose file is nearest to the target. If that misses it by 2 %, a second has as
    many points of a farthest point sampling as fit, on the finer grid that gives the lowest Chamfer distance.
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
    first = max(sizes)  # the first level at which all points are too many
    most = min(len(points), int(1.5 * len(points) * target / sizes[first]) + 64)
    order = points[farthest_point_sample(UnitFrame.of(points).to_unit(points), most)]
    fitting = []
    for bits in range(first, min(first + _FINER, MOST_BITS) + 1):
        count = _fitting_count(codec, order, bits, target, folder)
        if count:
            fitting.append(result(bits, order[:count], f"fps+{codec.name}"))
    return rows + sorted(fitting, key=lambda row: compare(row[4])["cd"])[:1]


def _fitting_count(codec: Codec, order: Points, bits: int, target: int, folder: Path) -> int:
    """How many of the first points fit into `target` bytes, by bisection; 0 where even two do not."""
    low, high = 0, len(order)
    while high - low > max(1, high // 200):
        middle = (low + high + 1) // 2
        fits = middle >= 2 and codec.size(order[:middle], bits, folder) <= target
        low, high = (middle, high) if fits else (low, middle - 1 if middle > 1 else 0)
    return low if low >= 2 else 0
