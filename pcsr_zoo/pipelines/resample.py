"""Upsampling and sampling of whole clouds with any model: unit frame, steps, selection, attributes."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..cloud import NORMALS, Cloud
from ..errors import OptionError
from ..geometry.distinct import first_occurrences
from ..geometry.fps import farthest_point_sample
from ..geometry.frames import UnitFrame
from ..geometry.grid import Grid, morton_order
from ..geometry.noise import CLEAN, estimate_noise
from ..geometry.outliers import pulled_in
from ..geometry.transfer import transfer_attributes
from ..geometry.working import WorkingCloud, warn_of_degrees
from ..io.recovery_note import without_note
from ..models.base import Context, PatchUpsampler, Progress, Sampler, ScanLineUpsampler, Upsampler, ignore
from ..models.densify import densify
from .arguments import as_bits, as_origin, check_points, check_result, denser_count, require_distinct, sparser_count
from .patches import upsample_in_patches
from .scan_lines import upsample_scan

_KEPT = {"las", "colmap"}  # metadata of formats whose points are measurements that others refer to
_log = logging.getLogger("pcsr_zoo")

_EVEN = 2  # an even result is picked from at least so many times the points


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
    even: bool = False,
    origin: Sequence[float] | None = None,
    renumber_rings: bool = False,
    progress: Progress | None = None,
) -> Cloud:
    """Upsample a cloud; arguments and errors are those of `pcsr_zoo.upsample`, with a model object."""
    cloud.validate()
    count = denser_count(len(cloud), ratio, n, "upsample")
    if isinstance(model, ScanLineUpsampler):
        if keep_input is False or even:
            raise OptionError(
                f"'{model.name}' keeps the measured points of a scan; leave out even and keep_input, or choose a model "
                "for any cloud, such as jetnet"
            )
        context = Context(seed, device, progress or ignore)
        return upsample_scan(model, cloud, count, context, as_origin(origin), renumber_rings)
    for given, name in ((renumber_rings, "renumber_rings"), (origin is not None, "origin")):
        if given:
            raise OptionError(f"{name} is for models of spinning LiDAR, and '{model.name}' knows no rings")
    if noise is not None and not (isinstance(noise, (int, float)) and 0 <= noise < math.inf):
        raise OptionError(f"noise must be a number of at least 0, in units of the point spacing, got {noise!r}")
    if even and keep_input:
        raise OptionError("an even result leaves out input points where they are dense; leave out even or keep_input")
    wanted = count
    if even:
        count = _many(len(cloud), count, getattr(model, "max_step", 4.0))
    warn_of_degrees(cloud)
    if count == len(cloud) and keep_input is not False:
        return Cloud(cloud.positions, cloud.attributes, without_note(cloud.metadata))
    working = WorkingCloud.of(cloud.positions, turned=model.turns)
    require_distinct(working.distinct, model)
    working.tell("outliers; no points are added around them")
    context = Context(seed, device, progress or ignore)
    if isinstance(model, PatchUpsampler):
        keep = keep_input is True
        base = working.points if keep else working.points[:0]
        alone = 0 if keep else len(working.alone)  # they stay as they are
        fresh = upsample_in_patches(model, working.distinct, count - len(base) - alone, context, base)
        moved = working.back(pulled_in(fresh, working.distinct))
        first = cloud.positions if keep else cloud.positions[working.alone]
        positions = np.concatenate([first, moved])
        start = len(first)
    else:
        if noise is None:
            noise = estimate_noise(working.distinct) if keep_input is not True or count > len(cloud) else 0.0
        context = replace(context, noise=noise if noise > CLEAN else 0.0, normals=_normals(cloud, working))
        keep = context.noise == 0.0 or bool(_KEPT & set(cloud.metadata)) if keep_input is None else keep_input
        base = working.points
        if not keep:
            base = model.project(working.points, working.distinct, context)
            keep = np.array_equal(base, working.points)  # models that do not project
            base = pulled_in(base, working.distinct)
        fresh = pulled_in(densify(model, base, working.distinct, count - len(cloud), context), working.distinct)
        first = cloud.positions if keep else working.replaced(cloud.positions, base)
        positions = np.concatenate([first, working.back(fresh)])
        start = len(first) if keep else 0
        if not keep and keep_input is None and not even:
            _tell_moved(cloud.positions, first, context.noise)
    if even:
        context.progress("even spacing", 0.0)
        positions, start = positions[_farthest(positions, wanted)], 0
    context.progress("attributes", 0.0)
    return _carry(cloud, working.frame, positions, start)


def _many(size: int, count: int, step: float) -> int:
    """The points that an even result of `count` points is picked from: whole steps of growth close the largest gaps."""
    many = round(size * step ** math.ceil(math.log(_EVEN * count / size, step) - 1e-9))
    check_points(many, f"{many:,} points, from which {count:,} evenly spaced ones are picked,")
    return many


def _normals(cloud: Cloud, working: WorkingCloud) -> np.ndarray | None:
    """The normals (D, 3) of the distinct working points, in their axes, if the cloud has any."""
    if NORMALS not in cloud.attributes:
        return None
    rows = working.rows[first_occurrences(working.points)]
    return np.asarray(cloud.attributes[NORMALS][rows, :3].astype(np.float64) @ working.axes)


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
    if model.moves and not snap:
        working = WorkingCloud.of(cloud.positions, turned=False)
        points = working.points
        require_distinct(working.distinct, model)
        if len(points) < n:  # every point is needed
            few = cloud[_farthest(cloud.positions, n)]
        else:
            working.tell("outliers; they are left out of the sample")
            sampled = check_result(model.sampled_points(points, n, context), n, model, "sampled")
            sampled = pulled_in(sampled, working.distinct)
            attributes = transfer_attributes(points, working.of_rows(cloud.attributes), sampled)
            few = Cloud(working.back(sampled), attributes, cloud.metadata)
    else:
        few = cloud[model.select(UnitFrame.of(cloud.positions).to_unit(cloud.positions), n, context)]
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


def _farthest(positions: np.ndarray, n: int) -> np.ndarray:
    return np.sort(farthest_point_sample(UnitFrame.of(positions).to_unit(positions), n))


def _tell_moved(before: np.ndarray, after: np.ndarray, noise: float) -> None:
    """Say how far the measured points of a noisy cloud were moved."""
    distance = np.linalg.norm(after - before, axis=1)
    moved = distance[distance > 1e-9 * distance.max(initial=0)]
    if len(moved):
        _log.warning(
            "the cloud is noisy, so %s of its %s points were moved onto the surface, by %.3g in the median and up to "
            "%.3g; --keep-input (keep_input=True) leaves them where they are",
            *(f"{len(moved):,}", f"{len(before):,}", np.median(moved), moved.max()),
        )
        low, high = np.quantile(distance, [0.9, 0.99])
        _log.info(
            "noise: %.2f point spacings; nine of ten points moved by at most %.3g, 99 of 100 by %.3g", noise, low, high
        )


def _carry(cloud: Cloud, frame: UnitFrame, positions: np.ndarray, start: int) -> Cloud:
    """The cloud of these positions, of which the first `start` are those of the input, in its order, if it is kept."""
    if not cloud.attributes:
        return Cloud(positions, {}, without_note(cloud.metadata))
    kept = start == len(cloud)
    start = start if kept else 0
    source, target = frame.to_unit(cloud.positions), frame.to_unit(positions[start:])
    new = transfer_attributes(source, cloud.attributes, target)
    if kept:
        new = {name: np.concatenate([cloud.attributes[name], values]) for name, values in new.items()}
    return Cloud(positions, new, without_note(cloud.metadata))
