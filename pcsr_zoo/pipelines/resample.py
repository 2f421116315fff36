"""Whole clouds through a model: frame, steps, exact selection, attributes. Serves every upsampler and sampler."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..cloud import Cloud, as_cloud
from ..errors import CloudError, OptionError
from ..geometry.distinct import first_occurrences
from ..geometry.fps import farthest_point_sample
from ..geometry.frames import UnitFrame
from ..geometry.noise import CLEAN, estimate_noise
from ..geometry.transfer import transfer_attributes
from ..models.base import Context, Progress, Sampler, Upsampler
from ..registry import load


def _silent(stage: str, fraction: float) -> None:
    """Progress that nobody asked for."""


def upsample(
    x: Any,
    ratio: float | None = 4,
    *,
    n: int | None = None,
    model: str | Upsampler = "jetnet",
    seed: int = 0,
    device: str | None = None,
    keep_input: bool | None = None,
    progress: Progress | None = None,
) -> Any:
    """A denser cloud of exactly round(ratio N) points, or of exactly n.

    Args:
        x: Cloud, numpy or torch (N, 3) or (N, 3 + C), legacy or tensor Open3D cloud, or a path.
        ratio: how many times denser, at least 1; any number. Ratios above 4 go by steps.
        n: the count instead of a ratio, at least N.
        model: a name (see `list_models`) or a model object.
        seed: of everything drawn at random.
        device: where a model computes, e.g. `cpu`, `cuda`, `cuda:1`; by default the CPU.
        keep_input: True keeps the input points, in their order, as the first N of the result; False moves them onto
            the estimated surface too. By default they are kept unless the cloud is judged noisy.
        progress: called with (stage, fraction).

    Returns:
        The kind that was given (a path gives a Cloud). Attributes travel, see `geometry.transfer`.

    Raises:
        CloudError: the cloud is empty, not finite, or has fewer distinct points than the model needs.
        OptionError: an argument makes no sense.
    """
    cloud, back = as_cloud(x)
    upsampler = load(model)
    if not isinstance(upsampler, Upsampler):
        raise OptionError(f"'{getattr(upsampler, 'name', upsampler)}' does not upsample; use it with sample")
    cloud.validate()
    count = _target(len(cloud), ratio, n)
    frame = UnitFrame.of(cloud.positions)
    points = frame.to_unit(cloud.positions)
    distinct = _distinct(points)
    if len(distinct) < upsampler.min_points:
        raise CloudError(
            f"the cloud has {len(distinct)} distinct point{'s' if len(distinct) > 1 else ''}; "
            f"'{upsampler.name}' needs at least {upsampler.min_points}"
        )
    noise = estimate_noise(distinct) if keep_input is not True or count > len(points) else 0.0
    context = Context(seed, _device(device), progress or _silent, noise if noise > CLEAN else 0.0)
    keep = context.noise == 0.0 if keep_input is None else keep_input
    base = points if keep else upsampler.refine(points, distinct, context)
    fresh = _densify(upsampler, base, distinct, count - len(base), context)
    positions = np.concatenate([cloud.positions if keep else frame.from_unit(base), frame.from_unit(fresh)])
    context.progress("attributes", 0.0)
    return back(_carry(cloud, frame, points, positions, keep))


def sample(
    x: Any,
    ratio: float | None = None,
    *,
    n: int | None = None,
    model: str | Sampler = "fps",
    seed: int = 0,
    device: str | None = None,
    progress: Progress | None = None,
) -> Any:
    """A subset of exactly round(N / ratio) points (at least 1), or of exactly n, with their attributes.

    Arguments and errors are those of `upsample`; ratio is how many times thinner, n at most N.
    """
    cloud, back = as_cloud(x)
    sampler = load(model)
    if not isinstance(sampler, Sampler):
        raise OptionError(f"'{getattr(sampler, 'name', sampler)}' does not sample; use it with upsample")
    cloud.validate()
    size = len(cloud)
    if n is None:
        if ratio is None:
            raise OptionError("give a ratio or a count n")
        n = max(1, round(size / _ratio(ratio, "sampling by less than 1 adds points: use upsample")))
    n = _count(n)
    if n > size:
        raise OptionError(f"cannot sample {n} of {size} points; use upsample to add points")
    context = Context(seed, _device(device), progress or _silent)
    context.progress("sampling", 0.0)
    chosen = sampler.choose(UnitFrame.of(cloud.positions).to_unit(cloud.positions), n, context)
    context.progress("sampling", 1.0)
    return back(cloud[chosen])


def _densify(model: Upsampler, base: np.ndarray, anchors: np.ndarray, wanted: int, context: Context) -> np.ndarray:
    """`wanted` new points (wanted, 3), chosen from the model's candidates so that they cover best."""
    current = _distinct(base)
    fresh: list[np.ndarray] = []
    draw = np.random.default_rng(context.seed)
    steps = max(1, math.ceil(math.log(max((len(base) + wanted) / len(base), 1)) / math.log(model.max_step) - 1e-9))
    while wanted > 0:
        growth = (1 + wanted / len(current)) ** (1 / max(1, steps))
        take = min(wanted, math.ceil(len(current) * (growth - 1)))
        candidates = model.propose(current, anchors, take, context)
        context.progress("selection", 0.0)
        if take < len(candidates):
            candidates = draw.permutation(candidates)  # on a grid most distances tie: no side of it goes first
            candidates = candidates[farthest_point_sample(candidates, take, selected=current)]
        context.progress("selection", 1.0)
        candidates = model.relax(candidates, current, anchors, context)
        picks = _off(candidates, current)
        if len(picks) == 0:
            raise CloudError(f"'{model.name}' finds no place for {wanted} more points; ask for fewer")
        fresh.append(picks)
        wanted -= len(picks)
        steps -= 1
        if wanted > 0:
            current = np.concatenate([current, picks])
    return np.concatenate(fresh) if fresh else np.empty((0, 3))


