"""Generated training shapes: smooth, creased, thin, of high genus, and open. The package's license applies to them.

A shape is determined by (seed, index): the index selects the family, and both seed the random choices.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components

from ...errors import OptionError
from .shape_solids import SOLIDS, contour
from .shape_surfaces import SURFACES

FAMILIES = (*SOLIDS, *SURFACES)
_TRIES = 10
_FEWEST_TRIANGLES = 500
_CRUMB = 0.03  # smaller parts, relative to the area of the largest part, are removed


def generate_mesh(seed: int, index: int) -> tuple[NDArray[np.float64], NDArray[np.int64], str]:
    """A generated shape: vertices (V, 3) within about 1 of the origin, triangles (F, 3), and a name.

    Solids are closed and have outward normals; the open surfaces of `shape_surfaces` have borders. The shape is rotated
    at random. The name is "generated/FAMILY-SEED-INDEX".

    Raises:
        OptionError: the seed or the index is negative.
    """
    if seed < 0 or index < 0:
        raise OptionError(f"the seed and the index of a generated shape must not be negative, got {seed} and {index}")
    family = FAMILIES[index % len(FAMILIES)]
    rng = np.random.default_rng([seed, index])
    for _ in range(_TRIES):
        vertices, triangles = contour(*SOLIDS[family](rng)) if family in SOLIDS else SURFACES[family](rng)
        if len(triangles) >= _FEWEST_TRIANGLES:
            break
    else:  # pragma: no cover - no family fails so often
        raise RuntimeError(f"the family {family} gives no surface for the seed {seed} and the index {index}")
    vertices, triangles = without_crumbs(vertices, triangles)
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    vertices = (vertices - (low + high) / 2) @ random_rotation(rng).T
    return vertices, triangles, f"generated/{family}-{seed}-{index}"


def without_crumbs(vertices: np.ndarray, triangles: np.ndarray) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The mesh without small disconnected parts and without unused vertices."""
    count = len(vertices)
    edges = np.concatenate([triangles[:, :2], triangles[:, 1:]])
    graph = csr_matrix((np.ones(len(edges)), edges.T), shape=(count, count))
    part = connected_components(graph, directed=False)[1][triangles[:, 0]]
    a, b, c = (vertices[triangles[:, k]] for k in range(3))
    areas = np.bincount(part, np.linalg.norm(np.cross(b - a, c - a), axis=1))
    kept = triangles[(areas >= _CRUMB * areas.max())[part]]
    used, index = np.unique(kept, return_inverse=True)
    return vertices[used], index.reshape(-1, 3)


def random_rotation(rng: np.random.Generator) -> NDArray[np.float64]:
    """A uniformly random rotation matrix (3, 3), from a random unit quaternion."""
    w, x, y, z = (q := rng.normal(size=4)) / np.linalg.norm(q)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )
