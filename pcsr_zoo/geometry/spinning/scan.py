"""A scan of a spinning LiDAR sensor: the ring, azimuth, elevation and range of each point, and lookups on rings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...cloud import Cloud
from ...errors import CloudError
from .pose import Pose, fit_pose
from .rings import phase_of, ring_field, rings_by_elevation, rings_by_order

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
_LOOSE, _TIGHT = 0.2, 0.03  # of the rings' distance: deviations of elevations from their rings, see `_looseness`
# Points nearer than this share of the 90th percentile of ranges belong to the vehicle, or are rays without a return.
_FARTHEST = 1e100  # in any unit; squares of larger coordinates overflow
_NEAR = 0.05
_FEWEST, _MOST_POINTS = 128, 4_000_000
_FLATTEST = 0.02  # radians: the smallest vertical field of view
_SAME = 0.03  # neighbors on a ring are on one surface if their ranges differ by less, relatively


class Neighbors(NamedTuple):
    """The points before and after azimuths on rings, and the range that the ring has there.

    Attributes:
        pair: (M, 2), numbers of the points in the scan's order.
        weight: (M,), of the second one.
        elevation: (M,), radians.
        inverse: (M,), 1 / range.
        found: (M,), whether the ring has a point within .75 steps.
    """

    pair: Integers
    weight: Floats
    elevation: Floats
    inverse: Floats
    found: NDArray[np.bool_]


@dataclass(frozen=True)
class Scan:
    """Points of one spinning sensor, in order of ring and azimuth.

    Attributes:
        pose: the sensor's pose in the cloud.
        rows: (N,), indices of the points in the cloud.
        ring: (N,), 0 for the lowest ring.
        polar: (N, 3), azimuth (-pi to pi) and elevation in radians, and range.
        phase: (N,), time within the turn, -.5 to .5.
        elevations: (R,), the median elevation of each ring, ascending.
        labels: (R,), the number of each ring in the file, or its order.
        step: the difference of azimuth between shots, radians.
        source: where the rings come from: the name of a field, "order" or "elevation".
    """

    pose: Pose
    rows: Integers
    ring: Integers
    polar: Floats
    phase: Floats
    elevations: Floats
    labels: Integers
    step: float
    source: str

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def columns(self) -> int:
        """The number of shots in a full turn."""
        return round(2 * np.pi / self.step)

    @property
    def empty(self) -> float:
        """The share of rays without a return, within the sector that the scan covers."""
        cells = np.unique(self.ring * self.columns + self.column(self.polar[:, 0]))
        used = np.unique(self.column(self.polar[:, 0]))
        return 1.0 - len(cells) / (len(self.elevations) * len(used))

    def image(self) -> Integers:
        """(R, W): the number of the farthest point in each cell of rings and columns, or -1."""
        grid = np.full((len(self.elevations), self.columns), -1, np.int64)
        order = np.argsort(self.polar[:, 2], kind="stable")
        grid[self.ring[order], self.column(self.polar[order, 0])] = order
        return grid

    def azimuths(self) -> Floats:
        """(W,): the azimuth of each column."""
        return (np.arange(self.columns) + 0.5) * 2 * np.pi / self.columns - np.pi

    def column(self, azimuth: Floats) -> Integers:
        """The columns (M,) of azimuths (M,)."""
        return np.minimum((azimuth + np.pi) / (2 * np.pi) * self.columns, self.columns - 1).astype(np.int64)

    def keep(self, rings: Integers) -> Scan:
        """The scan with some of its rings (ascending), renumbered from 0."""
        new = np.full(len(self.elevations), -1, np.int64)
        new[rings] = np.arange(len(rings))
        kept = new[self.ring] >= 0
        return Scan(
            self.pose,
            self.rows[kept],
            new[self.ring[kept]],
            self.polar[kept],
            self.phase[kept],
            self.elevations[rings],
            self.labels[rings],
            self.step,
            self.source,
        )

    def at(self, ring: Integers, azimuth: Floats) -> Neighbors:
        """What rings (M,) have at azimuths (M,).

        The inverse range is interpolated between the two points around the azimuth if both are within 1.5 steps and
        agree within 3 %; otherwise it is that of the nearer point. Rings that do not exist have nothing.
        """
        exists = (ring >= 0) & (ring < len(self.elevations))
        ring = np.where(exists, ring, 0)
        place = np.searchsorted(self._keys, 8.0 * ring + azimuth)
        first, last = self._starts[ring], self._starts[ring + 1]
        full = np.maximum(last - first, 1)
        after = first + np.mod(place - first, full)
        before = first + np.mod(place - 1 - first, full)
        pair = np.clip(np.stack([before, after], axis=1), 0, len(self) - 1)
        gap = np.abs(np.angle(np.exp(1j * (self.polar[pair, 0] - azimuth[:, None])))) / self.step
        exists = exists & (last > first)
        inverse = 1.0 / self.polar[pair, 2]
        both = (gap.max(axis=1) < 1.5) & agree(*inverse.T)
        between = gap[:, 0] / np.maximum(gap.sum(axis=1), 1e-12)
        weight = np.where(both, between, (gap[:, 1] < gap[:, 0]).astype(np.float64))
        mix = np.stack([1 - weight, weight], axis=1)
        return Neighbors(
            pair,
            weight,
            (mix * self.polar[pair, 1]).sum(axis=1),
            (mix * inverse).sum(axis=1),
            exists & ((gap.min(axis=1) <= 0.75) | both),
        )

    def around(self, below: Integers, azimuth: Floats) -> tuple[Floats, Floats, NDArray[np.bool_]]:
        """Elevation, 1 / range and whether there is a point, (M, 4) each, of two rings below rays and two above.

        Args:
            below: (M,), the ring next below each ray.
            azimuth: (M,), of the rays.
        """
        last = len(self.elevations) - 1
        parts = []
        for number in (below - 1, below, below + 1, below + 2):
            at = self.at(number, azimuth)
            usual = self.elevations[np.clip(number, 0, last)]
            parts.append((np.where(at.found, at.elevation, usual), np.where(at.found, at.inverse, 1.0), at.found))
        rings, inverse, found = (np.stack(column, axis=1) for column in zip(*parts, strict=True))
        return rings, inverse, found

    def at_columns(self) -> tuple[Floats, Floats, NDArray[np.bool_]]:
        """Elevation, 1 / range and whether there is a point, (R, W) each, of all rings at all columns."""
        shape = len(self.elevations), self.columns
        at = self.at(np.repeat(np.arange(shape[0]), shape[1]), np.tile(self.azimuths(), shape[0]))
        found = at.found.reshape(shape)
        elevation = np.where(found, at.elevation.reshape(shape), self.elevations[:, None])
        return elevation, np.where(found, at.inverse.reshape(shape), 1.0), found

    @cached_property
    def _keys(self) -> Floats:
        """Ascending keys of the points. A turn is 8 wide, so that rings do not touch."""
        return 8.0 * self.ring + self.polar[:, 0]

    @cached_property
    def _starts(self) -> Integers:
        """Where the points of each ring begin, and their number (R + 1,)."""
        return np.searchsorted(self.ring, np.arange(len(self.elevations) + 1))

    def describe(self) -> str:
        """One line for people."""
        where = {"order": "the order of the file", "elevation": "elevations"}.get(self.source, f"'{self.source}'")
        x, y, z = self.pose.origin
        return (
            f"{len(self.elevations)} rings (from {where}), {self.columns:,} columns, {self.empty:.0%} empty, "
            f"sensor at ({x:.2f}, {y:.2f}, {z:.2f})"
        )


def agree(first: Floats, second: Floats) -> NDArray[np.bool_]:
    """Whether 1 / range (M,) of neighbors on a ring are those of one surface: they differ by less than 3 %."""
    return np.asarray(np.abs(first - second) < _SAME * np.maximum(first, second))


def scans_in(cloud: Cloud, origin: tuple[float, float, float] | None = None) -> list[Scan] | None:
    """The scans of `find_scans`; None if the cloud is none of a spinning sensor."""
    try:
        return find_scans(cloud, origin)
    except CloudError:
        return None


def describe_scans(scans: Sequence[Scan]) -> str:
    """Rings, columns and the sensor's place of each scan, in one line."""
    return "; ".join(scan.describe() for scan in scans)


