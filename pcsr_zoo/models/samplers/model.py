"""The classical samplers: farthest point, random, Poisson disk, voxel grid."""

from __future__ import annotations

import numpy as np

from ...geometry.fps import farthest_point_sample
from ...geometry.thin import poisson_disk_sample, voxel_sample
from ..base import Context, Sampler


class FPS(Sampler):
    """Farthest point sampling, the most even coverage. Order and seed change the result only where distances tie."""

    name = "fps"
    kind = "subset"
    summary = "farthest point sampling: even coverage, deterministic; the default"
    source = "Eldar et al., IEEE TIP 1997"

    def select(self, points: np.ndarray, n: int, context: Context) -> np.ndarray:
        order = np.random.default_rng(context.seed).permutation(len(points))  # distances may tie, as on a grid
        return order[farthest_point_sample(points[order], n)]


class Random(Sampler):
    """A uniformly random subset."""

    name = "random"
    kind = "subset"
    summary = "uniformly random points: the fastest, but uneven"
    source = "baseline"

    def select(self, points: np.ndarray, n: int, context: Context) -> np.ndarray:
        return np.sort(np.random.default_rng(context.seed).choice(len(points), n, replace=False))


class PoissonDisk(Sampler):
    """A Poisson-disk subset: no two points are closer than a radius, which is chosen so that n points stay."""

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
