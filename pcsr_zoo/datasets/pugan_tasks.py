"""The tasks of the benchmark: input and ground truth for each of PU-GAN's test shapes."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import OptionError
from .pugan import PUGANShape

Points = NDArray[np.float64]


@dataclass(frozen=True)
class Task:
    """A task of the benchmark.

    Attributes:
        id: the name on the command line.
        protocol: one or two sentences for tables.
        n_in: number of input points of the upsampling.
        n_out: number of output points.
        given: (shape, seed) -> the input (n_in, 3); if `recovers`, the dense cloud that is sampled to n_in points.
        truth: (shape, seed) -> the ground truth (M, 3).
        recovers: whether a sampler runs before the upsampling.
        needs_mesh: whether only shapes with a mesh can be used.
        note: a note on the comparison with published numbers.
        seeds: how many seeds a row takes, seed, seed + 1, ...; above 1 where the input is random.
    """

    id: str
    protocol: str
    n_in: int
    n_out: int
    given: Callable[[PUGANShape, int], Points]
    truth: Callable[[PUGANShape, int], Points]
    recovers: bool = False
    needs_mesh: bool = False
    note: str = ""
    seeds: int = 1


def shape_rng(shape: PUGANShape, seed: int, stream: int = 0) -> np.random.Generator:
    """Independent random numbers for each shape and each use (`stream`)."""
    return np.random.default_rng((seed, zlib.crc32(shape.name.encode()), stream))


def radius_of(points: Points) -> float:
    """The largest distance from the mean of points (N, 3), in their unit."""
    return float(np.linalg.norm(points - points.mean(axis=0), axis=1).max())


def add_noise(points: Points, sigma: float, limit: float, rng: np.random.Generator) -> Points:
    """Points (N, 3) with Gaussian noise of `sigma` times the radius, clipped at `limit` times the radius."""
    noise = np.clip(rng.normal(size=points.shape) * sigma, -limit, limit)
    return points + radius_of(points) * noise


def _input(shape: PUGANShape, seed: int) -> Points:
    return shape.input


def _ground_truth(shape: PUGANShape, seed: int) -> Points:
    return shape.gt


def _random(n: int) -> Callable[[PUGANShape, int], Points]:
    def given(shape: PUGANShape, seed: int) -> Points:
        return shape.gt[shape_rng(shape, seed, stream=2).choice(len(shape.gt), n, replace=False)]

    return given


def _fps_512(shape: PUGANShape, seed: int) -> Points:
    from ..geometry.fps import farthest_point_sample

    return shape.gt[farthest_point_sample(shape.gt, 512)]


def _recovery(ratio: int) -> Task:
    n = 8192 // ratio
    protocol = (
        f"Sampling and recovery x{ratio}: the 8192-point ground truth, sampled by the model's sampler "
        f"(farthest point sampling if it has none) to {n} points, recovered to 8192."
    )
    return Task(f"pcsr{ratio}", protocol, n, 8192, _ground_truth, _ground_truth, recovers=True)


def _noisy(level: float) -> Task:
    def given(shape: PUGANShape, seed: int) -> Points:
        return add_noise(shape.input, level, 0.03, shape_rng(shape, seed))

    protocol = (
        f"Upsampling x4 of noisy input: input_2048 plus Gaussian noise of {level:g} of the cloud's radius, "
        "each coordinate cut off at 0.03 of it, to 8192, against the clean ground truth."
    )
    return Task(f"noise-{level:g}", protocol, 2048, 8192, given, _ground_truth)


_UP4 = Task(
    "up4",
    "Upsampling x4: input_2048 to 8192, against gt_8192.",
    n_in=2048,
    n_out=8192,
    given=_input,
    truth=_ground_truth,
    note="The input is a part of the ground truth, so a quarter of the answer is given: CD may be below that of "
    "`floor`, and is lower than in up4-independent.",
)
_UP4_INDEPENDENT = Task(
    "up4-independent",
    "Upsampling x4 of an independent input: 2048 new Poisson-disk points of the mesh, to 8192, against gt_8192.",
    n_in=2048,
    n_out=8192,
    given=lambda shape, seed: shape.sample(2048, seed),
    truth=_ground_truth,
    needs_mesh=True,
)
_UP4_RANDOM = Task(
    "up4-random",
    "Upsampling x4 of random input: 2048 random points of the ground truth, to 8192, against gt_8192; mean of three "
    "seeds.",
    n_in=2048,
    n_out=8192,
    given=_random(2048),
    truth=_ground_truth,
    note="PointLIE's paper says that its input is 2048 random points; SSPU-Net's paper does not say how its input was "
    "drawn.",
    seeds=3,
)
_UP4_4096 = Task(
    "up4-4096",
    "Upsampling x4 of 4096 Poisson-disk points drawn from the mesh, to 16384, against 16384 other points of the mesh "
    "(65536 uniform ones thinned by weighted sample elimination).",
    n_in=4096,
    n_out=16384,
    given=lambda shape, seed: shape.sample(4096, seed),
    truth=lambda shape, seed: shape.sample(16384, seed + 1),
    needs_mesh=True,
    note="The published row is on a test set of its authors' own.",
)
_UP16_512 = Task(
    "up16-512",
    "Upsampling x16: 512 points of the ground truth by farthest point sampling, to 8192, against gt_8192.",
    n_in=512,
    n_out=8192,
    given=_fps_512,
    truth=_ground_truth,
)
_UP16_512_RANDOM = Task(
    "up16-512-random",
    "Upsampling x16 of random input: 512 random points of the ground truth, to 8192, against gt_8192; mean of three "
    "seeds.",
    n_in=512,
    n_out=8192,
    given=_random(512),
    truth=_ground_truth,
    seeds=3,
)
_UP16 = Task(
    "up16",
    "Upsampling x16: input_2048 to 32768. The test set has no such ground truth: ours is 32768 points of "
    "the mesh (131072 uniform ones thinned by weighted sample elimination).",
    n_in=2048,
    n_out=32768,
    given=_input,
    truth=lambda shape, seed: shape.sample(32768, seed),
    needs_mesh=True,
    note="The published rows have ground truths of their own, and all 27 shapes.",
)

_ALL = [_UP4, _UP4_RANDOM, _UP4_INDEPENDENT, _UP4_4096, _UP16_512, _UP16_512_RANDOM, _UP16]
_ALL += [_recovery(ratio) for ratio in (4, 8, 16)]
_ALL += [_noisy(level) for level in (0.005, 0.01, 0.02)]
TASKS: dict[str, Task] = {task.id: task for task in _ALL}

# Rows without a model beside those of models, see `benchmark.run`; `floor` alone needs the mesh.
FROM_INPUT = ("repeat", "jitter", "patch-thirds", "patch-thirds-owner")
REFERENCES = (*FROM_INPUT, "floor")


def get_task(task: str) -> Task:
    """The task of an id.

    Raises:
        OptionError: the id is unknown; the message lists all ids.
    """
    if task not in TASKS:
        raise OptionError(f"unknown task '{task}'; choose from: {', '.join(TASKS)}")
    return TASKS[task]