def find_scans(cloud: Cloud, origin: tuple[float, float, float] | None = None) -> list[Scan]:
    """The scans in a cloud: one for each spinning sensor.

    Args:
        cloud: the cloud, in any unit and frame with z roughly upwards.
        origin: the sensor's center; by default the center is found, starting at (0, 0, 0).

    Raises:
        CloudError: this is no scan of a spinning sensor; the message says why.
    """
    if len(cloud) and not np.abs(cloud.positions[np.isfinite(cloud.positions)]).max(initial=0) < _FARTHEST:
        raise CloudError("the coordinates are larger than any sensor's")
    cloud.validate()
    field = ring_field(cloud.attributes)
    if len(cloud) > _MOST_POINTS:
        raise CloudError(f"this is no single scan of a spinning sensor: it has {len(cloud):,} points")
    points = cloud.positions
    phase = phase_of(cloud.attributes, len(cloud)) if field else np.zeros(len(cloud))
    start = Pose.at((0.0, 0.0, 0.0) if origin is None else origin)
    polar = start.to_polar(points, phase)
    if field is not None:
        labels = np.rint(cloud.attributes[field].astype(np.float64)).astype(np.int64)
        return _by_field(points, labels, phase, start, field, fixed=origin is not None)
    seen = polar[:, 2] > _NEAR * np.quantile(polar[:, 2], 0.9)
    _require_some(seen)
    by_order = rings_by_order(polar[seen, 0], polar[seen, 1])
    source = "order" if by_order is not None else "elevation"
    found = by_order if by_order is not None else rings_by_elevation(polar[seen, 1])
    if found is None:
        raise CloudError(
            "this is no scan of a spinning sensor: it has no attribute with rings (ring, laser_id, ...), its points "
            "are not stored ring by ring, and seen from the sensor at "
            f"({', '.join(f'{v:g}' for v in start.origin)}) they do not lie on rings; give the origin of the sensor if "
            "it is elsewhere"
        )
    rows = np.flatnonzero(seen)
    return [_scan(points, rows, found, phase, start, source, fixed=origin is not None)]


