"""The tasks of the benchmark: what goes in, what should come out, on each of PU-GAN's test shapes."""

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
        id: its name on the command line.
        protocol: one or two sentences for the table.
        n_in: points that the upsampling starts from.
        n_out: points that must come out.
        given: (shape, seed) -> what is given, (n_in, 3); where `recovers`, the dense cloud that is sampled to
            n_in.
        truth: (shape, seed) -> the ground truth (M, 3).
        recovers: a sampler runs before the upsampling.
        needs_mesh: only shapes with a mesh can be used.
        note: what a reader must know who compares with published numbers.
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


def shape_rng(shape: PUGANShape, seed: int, stream: int = 0) -> np.random.Generator:
    """Random numbers of their own for each shape (whichever other shapes are run) and each use (`stream`)."""
    return np.random.default_rng((seed, zlib.crc32(shape.name.encode()), stream))


def radius_of(points: Points) -> float:
    """The largest distance (in the points' unit) from their mean."""
    return float(np.linalg.norm(points - points.mean(axis=0), axis=1).max())


def add_noise(points: Points, sigma: float, limit: float, rng: np.random.Generator) -> Points:
    """Gaussian noise of `sigma` times the cloud's radius, each coordinate cut off at `limit` times it."""
    noise = np.clip(rng.normal(size=points.shape) * sigma, -limit, limit)
    return points + radius_of(points) * noise


def _input(shape: PUGANShape, seed: int) -> Points:
    return shape.input


def _ground_truth(shape: PUGANShape, seed: int) -> Points:
    return shape.gt


def _fps_512(shape: PUGANShape, seed: int) -> Points:
    from ..geometry.fps import farthest_point_sample

    return shape.gt[farthest_point_sample(shape.gt, 512)]


def _recovery(ratio: int) -> Task:
    n = 8192 // ratio
    protocol = (
        f"Sampling and recovery x{ratio}: the 8192-point ground truth, sampled by the model's sampler "
        f"(farthest point sampling where it names none) to {n} points, recovered to 8192."
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
    note="The input is a subset of the ground truth, so a quarter of the answer is given and distances are "
    "lower than in up4-independent.",
)
_UP4_INDEPENDENT = Task(
    "up4-independent",
    "Upsampling x4 of an independent input: 2048 Poisson-disk points drawn anew from the mesh, to 8192, "
    "against gt_8192.",
    n_in=2048,
    n_out=8192,
    given=lambda shape, seed: shape.sample(2048, seed),
    truth=_ground_truth,
    needs_mesh=True,
)
_UP16_512 = Task(
    "up16-512",
    "Upsampling x16: 512 points of the ground truth by farthest point sampling, to 8192, against gt_8192.",
    n_in=512,
    n_out=8192,
    given=_fps_512,
    truth=_ground_truth,
    note="The published rows were fed 512 random points, which is harder than the FPS points used here.",
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

_ALL = [_UP4, _UP4_INDEPENDENT, _UP16_512, _UP16]
_ALL += [_recovery(ratio) for ratio in (4, 8, 16)]
_ALL += [_noisy(level) for level in (0.005, 0.01, 0.02)]
TASKS: dict[str, Task] = {task.id: task for task in _ALL}


def get_task(task: str) -> Task:
    """The task of that id.

    Raises:
        OptionError: there is none; the message lists them.
    """
    if task not in TASKS:
        raise OptionError(f"unknown task '{task}'; there are: {', '.join(TASKS)}")
    return TASKS[task]
