"""Upsampling of spinning LiDAR scans: rays between the rings, an exact number of them, and their attributes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..cloud import INTENSITY, Cloud
from ..errors import CloudError
from ..geometry.spinning.rings import TIMES
from ..geometry.spinning.scan import Floats, Integers, Scan, agree, find_scans
from ..geometry.transfer import blend
from ..io.recovery_note import without_note
from ..models.base import Context, ScanLineUpsampler
from .marks import SYNTHETIC

RING = "ring"
_CHUNK = 131_072
_REFINEMENTS = 3


class Rays(NamedTuple):
    """M rays or new points of a scan.

    Attributes:
        below: (M,), the ring below.
        fraction: (M,), the part of the way to the ring above.
        polar: (M, 3), azimuth and elevation in radians, and range; in the frame of the sensor.
    """

    below: Integers
    fraction: Floats
    polar: Floats

    def part(self, chosen: NDArray[np.generic]) -> Rays:
        return Rays(self.below[chosen], self.fraction[chosen], self.polar[chosen])

    @staticmethod
    def joined(parts: list[Rays]) -> Rays:
        empty = Rays(np.zeros(0, np.int64), np.zeros(0), np.zeros((0, 3)))
        columns = zip(empty, *parts, strict=True)
        return Rays(*(np.concatenate(column) for column in columns))


def upsample_scan(
    model: ScanLineUpsampler,
    cloud: Cloud,
    count: int,
    context: Context,
    origin: tuple[float, float, float] | None = None,
    renumber: bool = False,
) -> Cloud:
    """The measured points of spinning scans, unchanged and in their order, and then new ones between the rings.

    A ratio of r puts ceil(r) - 1 rings between two measured ones. Where rays hit nothing, or the model's confidence is
    too small, there is no point: the rest of the count goes to azimuths between the columns, and then to further rings.

    Args:
        model: a model of scan lines.
        cloud: scans of one or several sensors, see `find_scans`.
        count: the number of points of the result.
        context: the settings of the run.
        origin: the place of the sensor; by default it is found.
        renumber: whether all rings get whole numbers from 0 upwards. Otherwise new points get the number between those
            of the rings below and above, rounded if it is an integer, if the cloud has such numbers.

    Raises:
        CloudError: the cloud is no spinning scan, or has rays for fewer points.
    """
    scans = find_scans(cloud, origin)
    extra, total = count - len(cloud), sum(len(scan) for scan in scans)
    ends = [round(extra * n / total) for n in np.cumsum([len(scan) for scan in scans])]
    made = [
        (scan, _fill(model, scan, end - start, context))
        for scan, start, end in zip(scans, [0, *ends[:-1]], ends, strict=True)
    ]
    context.progress("attributes", 0.0)
    points, attributes = [cloud.positions], {name: [values] for name, values in cloud.attributes.items()}
    for scan, rays in made:
        index, weight = _sources(scan, rays)
        phase = (weight * scan.phase[index]).sum(axis=1)
        points.append(scan.pose.from_polar(rays.polar, phase))
        for name, values in cloud.attributes.items():
            attributes[name].append(_attribute(name, values, scan.rows[index], weight))
    result = {name: np.concatenate(parts) for name, parts in attributes.items()}
    result[SYNTHETIC] = np.repeat(np.array([0, 1], np.uint8), [len(cloud), extra])
    if SYNTHETIC in cloud.attributes:
        result[SYNTHETIC][: len(cloud)] = cloud.attributes[SYNTHETIC] != 0
    result |= _ring_numbers(cloud, made, renumber)
    context.progress("attributes", 1.0)
    return Cloud(np.concatenate(points), result, without_note(cloud.metadata))


def _fill(model: ScanLineUpsampler, scan: Scan, count: int, context: Context) -> Rays:
    """Exactly `count` new points of a scan."""
    found: list[Rays] = []
    left = count
    for rays in _rounds(scan, math.ceil(count / len(scan))) if count else ():
        context.progress("rings", 1 - left / count)
        kept, confidence = _dared(model, scan, rays, context)
        if len(confidence) > left:
            kept = kept.part(np.sort(np.argsort(-confidence, kind="stable")[:left]))
        found.append(kept)
        left -= len(kept.below)
        if left == 0:
            break
    if left:
        raise CloudError(
            f"'{model.name}' has rays for {count - left:,} of the {count:,} new points; give a smaller ratio or count n"
        )
    return Rays.joined(found)


def _rounds(scan: Scan, rings: int) -> Iterator[Rays]:
    """Rays of `rings` new rings at the columns and between them; midpoints on measured rings; and finer steps."""
    columns = scan.azimuths()
    fractions = np.arange(1, rings + 1) / (rings + 1)
    shift = np.pi / scan.columns
    for _ in range(_REFINEMENTS):
        yield _between(scan, fractions, columns)
        yield _between(scan, fractions, columns + shift)
        yield _on_rings(scan)
        rings = 2 * rings + 1
        fractions = np.arange(1, rings + 1, 2) / (rings + 1)


def _between(scan: Scan, fractions: Floats, azimuths: Floats) -> Rays:
    """Rays between all rings, where the ring below or the one above has a point."""
    gaps = np.arange(len(scan.elevations) - 1)
    shape = len(gaps), len(fractions), len(azimuths)
    below = np.broadcast_to(gaps[:, None, None], shape).ravel()
    fraction = np.broadcast_to(fractions[:, None], shape).ravel()
    azimuth = np.broadcast_to(azimuths, shape).ravel()
    azimuth = np.angle(np.exp(1j * azimuth))
    lower, upper = scan.at(below, azimuth), scan.at(below + 1, azimuth)
    low = np.where(lower.found, lower.elevation, scan.elevations[below])
    high = np.where(upper.found, upper.elevation, scan.elevations[below + 1])
    polar = np.stack([azimuth, low + fraction * (high - low), np.zeros(len(azimuth))], axis=1)
    return Rays(below, fraction, polar).part(lower.found | upper.found)


def _on_rings(scan: Scan) -> Rays:
    """Points halfway between neighbors on measured rings whose ranges agree within 3 %."""
    first, second = scan.polar[:-1], scan.polar[1:]
    step = (second[:, 0] - first[:, 0]) / scan.step
    inverse = np.stack([1 / first[:, 2], 1 / second[:, 2]])
    chosen = (np.diff(scan.ring) == 0) & (step > 0.5) & (step < 1.5) & agree(*inverse)
    middle = (first[:, :2] + second[:, :2]) / 2
    polar = np.concatenate([middle, 1 / inverse.mean(axis=0)[:, None]], axis=1)
    return Rays(scan.ring[:-1], np.zeros(len(first)), polar).part(chosen)


def _dared(model: ScanLineUpsampler, scan: Scan, rays: Rays, context: Context) -> tuple[Rays, Floats]:
    """The rays for which there is a range, and the model's confidence in it; 1 for rays that have one already."""
    kept, sure = [Rays.joined([])], [np.zeros(0)]
    for start in range(0, len(rays.below), _CHUNK):
        part = rays.part(slice(start, start + _CHUNK))  # type: ignore[arg-type]
        if part.polar[:, 2].all():
            confidence = np.ones(len(part.below))
        else:
            azimuth, elevation, _ = part.polar.T
            part.polar[:, 2], confidence = model.ranges(scan, part.below, elevation, azimuth, context)
        chosen = confidence >= model.least_confidence
        kept.append(part.part(chosen))
        sure.append(confidence[chosen])
    return Rays.joined(kept), np.concatenate(sure)


