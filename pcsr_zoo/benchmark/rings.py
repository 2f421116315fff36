"""Withheld rings: how well models predict rings of a spinning LiDAR scan that they do not see.

Every k-th ring of a frame is kept. The rays of the others, between two kept rings, are the truth. References:

- `nearest`: the range of the nearer kept ring.
- `linear`: the range interpolated over elevation.
- `cubic`: the same by the cubic through the two kept rings below and the two above, where all have a point.
- `bilateral`: the mean of the ranges on both rings, up to two columns to each side, weighted by Gaussians of the angle
  (one column, half a gap) and of the range (.3 m) from the nearer ring (Tomasi and Manduchi 1998).
- `plane`: 1 / range interpolated on the plane through the two kept rings, see `geometry.spinning.hypotheses`.

An upsampler of points (jetnet, midpoint) gets the kept points and makes k times as many. A ray takes the range of its
new point that is nearest in angle, if there is one within half a column and a quarter of the distance of rings.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import minimum_filter
from scipy.spatial import KDTree

from ..cloud import Cloud
from ..errors import CloudError, OptionError
from ..geometry.spinning.hypotheses import hypotheses
from ..geometry.spinning.scan import Floats, Integers, Scan, find_scans
from ..models.base import Context, ScanLineUpsampler
from ..pipelines.arguments import as_origin
from ..zoo import LoadedModel, load

REFERENCES = ("nearest", "linear", "cubic", "bilateral", "plane")
DARED = 0.8  # of the withheld rays of a group: those in which a model has the most confidence
NEAR = (0.05, 0.1, 0.2)  # meters
_OFF = 0.5  # meters: farther off is a false point
_CELL, _GROUND = 2.0, 0.3  # meters: ground is up to .3 above the lowest point of its cell of 2 m and those around it
_VOXEL = 0.1  # meters
_AROUND = 20.0  # meters: heights of ground points are compared up to this range
_ALIKE = 0.3  # meters: standard deviation of the bilateral mean over the range


def ring_scores(
    cloud: Cloud,
    every: int,
    models: Sequence[str],
    origin: Sequence[float] | None = None,
    on_row: Callable[[dict[str, Any]], None] | None = None,
) -> list[dict[str, Any]]:
    """The scores of models on the withheld rings of a frame, in meters.

    Args:
        cloud: a frame in meters, of one or several sensors.
        every: k, at least 2: every k-th ring is kept.
        models: names of upsamplers, or of references.
        origin: the place of the sensor; by default it is found.
        on_row: called with each finished row.

    Returns:
        A row for each sensor, model and group of rays ("ground", "above ground", "all"): sensor, model, group, rays
        (their number), dared (share of the rays that have a range), within_5cm, within_10cm, within_20cm and
        mae (of the dared rays), height (for "ground" only: the median distance from the true height, of the dared rays
        up to 20 m), false (share of points in rays that return nothing or that are farther off than .5 m;
        for "all" only) and iou (of voxels of .1 m of the full and the predicted scan; for "all" only). Models with a
        confidence dare four of five rays of each group.

    Raises:
        CloudError: the cloud is no spinning scan, or has too few rings.
        OptionError: a model does not exist, or `every` is below 2.
    """
    if isinstance(every, bool) or not isinstance(every, int) or every < 2:
        raise OptionError(f"every must be a whole number of at least 2, got {every!r}")
    loaded = {name: None if name in REFERENCES else load(name) for name in models}
    rows = []
    for number, scan in enumerate(find_scans(cloud, as_origin(origin))):
        kept = np.arange(0, len(scan.elevations), every)
        if len(kept) < 4:
            raise CloudError(f"a scan of {len(scan.elevations)} rings is too small to keep every {every}th of them")
        problem = _Problem(scan, kept, every)
        for name, model in loaded.items():
            for row in _rows(problem, name, model):
                rows.append({"sensor": number, "every": every, "model": name, **row})
                if on_row is not None:
                    on_row(rows[-1])
    return rows


class _Problem:
    """A scan with withheld rings. Rays are the withheld ones that return, and then those that return nothing."""

    def __init__(self, scan: Scan, kept: Integers, every: int) -> None:
        self.scan, self.sub, self.every = scan, scan.keep(kept), every
        held = (scan.ring % every != 0) & (scan.ring < kept[-1])
        azimuth, elevation, self.ranges = scan.polar[held].T
        ring, column = _empty_rays(scan)
        missing = (ring % every != 0) & (ring < kept[-1])
        ring, column = ring[missing], column[missing]
        self.returning = len(self.ranges)
        self.below = np.concatenate([scan.ring[held], ring]) // every
        self.azimuth = np.concatenate([azimuth, scan.azimuths()[column]])
        self.elevation = np.concatenate([elevation, scan.elevations[ring]])
        points = scan.pose.from_polar(scan.polar, scan.phase)
        self.points, self.kept_points = points, points[scan.ring % every == 0]
        self.ground = _is_ground(points)[held]
        self.phase = scan.phase[held]

    def height_error(self, ranges: Floats, chosen: NDArray[np.bool_]) -> float:
        """The median height of predicted points of some withheld rays above or below the true ones, in meters."""
        place = np.stack([self.azimuth[: self.returning], self.elevation[: self.returning]], axis=1)[chosen]
        heights = [
            self.scan.pose.from_polar(np.column_stack([place, mine[chosen]]), self.phase[chosen])[:, 2]
            for mine in (ranges, self.ranges)
        ]
        return float(np.median(np.abs(heights[0] - heights[1]))) if chosen.any() else float("nan")

    def predict(self, name: str, model: LoadedModel | None) -> tuple[Floats, Floats]:
        """Ranges and confidences of all rays; NaN where there is none."""
        if model is None:
            return self._reference(name)
        if isinstance(model.model, ScanLineUpsampler):
            rays = (self.below, self.elevation, self.azimuth)
            ranges, confidence = model.model.ranges(self.sub, *rays, Context())
            return np.where(confidence > 0, ranges, np.nan), confidence
        return self._in_space(model)

    def _reference(self, name: str) -> tuple[Floats, Floats]:
        rings, inverse, found = self.sub.around(self.below, self.azimuth)
        both = found[:, 1] & found[:, 2]
        between = (self.elevation - rings[:, 1]) / np.maximum(rings[:, 2] - rings[:, 1], 1e-9)
        below, above = 1 / inverse[:, 1], 1 / inverse[:, 2]
        if name == "nearest":
            ranges = np.where(between < 0.5, below, above)
        elif name == "linear":
            ranges = below + between * (above - below)
        elif name == "cubic":
            cubic = _cubic(self.elevation, rings, 1 / inverse)
            ranges = np.where(found.all(axis=1) & (cubic > 0), cubic, below + between * (above - below))
        elif name == "bilateral":
            ranges = self._bilateral(between, np.where(between < 0.5, below, above))
        else:
            guesses = hypotheses(self.elevation, rings, inverse, found)
            both &= guesses.possible[:, 0]
            ranges = 1 / guesses.inverse[:, 0]
        return np.where(both, ranges, np.nan), both.astype(np.float64)

    def _bilateral(self, between: Floats, middle: Floats) -> Floats:
        total, mean = np.zeros_like(middle), np.zeros_like(middle)
        for column in range(-2, 3):
            _, inverse, found = self.sub.around(self.below, self.azimuth + column * self.scan.step)
            for k, away in ((1, between), (2, 1 - between)):
                ranges = 1 / inverse[:, k]
                off = column**2 + (2 * away) ** 2 + ((ranges - middle) / _ALIKE) ** 2
                weight = np.where(found[:, k], np.exp(-off / 2), 0.0)
                total, mean = total + weight, mean + weight * ranges
        return np.where(total > 0, mean / np.maximum(total, 1e-300), middle)

    def _in_space(self, model: LoadedModel) -> tuple[Floats, Floats]:
        dense = model.upsample(Cloud(self.kept_points), self.every, keep_input=True)
        new = dense.positions[len(self.kept_points) :]
        polar = self.scan.pose.to_polar(new, np.zeros(len(new)))
        gap = self.sub.elevations[self.below + 1] - self.sub.elevations[self.below]
        typical = np.array([self.scan.step / 2, float(np.median(gap)) / 4])
        tree = KDTree(polar[:, :2] / typical)
        distance, index = tree.query(np.stack([self.azimuth, self.elevation], axis=1) / typical)
        found = distance <= np.sqrt(2)
        return np.where(found, polar[np.minimum(index, len(new) - 1), 2], np.nan), found.astype(np.float64)


def _cubic(at: Floats, rings: Floats, ranges: Floats) -> Floats:
    """The cubic through four ranges (M, 4) at four elevations, at other elevations (M,), by Lagrange's formula."""
    out = np.zeros(len(at))
    for k in range(4):
        others = [j for j in range(4) if j != k]
        gaps = [np.where(rings[:, k] == rings[:, j], 1e-9, rings[:, k] - rings[:, j]) for j in others]
        out += ranges[:, k] * np.prod([(at - rings[:, j]) / gap for j, gap in zip(others, gaps, strict=True)], axis=0)
    return out


def _rows(problem: _Problem, name: str, model: LoadedModel | None) -> list[dict[str, Any]]:
    ranges, confidence = problem.predict(name, model)
    real = problem.returning
    error = np.abs(ranges[:real] - problem.ranges)
    dared = np.zeros(len(ranges), bool)
    rows = []
    for group, members in (("ground", problem.ground), ("above ground", ~problem.ground)):
        threshold = np.quantile(confidence[:real][members], 1 - DARED) if members.any() else 0.0
        dared[:real] |= members & (confidence[:real] >= threshold) & np.isfinite(ranges[:real])
        rows.append({"group": group, **_score(error[members], dared[:real][members])})
    near = problem.ground & dared[:real] & (problem.ranges <= _AROUND)
    rows[0]["height"] = problem.height_error(ranges[:real], near)
    least = np.quantile(confidence[:real], 1 - DARED) if real else 0.0
    dared[real:] = (confidence[real:] >= max(least, 1e-9)) & np.isfinite(ranges[real:])
    everyone = dared[:real]
    false = int(dared[real:].sum()) + int((error[everyone] > _OFF).sum())
    azimuth, elevation = problem.azimuth[:real][everyone], problem.elevation[:real][everyone]
    polar = np.stack([azimuth, elevation, ranges[:real][everyone]], axis=1)
    points = np.concatenate([problem.kept_points, problem.scan.pose.from_polar(polar, problem.phase[everyone])])
    whole = {
        "group": "all",
        **_score(error, everyone),
        "false": false / max(int(dared.sum()), 1),
        "iou": _voxel_iou(problem.points, points),
    }
    return [*rows, whole]


def _score(error: Floats, dared: NDArray[np.bool_]) -> dict[str, Any]:
    mine = error[dared]
    shares = {f"within_{round(100 * near)}cm": float(np.mean(mine <= near)) if len(mine) else 0.0 for near in NEAR}
    mae = float(mine.mean()) if len(mine) else float("nan")
    return {"rays": len(error), "dared": float(dared.mean()) if len(dared) else 0.0, **shares, "mae": mae}


def _empty_rays(scan: Scan) -> tuple[Integers, Integers]:
    """(ring, column) of rays that return nothing, in the columns that the scan covers."""
    seen = np.zeros((len(scan.elevations), scan.columns), bool)
    seen[scan.ring, scan.column(scan.polar[:, 0])] = True
    beside = seen | np.roll(seen, 1, axis=1) | np.roll(seen, -1, axis=1)  # points beside the middle of their column
    ring, column = np.nonzero(~beside & seen.any(axis=0))
    return ring, column


def _is_ground(points: Floats) -> NDArray[np.bool_]:
    cell = np.floor(points[:, :2] / _CELL).astype(np.int64)
    cell -= cell.min(axis=0)
    size = cell.max(axis=0) + 1
    if int(size[0]) * int(size[1]) > 50_000_000:
        raise CloudError(f"the scan spans {size[0] * _CELL:.0f} by {size[1] * _CELL:.0f} units; scores are for meters")
    lowest = np.full(size, np.inf)
    np.minimum.at(lowest, (cell[:, 0], cell[:, 1]), points[:, 2])
    lowest = minimum_filter(lowest, 3, mode="nearest")
    return np.asarray(points[:, 2] < lowest[cell[:, 0], cell[:, 1]] + _GROUND)


def _voxel_iou(first: Floats, second: Floats) -> float:
    voxels = [np.unique(np.floor(points / _VOXEL).astype(np.int64), axis=0) for points in (first, second)]
    union = len(np.unique(np.concatenate(voxels), axis=0))
    return (len(voxels[0]) + len(voxels[1]) - union) / max(union, 1)
