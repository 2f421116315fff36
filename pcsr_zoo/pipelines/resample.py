"""Whole clouds through a model: frame, steps, exact selection, attributes. Serves every upsampler and sampler."""

from __future__ import annotations

import math
from os import PathLike
from typing import Any

import numpy as np

from ..cloud import Cloud, as_cloud
from ..errors import OptionError
from ..geometry.distinct import distinct_points
from ..geometry.frames import UnitFrame
from ..geometry.grid import Grid, morton_order
from ..geometry.noise import CLEAN, estimate_noise
from ..geometry.transfer import transfer_attributes
from ..models.base import Context, Progress, Sampler, Upsampler, tasks_of
from ..models.steps import densify
from ..notes import KEY, without_note
from ..registry import identify, load
from .arguments import (
    as_bits,
    as_device,
    check_result,
    denser_count,
    require_distinct,
    silent,
    sparser_count,
)

RECOVERER = "jetnet"  # of what a sampler chose that recovers nothing itself


def upsample(
    x: Any,
    ratio: float | None = 4,
    *,
    n: int | None = None,
    model: str | Upsampler = "jetnet",
    seed: int = 0,
    device: str | None = None,
    keep_input: bool | None = None,
    noise: float | None = None,
    progress: Progress | None = None,
) -> Any:
    """A denser cloud of exactly round(ratio N) points, or of exactly n.

    Args:
        x: Cloud, numpy or torch (N, 3) or (N, 3 + C), legacy or tensor Open3D cloud, or a path.
        ratio: how many times denser, at least 1; any number. Ratios above 4 go by steps.
        n: the count instead of a ratio, at least N.
        model: a name (see `list_models`) or a model object.
        seed: of everything drawn at random.
        device: where a model computes, e.g. `cpu`, `cuda`, `cuda:1`; by default where `load` was told to, else the CPU.
        keep_input: True keeps the input points, in their order, as the first N of the result; False moves them onto
            the estimated surface too. By default they are kept unless the cloud is judged noisy.
        noise: of the input, in units of its point spacing; 0 for clean. By default it is estimated.
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
    count = denser_count(len(cloud), ratio, n, "upsample")
    frame = UnitFrame.of(cloud.positions)
    points = frame.to_unit(cloud.positions)
    distinct = distinct_points(points)
    require_distinct(distinct, upsampler)
    if noise is None:
        noise = estimate_noise(distinct) if keep_input is not True or count > len(points) else 0.0
    elif not (isinstance(noise, (int, float)) and 0 <= noise < math.inf):
        raise OptionError(f"noise must be a number of at least 0, in point spacings, got {noise!r}")
    context = Context(seed, as_device(device, upsampler), progress or silent, noise if noise > CLEAN else 0.0)
    keep = context.noise == 0.0 if keep_input is None else keep_input
    base = points if keep else upsampler.refine(points, distinct, context)
    fresh = densify(upsampler, base, distinct, count - len(base), context)
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
    snap: bool = False,
    bits: int | None = None,
    progress: Progress | None = None,
) -> Any:
    """Exactly round(N / ratio) points (at least 1), or exactly n, that stand for the cloud, with their attributes.

    A Cloud, and the file that it is written to, remembers what recovers it: see `notes` and `recover`.

    Args:
        x, model, seed, device, progress: as those of `upsample`.
        ratio: how many times thinner, at least 1; by default what a model that recovers was trained for.
        n: the count instead of a ratio, at most N.
        snap: only points of the input, also from a model that would move them. What moves takes its attributes from
            the input points around it.
        bits: put the positions onto a grid of 2^bits steps over their bounding cube, 1 to 24, and order them along a
            space-filling curve, as LAZ and other coders like it. Points that fall together stay.

    Raises:
        CloudError: the cloud is empty or not finite, or the model gives another number of points than it was asked for.
        OptionError: an argument makes no sense.
    """
    cloud, back = as_cloud(x)
    sampler = load(model)
    if not isinstance(sampler, Sampler):
        raise OptionError(f"'{getattr(sampler, 'name', sampler)}' does not sample; use it with upsample")
    bits = as_bits(bits)
    cloud.validate()
    size = len(cloud)
    n = sparser_count(size, getattr(sampler, "ratio", None) if ratio is None else ratio, n)
    context = Context(seed, as_device(device, sampler), progress or silent)
    context.progress("sampling", 0.0)
    frame = UnitFrame.of(cloud.positions)
    points = frame.to_unit(cloud.positions)
    if sampler.moves and not snap:
        require_distinct(distinct_points(points), sampler)
        placed = check_result(sampler.place(points, n, context), n, sampler, "sampled")
        few = Cloud(frame.from_unit(placed), transfer_attributes(points, cloud.attributes, placed), cloud.metadata)
    else:
        few = cloud[sampler.choose(points, n, context)]
    few.metadata = without_note(few.metadata)
    if bits is not None:
        few = _on_grid(few, bits)
    few.metadata[KEY] = _note(sampler, model, size, n, bits)
    context.progress("sampling", 1.0)
    return back(few)


def _on_grid(cloud: Cloud, bits: int) -> Cloud:
    grid = Grid.of(cloud.positions, bits)
    order = morton_order(grid.cells(cloud.positions))
    cloud = cloud[order]
    cloud.positions = grid.points(grid.cells(cloud.positions))
    if np.abs(cloud.positions - cloud.positions.astype(np.float32)).max() <= grid.step / 8:
        cloud.metadata["position_dtype"] = "float32"  # half of the bytes
    cloud.metadata["grid"] = grid  # for formats that store integers; they check that the points are still on it
    return cloud


def _note(sampler: Sampler, model: Any, size: int, n: int, bits: int | None) -> dict[str, Any]:
    """What the sample remembers, see `notes`."""
    own = "recover" in tasks_of(sampler)
    recoverer, weights = identify((model if isinstance(model, (str, PathLike)) else sampler) if own else RECOVERER)
    note = {"model": recoverer, "weights": weights, "points": size, "sampled": n, "sampler": sampler.name}
    address, origin = getattr(sampler, "address", None), getattr(sampler, "origin", None)
    if own and address and origin and weights == f"sha256:{origin['sha256']}":  # not if they were changed since
        note["address"] = address
    return note if bits is None else {**note, "bits": bits}


def _carry(cloud: Cloud, frame: UnitFrame, points: np.ndarray, positions: np.ndarray, keep: bool) -> Cloud:
    start = len(cloud) if keep else 0
    new = transfer_attributes(points, cloud.attributes, frame.to_unit(positions[start:]))
    if keep:
        new = {name: np.concatenate([cloud.attributes[name], values]) for name, values in new.items()}
    return Cloud(positions, new, without_note(cloud.metadata))
