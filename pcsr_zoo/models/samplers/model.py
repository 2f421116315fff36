"""The classical samplers: farthest point, random, Poisson disk, voxel grid."""

from __future__ import annotations

import numpy as np

from ...geometry.fps import farthest_point_sample
from ...geometry.thin import poisson_disk_sample, voxel_sample
from ..base import Context, Sampler


class FPS(Sampler):
    """Farthest point sampling: covers the shape best; the same for any order of the points and any seed, ties aside."""

    name = "fps"
    kind = "subset"
    summary = "farthest point sampling: even cover, deterministic; the default"
    source = "Eldar et al., IEEE TIP 1997"

    def select(self, points: np.ndarray, n: int, context: Context) -> np.ndarray:
        order = np.random.default_rng(context.seed).permutation(len(points))  # ties, as on a grid, fall anywhere
        return order[farthest_point_sample(points[order], n)]


class Random(Sampler):
    """A uniformly random subset."""

    name = "random"
    kind = "subset"
    summary = "uniformly random points: the fastest, uneven"
    source = "baseline"

    def select(self, points: np.ndarray, n: int, context: Context) -> np.ndarray:
        return np.sort(np.random.default_rng(context.seed).choice(len(points), n, replace=False))


class PoissonDisk(Sampler):
    """A Poisson-disk subset: no two points nearer than a radius, chosen so that exactly n stay."""

    name = "poisson"
    kind = "subset"
    summary = "Poisson-disk subset by dart throwing: blue noise, random by seed"
    source = "Cook, ACM TOG 1986; Bridson, SIGGRAPH 2007"

    def select(self, points: np.ndarray, n: int, context: Context) -> np.ndarray:
        return poisson_disk_sample(points, n, context.seed)


class Voxel(Sampler):
    """One point for each occupied cell of a grid."""

    name = "voxel"
    kind = "subset"
    summary = "one point per voxel: fast on millions of points"
    source = "voxel grid filter (Rusu and Cousins, ICRA 2011)"

    def select(self, points: np.ndarray, n: int, context: Context) -> np.ndarray:
        return voxel_sample(points, n, context.seed)
