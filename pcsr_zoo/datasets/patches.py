"""Training examples drawn from a training file during training: augmented patches and whole clouds.

Example k of a step depends on (seed, step, k) only, so steps can be drawn again, in any order, by any process, and the
examples of a step can be divided among processes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import dijkstra
from scipy.spatial import cKDTree

from ..errors import OptionError
from ..geometry.elimination import eliminate
from .generated.shapes import random_rotation
from .training_set import TrainingSet

KINDS = ("patch", "cloud")
DENSITIES = ("even", "random", "varying")
_GRAPH_NEIGHBORS = 6
_BALL = 2.2  # points in the search ball for each point of a patch: more than both sides of a thin sheet
_OVERSAMPLING = 4  # random candidates for each point of an even subset


@dataclass(frozen=True)
class Augmentation:
    """The random variations of examples.

    Attributes:
        densities: shares of examples whose sparse points are an even (Poisson-disk) subset of the surface, a random
            subset, or a subset of varying density.
        contrast: the largest ratio of varying densities is exp(2 contrast).
        noise: range of the standard deviation of Gaussian noise on the sparse points, in units of their spacing. Half
            of the examples have no noise.
        truncate: the noise is clipped at this number of standard deviations.
        rotate: whether examples are rotated at random.
        scale: range of a random scale factor, the same along all axes.
        region: range of the number of points that a patch covers, in multiples of its number of dense points.

    Raises:
        OptionError: densities or noise are invalid.
    """

    densities: tuple[float, float, float] = (0.4, 0.3, 0.3)
    contrast: float = 1.0
    noise: tuple[float, float] = (0.0, 0.4)
    truncate: float = 3.0
    rotate: bool = True
    scale: tuple[float, float] = (0.8, 1.2)
    region: tuple[float, float] = (1.0, 3.0)

    def __post_init__(self) -> None:
        if min(self.densities) < 0 or not sum(self.densities) > 0:
            raise OptionError(f"densities must be shares, at least one of them above 0, got {list(self.densities)}")
        if not 0 <= self.noise[0] <= self.noise[1]:
            raise OptionError(f"noise must be two numbers of at least 0, ascending, got {list(self.noise)}")


NONE = Augmentation((1.0, 0.0, 0.0), 0.0, (0.0, 0.0), 3.0, False, (1.0, 1.0), (1.0, 1.0))


@dataclass(frozen=True)
class Batch:
    """B examples, float32 arrays (or tensors, see `torch`).

    A patch is centered at the origin and has radius 1 before `scale`; a cloud is in the unit frame.

    Attributes:
        sparse: (B, n, 3), the input.
        dense: (B, m, 3), m = round(ratio n), even, without noise: the ground truth.
        normals: (B, m, 3), unit normals of `dense`.
        sparse_normals: (B, n, 3), unit normals of `sparse` before the noise.
        noise: (B,), the standard deviation of the noise in units of the example; 0 for none.
        shape: (B,) int64, index of the shape in the file.
        scale: (B,), the radius of the shape's unit frame in units of the example.
    """

    sparse: Any
    dense: Any
    normals: Any
    sparse_normals: Any
    noise: Any
    shape: Any
    scale: Any

    def torch(self, device: Any = None) -> Batch:
        """The same batch as torch tensors."""
        import torch

        return Batch(*(torch.from_numpy(getattr(self, f.name)).to(device) for f in fields(self)))


def draw(
    data: TrainingSet,
    step: int,
    seed: int,
    batch: int,
    kind: str = "patch",
    n_sparse: int = 256,
    ratio: float | None = 4.0,
    *,
    shapes: Sequence[int] | None = None,
    augmentation: Augmentation | None = None,
    first: int = 0,
) -> Batch:
    """Draw the examples of one step.

    Args:
        data: the training file.
        step, seed: the step and the seed, which determine the examples.
        batch: B, the number of examples.
        kind: "patch" for neighborhoods along the surface; "cloud" for whole shapes.
        n_sparse: n, the number of input points.
        ratio: the ground truth has m = round(ratio n) evenly thinned points, drawn independently of the sparse points.
            None, for clouds only, uses all points of the shape, which is faster.
        shapes: indices of the shapes to draw from; by default `data.train`.
        augmentation: the random variations; by default `Augmentation()`. Use `NONE` for validation.
        first: number of the first example of the step, for steps that are divided among processes.

    Raises:
        OptionError: an option is invalid, or the shapes have too few points.
    """
    if kind not in KINDS:
        raise OptionError(f"kind '{kind}' is unknown; use {' or '.join(KINDS)}")
    if batch < 1 or n_sparse < 1 or step < 0 or seed < 0 or first < 0:
        raise OptionError(
            "batch and n_sparse must be at least 1, step, seed and first at least 0; "
            f"got {batch}, {n_sparse}, {step}, {seed}, {first}"
        )
    chosen = data.train if shapes is None else list(shapes)
    if not chosen:
        raise OptionError("there are no training shapes; build the file with a smaller held-out share")
    available = int(data.about["points"])
    if ratio is None and kind == "patch":
        raise OptionError("a patch needs a ratio; only whole clouds can be drawn without one")
    n_dense = available if ratio is None else round(ratio * n_sparse)
    if not n_sparse <= n_dense <= available:
        wanted = f"{n_sparse} sparse and {n_dense} dense points cannot be drawn"
        if n_dense < n_sparse <= available:
            raise OptionError(f"{wanted}: use a ratio of at least 1")
        raise OptionError(
            f"{wanted}: the shapes of the training file have {available} points; use fewer, or build the file with "
            "more (pcsr data build --points)"
        )
    settings = augmentation or Augmentation()
    examples = [
        _example(data, chosen, np.random.default_rng([seed, step, k]), kind, n_sparse, n_dense, settings)
        for k in range(first, first + batch)
    ]
    columns = list(zip(*examples, strict=True))
    stacked = [np.stack(column).astype(np.float32) for column in columns]
    stacked[5] = np.array(columns[5], np.int64)
    return Batch(*stacked)


def _example(
    data: TrainingSet, shapes: Sequence[int], rng: np.random.Generator, kind: str, n: int, m: int, use: Augmentation
) -> tuple[Any, ...]:
    number = int(shapes[int(rng.integers(len(shapes)))])
    points, normals = data.points(number).astype(np.float64), data.normals(number).astype(np.float64)
    area = data.shapes[number].area
    factor = 1.0
    if kind == "patch":
        wanted = int(np.clip(m * np.exp(rng.uniform(*np.log(use.region))), m, len(points)))
        region = surface_patch(points, int(rng.integers(len(points))), wanted)
        area *= len(region) / len(points)
        points, normals = points[region], normals[region]
        points = points - (points.min(axis=0) + points.max(axis=0)) / 2
        factor = 1 / max(float(np.linalg.norm(points, axis=1).max()), 1e-9)
    factor *= float(np.exp(rng.uniform(*np.log(use.scale))))
    points, area = points * factor, area * factor**2
    if use.rotate:
        turn = random_rotation(rng)
        points, normals = points @ turn.T, normals @ turn.T

    dense = even_subset(points, m, area, rng)
    density = DENSITIES[int(rng.choice(3, p=np.array(use.densities) / sum(use.densities)))]
    chosen = _sparse(points, n, area, density, use.contrast, rng)
    sparse, level = points[chosen], 0.0
    if use.noise[1] > 0 and rng.random() < 0.5:
        level = rng.uniform(*use.noise) * float(np.sqrt(area / n))
        sparse = sparse + level * np.clip(rng.normal(size=sparse.shape), -use.truncate, use.truncate)
    return sparse, points[dense], normals[dense], normals[chosen], level, number, factor


def _sparse(
    points: np.ndarray, n: int, area: float, density: str, contrast: float, rng: np.random.Generator
) -> np.ndarray:
    if density == "even":
        return even_subset(points, n, area, rng)
    if density == "random":
        return rng.choice(len(points), n, replace=False)
    # the density is modulated by two plane waves with a period of about the size of the example
    extent = np.linalg.norm(points, axis=1).max()
    wave = rng.normal(size=(2, 3)) * (2.5 / max(extent, 1e-9))
    level = np.sin(points @ wave.T + rng.uniform(0, 2 * np.pi, 2)).mean(axis=1)
    weight = np.exp(contrast * level)
    return rng.choice(len(points), n, replace=False, p=weight / weight.sum())


def even_subset(points: np.ndarray, n: int, area: float, rng: np.random.Generator) -> NDArray[np.int64]:
    """Indices (n,), in random order, of an even subset of points (N, 3) on a surface of this area."""
    some = rng.permutation(len(points))[: _OVERSAMPLING * n]
    kept = eliminate(points[some], n, area)
    return some[rng.permutation(kept)]


def surface_patch(points: np.ndarray, start: int, count: int) -> NDArray[np.int64]:
    """Indices (count,) of the points closest to point `start` along the surface, closest first.

    Distances are shortest paths in a neighbor graph of the 2.2 count points that are nearest in space; points that are
    not connected come last. The opposite side of a thin sheet is reached only around its edge.
    """
    if count >= len(points):
        return np.arange(len(points))
    size = min(round(_BALL * count), len(points))
    squared = ((points - points[start]) ** 2).sum(axis=1)
    ball = np.argpartition(squared, size - 1)[:size]
    ball = ball[np.argsort(squared[ball], kind="stable")]
    local = points[ball]
    distance, neighbor = cKDTree(local).query(local, k=min(_GRAPH_NEIGHBORS + 1, len(local)))
    rows = np.repeat(np.arange(len(local)), neighbor.shape[1])
    graph = csr_matrix((np.maximum(distance.ravel(), 1e-12), (rows, neighbor.ravel())), shape=(len(local), len(local)))
    return ball[np.argsort(dijkstra(graph, directed=False, indices=0), kind="stable")[:count]]