def _off(picks: np.ndarray, current: np.ndarray) -> np.ndarray:
    """Picks without those that repeat each other or a current point exactly (they would stop the growth)."""
    first = first_occurrences(np.concatenate([current, picks]))
    return picks[first[first >= len(current)] - len(current)]


def _distinct(points: np.ndarray) -> np.ndarray:
    """The distinct rows, in their order; the same array where all are."""
    first = first_occurrences(points)
    return points if len(first) == len(points) else points[first]


def _carry(cloud: Cloud, frame: UnitFrame, points: np.ndarray, positions: np.ndarray, keep: bool) -> Cloud:
    start = len(cloud) if keep else 0
    new = transfer_attributes(points, cloud.attributes, frame.to_unit(positions[start:]))
    if keep:
        new = {name: np.concatenate([cloud.attributes[name], values]) for name, values in new.items()}
    return Cloud(positions, new, cloud.metadata)


def _target(size: int, ratio: float | None, n: int | None) -> int:
    if n is None:
        if ratio is None:
            raise OptionError("give a ratio or a count n")
        return round(size * _ratio(ratio, "upsampling by less than 1 removes points: use sample"))
    n = _count(n)
    if n < size:
        raise OptionError(f"cannot upsample {size} points to {n}; use sample to remove points")
    return n


def _ratio(ratio: float, below_one: str) -> float:
    try:
        value = float(ratio)
    except (TypeError, ValueError):
        raise OptionError(f"the ratio must be a number, got {ratio!r}") from None
    if not math.isfinite(value) or value <= 0:
        raise OptionError(f"the ratio must be a positive number, got {ratio}")
    if value < 1:
        raise OptionError(f"the ratio must be at least 1, got {ratio}; {below_one}")
    return value


def _count(n: int) -> int:
    try:
        count = 0 if isinstance(n, bool) or int(n) != n else int(n)
    except (TypeError, ValueError, OverflowError):
        count = 0
    if count < 1:
        raise OptionError(f"the count n must be a whole number of at least 1, got {n!r}")
    return count


def _device(device: str | None) -> str:
    if device in (None, "cpu"):
        return "cpu"
    import torch

    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise OptionError(f"the device '{device}' cannot be used: {reason}; use 'cpu'") from None
    return str(device)
