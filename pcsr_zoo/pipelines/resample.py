"""Upsampling and sampling of whole clouds with any model: unit frame, steps, selection, attributes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..cloud import Cloud
from ..errors import OptionError
from ..geometry.distinct import distinct_points, first_occurrences
from ..geometry.frames import UnitFrame
from ..geometry.grid import Grid, morton_order
from ..geometry.noise import CLEAN, estimate_noise
from ..geometry.transfer import transfer_attributes
from ..io.recovery_note import without_note
from ..models.base import Context, PatchUpsampler, Progress, Sampler, ScanLineUpsampler, Upsampler, ignore
from ..models.densify import densify
from .arguments import as_bits, as_origin, check_result, denser_count, require_distinct, sparser_count
from .patches import upsample_in_patches
from .scan_lines import upsample_scan


def upsample(
    cloud: Cloud,
    ratio: float | None = 4,
    *,
    model: Upsampler | PatchUpsampler | ScanLineUpsampler,
    n: int | None = None,
    seed: int = 0,
    device: str = "cpu",
    keep_input: bool | None = None,
    noise: float | None = None,
    origin: Sequence[float] | None = None,
    renumber_rings: bool = False,
    progress: Progress | None = None,
) -> Cloud:
    """Upsample a cloud; arguments and errors are those of `pcsr_zoo.upsample`, with a model object."""
    cloud.validate()
    count = denser_count(len(cloud), ratio, n, "upsample")
    if isinstance(model, ScanLineUpsampler):
        if keep_input is False:
            raise OptionError(f"'{model.name}' keeps the measured points of a scan; leave out keep_input")
        context = Context(seed, device, progress or ignore)
        return upsample_scan(model, cloud, count, context, as_origin(origin), renumber_rings)
    for given, name in ((renumber_rings, "renumber_rings"), (origin is not None, "origin")):
        if given:
            raise OptionError(f"{name} is for models of spinning LiDAR, and '{model.name}' knows no rings")
    frame = UnitFrame.of(cloud.positions)
    points = frame.to_unit(cloud.positions)
    first = first_occurrences(points)
    distinct = points if len(first) == len(points) else points[first]
    require_distinct(distinct, model)
    if noise is not None and not (isinstance(noise, (int, float)) and 0 <= noise < math.inf):
        raise OptionError(f"noise must be a number of at least 0, in units of the point spacing, got {noise!r}")
    context = Context(seed, device, progress or ignore)
    if isinstance(model, PatchUpsampler):
        keep = keep_input is True
        base = points if keep else points[:0]
        new_points = upsample_in_patches(model, distinct, count - len(base), context, base)
    else:
        if noise is None:
            noise = estimate_noise(distinct) if keep_input is not True or count > len(points) else 0.0
        normals = cloud.attributes["normals"][first].astype(np.float64) if "normals" in cloud.attributes else None
        context = replace(context, noise=noise if noise > CLEAN else 0.0, normals=normals)
        keep = context.noise == 0.0 if keep_input is None else keep_input
        base = points if keep else model.project(points, distinct, context)
        new_points = densify(model, base, distinct, count - len(base), context)
    positions = np.concatenate([cloud.positions if keep else frame.from_unit(base), frame.from_unit(new_points)])
    context.progress("attributes", 0.0)
    return _carry(cloud, frame, points, positions, keep)


def sample(
    cloud: Cloud,
    ratio: float | None = None,
    *,
    model: Sampler,
    n: int | None = None,
    seed: int = 0,
    device: str = "cpu",
    snap: bool = False,
    bits: int | None = None,
    progress: Progress | None = None,
) -> Cloud:
    """Sample a cloud, without a recovery note; arguments and errors are those of `pcsr_zoo.sample`."""
    bits = as_bits(bits)
    cloud.validate()
    n = sparser_count(len(cloud), getattr(model, "ratio", None) if ratio is None else ratio, n)
    context = Context(seed, device, progress or ignore)
    context.progress("sampling", 0.0)
    frame = UnitFrame.of(cloud.positions)
    points = frame.to_unit(cloud.positions)
    if model.moves and not snap:
        require_distinct(distinct_points(points), model)
        sampled = check_result(model.sampled_points(points, n, context), n, model, "sampled")
        few = Cloud(frame.from_unit(sampled), transfer_attributes(points, cloud.attributes, sampled), cloud.metadata)
    else:
        few = cloud[model.select(points, n, context)]
    few.metadata = without_note(few.metadata)
    if bits is not None:
        few = _on_grid(few, bits)
    context.progress("sampling", 1.0)
    return few


def _on_grid(cloud: Cloud, bits: int) -> Cloud:
    grid = Grid.of(cloud.positions, bits)
    order = morton_order(grid.cells(cloud.positions))
    cloud = cloud[order]
    cloud.positions = grid.points(grid.cells(cloud.positions))
    if np.abs(cloud.positions - cloud.positions.astype(np.float32)).max() <= grid.step / 8:
        cloud.metadata["position_dtype"] = "float32"  # stored in half as many bytes
    cloud.metadata["grid"] = grid  # for LAS, which stores integers; the writer checks that the points are still on it
    return cloud


def _carry(cloud: Cloud, frame: UnitFrame, points: np.ndarray, positions: np.ndarray, keep: bool) -> Cloud:
    start = len(cloud) if keep else 0
    new = transfer_attributes(points, cloud.attributes, frame.to_unit(positions[start:]))
    if keep:
        new = {name: np.concatenate([cloud.attributes[name], values]) for name, values in new.items()}
    return Cloud(positions, new, without_note(cloud.metadata))
