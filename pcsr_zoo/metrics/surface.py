"""A triangle mesh as two arrays: the reference surface of a metric."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import CloudError, FileError


@dataclass(frozen=True, eq=False)
class Surface:
    """A triangle mesh.

    Attributes:
        vertices: (V, 3) float64.
        triangles: (T, 3) int64 rows of `vertices`; T >= 1.

    Raises:
        CloudError: the arrays are not a mesh; the message says why.
    """

    vertices: NDArray[np.float64]
    triangles: NDArray[np.int64]

    def __post_init__(self) -> None:
        vertices = np.ascontiguousarray(self.vertices, dtype=np.float64)
        triangles = np.ascontiguousarray(self.triangles, dtype=np.int64)
        if vertices.ndim != 2 or vertices.shape[1] != 3:
            raise CloudError(f"mesh vertices must have the shape (V, 3), got {vertices.shape}")
        if triangles.ndim != 2 or triangles.shape[1] != 3:
            raise CloudError(f"mesh triangles must have the shape (T, 3), got {triangles.shape}")
        if not len(triangles):
            raise CloudError("the mesh has no triangles; give a mesh, not a point cloud")
        if triangles.min() < 0 or triangles.max() >= len(vertices):
            raise CloudError(f"a mesh triangle has a vertex index outside of 0 to {len(vertices) - 1}")
        if not np.isfinite(vertices).all():
            row = int(np.flatnonzero(~np.isfinite(vertices).all(axis=1))[0])
            raise CloudError(f"mesh vertex {row} is NaN or infinite")
        object.__setattr__(self, "vertices", vertices)
        object.__setattr__(self, "triangles", triangles)

    @property
    def area(self) -> float:
        """The sum of the triangles' areas, in squared units of the mesh. Duplicate faces count twice."""
        a, b, c = (self.vertices[self.triangles[:, k]] for k in range(3))
        return float(np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2)

    @staticmethod
    def read(path: str | os.PathLike[str]) -> Surface:
        """Read a mesh file; `pcsr_zoo.io.mesh.read_mesh` lists the formats.

        Raises:
            FileError: the file is missing, cannot be read, or has no triangles.
        """
        from ..io.mesh import read_mesh

        try:
            return Surface(*read_mesh(path))
        except CloudError as error:
            raise FileError(f"{os.fspath(path)}: {error}") from None


def as_surface(mesh: Any) -> Surface:
    """A Surface from itself, a (vertices, triangles) pair, a legacy Open3D mesh or the path of a file."""
    if isinstance(mesh, Surface):
        return mesh
    if isinstance(mesh, (str, os.PathLike)):
        return Surface.read(mesh)
    if isinstance(mesh, (tuple, list)) and len(mesh) == 2:
        return Surface(np.asarray(mesh[0]), np.asarray(mesh[1]))
    if hasattr(mesh, "vertices") and hasattr(mesh, "triangles"):
        return Surface(np.asarray(mesh.vertices), np.asarray(mesh.triangles))
    raise CloudError(f"cannot use a {type(mesh).__name__} as a mesh; give a path or (vertices, triangles)")
