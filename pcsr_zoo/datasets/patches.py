"""Training examples drawn on the fly from a training file: patches and whole clouds, augmented.

Everything is fixed by (seed, step): any step can be drawn again, in any order, by any process. Examples of one step
can be shared out: number k of the batch depends on (seed, step, k) alone.
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
_BALL = 2.2  # points looked at for each point of a patch: more than both sides of a thin sheet
_OVERSAMPLING = 4  # candidates for each point of an even subset


@dataclass(frozen=True)
class Augmentation:
    """What varies from example to example.

    Attributes:
        densities: the share of examples whose sparse points are an even (Poisson-disk) subset of the surface, a
            random one, or one whose density varies over it.
        contrast: of varying density: the greatest ratio of densities is exp(2 contrast).
        noise: Gaussian noise of the sparse points: its standard deviation is drawn between these two, relative to
            the sparse points' spacing, and is zero for half of the examples.
        truncate: noise beyond so many standard deviations is cut off.
        rotate: turn at random.
        scale: the example is multiplied by a factor drawn between these two, the same along all axes.
        region: a patch covers `region` times the points that the dense set has, drawn between these two.

    Raises:
        OptionError: densities or noise make no sense.
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

    A patch has its center (of the dense points' region) at the origin and the radius 1 before `scale`; a cloud is in
    the unit frame.

    Attributes:
        sparse: (B, n, 3), the input.
        dense: (B, m, 3), m = round(ratio n), even: the ground truth. No noise.
        normals: (B, m, 3), unit normals of `dense`.
        sparse_normals: (B, n, 3), of the surface where `sparse` was before the noise.
        noise: (B,), its standard deviation in units of the example; 0 for none.
        shape: (B,) int64, number of the shape in the file.
        scale: (B,), length of the unit frame's radius in units of the example.
    """

    sparse: Any
    dense: Any
    normals: Any
    sparse_normals: Any
    noise: Any
    shape: Any
    scale: Any

    def torch(self, device: Any = None) -> Batch:
        """The same as tensors."""
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
    """The examples of one step.

    Args:
        data: the training file.
        step, seed: fix the examples.
        batch: B, how many.
        kind: "patch": neighborhoods grown over the surface; "cloud": whole shapes, for networks that look at
            neighborhoods in them.
        n_sparse: n, points of the input.
        ratio: m = round(ratio n) dense points, evenly thinned; they are drawn apart from the sparse ones, which need
            not be among them. None (clouds only): all points of the shape, which takes no time.
        shapes: draw from these; by default `data.train`.
        augmentation: by default `Augmentation()`; `NONE` for validation.
        first: number of the first example: first to first + batch - 1 are drawn, so that several processes can share
            a step.

    Raises:
        OptionError: an option makes no sense, or the shapes have too few points.
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
        raise OptionError("there are no shapes to draw from; build the file with a smaller held_out")
    available = int(data.about["points"])
    if ratio is None and kind == "patch":
        raise OptionError("a patch needs a ratio; without one, only whole clouds can be drawn")
    n_dense = available if ratio is None else round(ratio * n_sparse)
    if not n_sparse <= n_dense <= available:
        wanted = f"{n_sparse} sparse and {n_dense} dense points cannot be drawn"
        if n_dense < n_sparse <= available:
            raise OptionError(f"{wanted}: there must be at least as many dense ones; ask for a ratio of 1 or more")
        raise OptionError(
            f"{wanted}: the shapes of the training file have {available} points; ask for fewer, or build the file with "
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
    # two plane waves, about one period over the example, make some sides denser than others
    extent = np.linalg.norm(points, axis=1).max()
    wave = rng.normal(size=(2, 3)) * (2.5 / max(extent, 1e-9))
    level = np.sin(points @ wave.T + rng.uniform(0, 2 * np.pi, 2)).mean(axis=1)
    weight = np.exp(contrast * level)
    return rng.choice(len(points), n, replace=False, p=weight / weight.sum())


def even_subset(points: np.ndarray, n: int, area: float, rng: np.random.Generator) -> NDArray[np.int64]:
    """Indices (n,) of an even subset of points (N, 3) that cover a surface of `area`; in random order."""
    some = rng.permutation(len(points))[: _OVERSAMPLING * n]
    kept = eliminate(points[some], n, area)
    return some[rng.permutation(kept)]


def surface_patch(points: np.ndarray, start: int, count: int) -> NDArray[np.int64]:
    """Indices (count,) of the points nearest to `start` along the surface, nearest first.

    Ways go over a graph of near neighbors among the points nearest in space, somewhat more than twice as many as
    wanted; points that it does not reach come last. So the far side of a thin sheet comes in only round its edge.
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