def _sources(scan: Scan, rays: Rays) -> tuple[Integers, Floats]:
    """Numbers (M, 4) of the points around new points on the rings below and above, and their weights, nearest first."""
    azimuth = rays.polar[:, 0]
    index = np.concatenate([scan.at(rays.below + k, azimuth).pair for k in (0, 1)], axis=1)
    there = scan.pose.from_polar(rays.polar, np.zeros(len(rays.below)))
    around = scan.pose.from_polar(scan.polar[index].reshape(-1, 3), np.zeros(index.size)).reshape(-1, 4, 3)
    distance = np.maximum(np.linalg.norm(around - there[:, None], axis=2), 1e-9)
    order = np.argsort(distance, axis=1, kind="stable")
    index, distance = np.take_along_axis(index, order, axis=1), np.take_along_axis(distance, order, axis=1)
    weight = (distance[:, :1] / distance) ** 2
    return index, weight / weight.sum(axis=1, keepdims=True)


def _attribute(name: str, values: NDArray[np.generic], rows: Integers, weight: Floats) -> NDArray[np.generic]:
    """Values of new points. Times are interpolated, too; integer times are rounded."""
    if name.lower() in TIMES and values.dtype.kind in "iu":
        mixed = blend(INTENSITY, values.astype(np.float64), rows, weight)  # a measure, although it is whole
        return np.asarray(np.rint(mixed).astype(values.dtype))
    return np.asarray(blend(name, values, rows, weight))


def _ring_numbers(cloud: Cloud, made: list[tuple[Scan, Rays]], renumber: bool) -> dict[str, NDArray[np.generic]]:
    """The attribute of rings, under the name that the cloud has for it."""
    source = made[0][0].source
    name = source if source in cloud.attributes else RING
    if renumber:
        return {name: _whole_numbers(cloud, made)}
    if name != source:
        return {}
    kind = cloud.attributes[name].dtype
    numbers = [cloud.attributes[name]]
    for scan, rays in made:
        above = np.minimum(rays.below + 1, len(scan.labels) - 1)
        low, high = (scan.labels[ring].astype(np.float64) for ring in (rays.below, above))
        near = np.abs(high - low) <= 1  # neighbors in the file's numbers, too
        mixed = np.where(near, low + rays.fraction * (high - low), np.where(rays.fraction < 0.5, low, high))
        numbers.append((np.rint(mixed) if kind.kind in "iu" else mixed).astype(kind))
    return {name: np.concatenate(numbers)}


def _whole_numbers(cloud: Cloud, made: list[tuple[Scan, Rays]]) -> NDArray[np.int64]:
    """Ranks of all rings, measured and new ones, one sensor after another; -1 for points of no ring."""
    numbers = [np.full(len(cloud), -1, np.int64)]
    start = 0
    for scan, rays in made:
        places = np.concatenate([scan.ring.astype(np.float64), rays.below + rays.fraction])
        rank = np.unique(np.round(places, 6), return_inverse=True)[1] + start
        numbers[0][scan.rows] = rank[: len(scan)]
        numbers.append(rank[len(scan) :])
        start = int(rank.max()) + 1
    return np.concatenate(numbers)
