"""PU-GAN's test set: 27 shapes with 2048 input points and 8192 ground-truth points; 21 of them have a mesh."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..cloud import Cloud
from ..errors import CloudError, FileError, OptionError
from ..metrics.surface import Surface

INPUT, GROUND_TRUTH, MESH = "input_2048", "gt_8192", "mesh"

# The published input of this shape is not a subset of its ground truth: its frame differs by 0.35 %.
_REMADE_INPUTS = frozenset({"fandisk"})


@dataclass(frozen=True)
class PUGANShape:
    """A test shape. Files are read on first use and cached.

    Attributes:
        name: for example "camel".
        input_path, gt_path: text files of x y z rows.
        mesh_path: the mesh in the same frame, or None.
    """

    name: str
    input_path: Path
    gt_path: Path
    mesh_path: Path | None

    @cached_property
    def gt(self) -> NDArray[np.float64]:
        """The ground truth, (8192, 3): a Poisson-disk sampling of the mesh."""
        return read_xyz(self.gt_path)

    @cached_property
    def input(self) -> NDArray[np.float64]:
        """The sparse input, (2048, 3): a random subset of the ground truth.

        The published input of `fandisk` has another frame than its ground truth. It is replaced by 2048 points of the
        ground truth by farthest point sampling.
        """
        points = read_xyz(self.input_path)
        if self.name not in _REMADE_INPUTS:
            return points
        from ..geometry.fps import farthest_point_sample

        return self.gt[farthest_point_sample(self.gt, len(points))]

    @cached_property
    def surface(self) -> Surface | None:
        """The mesh, or None."""
        return None if self.mesh_path is None else Surface.read(self.mesh_path)

    def sample(self, n: int, seed: int = 0) -> NDArray[np.float64]:
        """New points (n, 3), evenly spread over the mesh by weighted sample elimination, see `io.mesh.sample_mesh`.

        The same seed gives the same points.

        Raises:
            OptionError: the shape has no mesh.
        """
        from ..io.mesh import sample_mesh
        from ..io.trimesh import Mesh

        if self.surface is None:
            raise OptionError(f"the test shape '{self.name}' has no mesh to sample")
        mesh = Mesh(Cloud(self.surface.vertices), self.surface.triangles)
        return sample_mesh(mesh, n, seed, self.name).positions


class PUGANTestSet(Sequence[PUGANShape]):
    """The shapes of a folder, sorted by name.

    The folder, or its subfolder `pugan`, has `input_2048/*.xyz`, `gt_8192/*.xyz` and `mesh/*.off`. The mesh of a shape
    may be missing, its ground truth may not.

    Args:
        root: the folder.
        shapes: names of shapes, in this order; None for all shapes.

    Raises:
        FileError: a folder or file is missing; the message says where it should be.
        OptionError: `shapes` has an unknown name.
    """

    def __init__(self, root: str | os.PathLike[str], shapes: Sequence[str] | None = None) -> None:
        self.root = _find_root(Path(root))
        found: dict[str, PUGANShape] = {}
        for input_path in sorted((self.root / INPUT).glob("*.xyz")):
            name = input_path.stem
            gt_path = self.root / GROUND_TRUTH / f"{name}.xyz"
            if not gt_path.is_file():
                raise FileError(f"{gt_path}: the ground truth of '{name}' is missing ({input_path} has its input)")
            mesh_path = self.root / MESH / f"{name}.off"
            found[name] = PUGANShape(name, input_path, gt_path, mesh_path if mesh_path.is_file() else None)
        if not found:
            raise FileError(f"{self.root / INPUT}: no .xyz files; the inputs of the test shapes should be here")
        unknown = [name for name in shapes or () if name not in found]
        if unknown:
            raise OptionError(f"there is no test shape '{unknown[0]}' in {self.root}; choose from: {', '.join(found)}")
        self._shapes = list(found.values()) if shapes is None else [found[name] for name in shapes]

    @property
    def names(self) -> list[str]:
        """The names of the shapes, in the order of the set."""
        return [shape.name for shape in self._shapes]

    @property
    def with_mesh(self) -> list[PUGANShape]:
        """The shapes that have a mesh."""
        return [shape for shape in self._shapes if shape.mesh_path is not None]

    def __len__(self) -> int:
        return len(self._shapes)

    def __getitem__(self, index: Any) -> Any:
        """The shape at a place or of a name; a list of shapes for a slice."""
        return self._shapes[self.names.index(index) if isinstance(index, str) else index]

    def __iter__(self) -> Iterator[PUGANShape]:
        return iter(self._shapes)

    def __repr__(self) -> str:
        return f"PUGANTestSet({len(self)} shapes, {len(self.with_mesh)} with a mesh)"


def _find_root(root: Path) -> Path:
    for candidate in (root, root / "pugan"):
        if (candidate / INPUT).is_dir():
            if not (candidate / GROUND_TRUTH).is_dir():
                raise FileError(f"{candidate / GROUND_TRUTH}: the folder of the 8192-point ground truths is missing")
            return candidate
    raise FileError(
        f"{root}: no PU-GAN test set here; it should hold the folders {INPUT}, {GROUND_TRUTH} and {MESH},"
        " itself or in a sub-folder 'pugan'"
    )


def read_xyz(path: Path) -> NDArray[np.float64]:
    """The first three columns (N, 3) of a text file of numbers.

    Raises:
        FileError: the file is missing, or not rows of at least three finite numbers.
    """
    try:
        points = np.loadtxt(path, dtype=np.float64, ndmin=2)
    except OSError as error:
        raise FileError(f"{path}: cannot be read: {error.strerror or error}") from None
    except ValueError as error:
        raise FileError(f"{path}: not rows of numbers: {error}") from None
    if points.shape[1] < 3 or not len(points):
        raise FileError(f"{path}: rows of x y z are needed, got an array of shape {points.shape}")
    try:
        return Cloud(points[:, :3]).validate(str(path)).positions
    except CloudError as error:
        raise FileError(str(error)) from None