def _by_field(points: Floats, labels: Integers, phase: Floats, start: Pose, field: str, fixed: bool) -> list[Scan]:
    """One scan, or one for each half of the rings if these fit much better: two sensors in one cloud."""
    rows = np.arange(len(points))
    whole = _scan(points, rows, labels, phase, start, field, fixed, check=False)
    numbers = np.unique(labels)
    if fixed or _looseness(whole) < _TIGHT or len(numbers) < 16:
        return [_checked(whole)]
    half = numbers[len(numbers) // 2]
    parts = [
        _scan(points, part, labels[part], phase, start, field, fixed, check=False)
        for part in (rows[labels < half], rows[labels >= half])
    ]
    if max(_looseness(part) for part in parts) < _looseness(whole) / 2:
        return [_checked(part) for part in parts]
    return [_checked(whole)]


def _scan(
    points: Floats,
    rows: Integers,
    labels: Integers,
    phase: Floats,
    start: Pose,
    source: str,
    fixed: bool,
    check: bool = True,
) -> Scan:
    """The scan of some rows; `labels` are of these rows."""
    mine, moments = points[rows], phase[rows]
    nearest = _NEAR * float(np.quantile(np.linalg.norm(mine - start.origin, axis=1), 0.9))
    pose = start if fixed else fit_pose(mine, labels, moments, start, nearest)
    polar = pose.to_polar(mine, moments)
    seen = polar[:, 2] > nearest
    _require_some(seen)
    rows, labels, polar, moments = rows[seen], labels[seen], polar[seen], moments[seen]
    numbers, ring = np.unique(labels, return_inverse=True)
    middle = np.array([np.median(polar[ring == k, 1]) for k in range(len(numbers))])
    up = np.argsort(middle, kind="stable")
    ring = np.argsort(up)[ring]
    order = np.lexsort([polar[:, 0], ring])
    ring, polar = ring[order], polar[order]
    scan = Scan(
        pose, rows[order], ring, polar, moments[order], middle[up], numbers[up], _step(ring, polar[:, 0]), source
    )
    return _checked(scan) if check else scan


def _require_some(seen: NDArray[np.bool_]) -> None:
    if seen.sum() < _FEWEST:
        raise CloudError("this is no scan of a spinning sensor: almost all points are at the place of the sensor")


def _step(ring: Integers, azimuth: Floats) -> float:
    """The step of azimuth: the median of what is between neighbors on a ring, doubles left out."""
    gaps = np.diff(azimuth)[np.diff(ring) == 0]
    gaps = gaps[gaps > 1e-5]
    if not len(gaps):
        return 2 * np.pi
    rough = float(np.median(gaps))
    near = gaps[(gaps > 0.5 * rough) & (gaps < 1.5 * rough)]
    return float(np.median(near))


def _looseness(scan: Scan) -> float:
    """How far elevations deviate from their rings', in distances of rings: the third quartile over the points."""
    if len(scan.elevations) < 2:
        return float("inf")
    distance = float(np.median(np.diff(scan.elevations)))
    return float(np.quantile(np.abs(scan.polar[:, 1] - scan.elevations[scan.ring]), 0.75) / max(distance, 1e-9))


def _checked(scan: Scan) -> Scan:
    rings, share = len(scan.elevations), len(scan) / max(len(scan.elevations), 1)
    loose = _looseness(scan)
    flat = np.ptp(scan.elevations) < _FLATTEST
    if rings < 8 or flat or share < 16 or loose > _LOOSE or not 32 <= scan.columns <= 100_000:
        raise CloudError(
            f"this is no scan of a spinning sensor: {rings} rings of {share:.0f} points and {scan.columns:,} columns, "
            f"whose elevations deviate by {loose:.2f} of the rings' distance, seen from "
            f"({', '.join(f'{v:.2f}' for v in scan.pose.origin)})"
        )
    return scan
