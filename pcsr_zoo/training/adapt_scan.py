"""A single scan, parted: what a network is adapted on, and two parts by which it is judged.

Points for the judges are drawn at random, a tenth and a fifth of the scan; of a large scan, of the points around a few
places. What is left is cut into overlapping regions of equal size, the shapes of a training set that has no truth:
nothing of the scan is in it but these points.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..datasets.training_set import ShapeInfo, TrainingSet
from ..errors import CloudError
from ..geometry.distinct import first_occurrences
from ..geometry.frames import UnitFrame
from ..geometry.knn import KNN
from .scans import surface_area

FEWEST = 512  # distinct points that can be parted
WATCHED, FINAL = 0.1, 0.2  # shares of the points there that are held out
_WHOLE = 6144  # scans up to this size are judged as a whole
_AREAS, _AREA = 6, 2048  # larger ones around so many places, by so many points
_CORE = 0.5  # of an area's points, the nearest to its middle: they are not at the border that we cut
_REGION, _MOST_REGIONS = 4096, 48


@dataclass(frozen=True)
class Area:
    """A piece of the scan where held-out points are looked for.

    Attributes:
        given: (G, 3), what the network is to densify: none of the held-out points.
        watched: (W, 3), held out; training stops by them.
        final: (F, 3), held out; they are looked at when all is over.
    """

    given: NDArray[np.float64]
    watched: NDArray[np.float64]
    final: NDArray[np.float64]


@dataclass(frozen=True)
class Parts:
    """A scan, parted. All positions are in its unit frame.

    Attributes:
        training: (T, 3), what the network may learn from.
        areas: where it is judged.
    """

    training: NDArray[np.float64]
    areas: list[Area]

    @property
    def watched(self) -> int:
        return sum(len(area.watched) for area in self.areas)

    @property
    def final(self) -> int:
        return sum(len(area.final) for area in self.areas)


def part(positions: np.ndarray, seed: int = 0, name: str = "the scan") -> Parts:
    """Part the distinct points of a scan (N, 3); the same seed, the same parts.

    Raises:
        CloudError: too few distinct points.
    """
    positions = np.asarray(positions, np.float64)
    distinct = positions[first_occurrences(positions)]
    if len(distinct) < FEWEST:
        raise CloudError(
            f"{name} has {len(distinct)} distinct points; {FEWEST} are needed to adapt to it and to tell whether it "
            "helped. Upsample it without adapting"
        )
    points = UnitFrame.of(distinct).to_unit(distinct)
    rng = np.random.default_rng([seed, 31])
    near = _areas(points, rng)
    kind = np.zeros(len(points), np.int8)  # 1 watched, 2 final
    owner = np.full(len(points), -1)
    for number, index in enumerate(near):
        core = index if len(near) == 1 else index[: round(_CORE * len(index))]
        core = core[owner[core] < 0]
        owner[core] = number
        drawn = rng.permutation(core)
        first, last = round(WATCHED * len(core)), round((WATCHED + FINAL) * len(core))
        kind[drawn[:first]], kind[drawn[first:last]] = 1, 2
    areas = []
    for number, index in enumerate(near):
        own = index[owner[index] == number]
        areas.append(Area(points[index[kind[index] == 0]], points[own[kind[own] == 1]], points[own[kind[own] == 2]]))
    return Parts(points[kind == 0], [area for area in areas if len(area.watched) and len(area.final)])


def _areas(points: np.ndarray, rng: np.random.Generator) -> list[NDArray[np.int64]]:
    """Indices of each area's points, nearest to its middle first."""
    if len(points) <= _WHOLE:
        return [np.arange(len(points))]
    middles = rng.choice(len(points), _AREAS, replace=False)  # more where there is more of the scan
    return list(KNN(points).query(points[middles], _AREA)[1])


def regions(points: np.ndarray, seed: int = 0) -> ScanSet:
    """Points (T, 3) as the shapes of a training set: one, or overlapping ones that leave hardly any out."""
    if len(points) <= 2 * _REGION:
        return ScanSet([points])
    rng = np.random.default_rng([seed, 32])
    count = min(_MOST_REGIONS, math.ceil(2 * len(points) / _REGION))
    middles = rng.choice(len(points), count, replace=False)
    found = KNN(points).query(points[middles], _REGION)[1]
    return ScanSet([points[np.sort(index)] for index in found])


class ScanSet(TrainingSet):
    """Clouds (P, 3) of one size as a training set in memory, each in a unit frame of its own; nothing is held out.

    Normals are not known: they are NaN, so that a recipe that uses them comes to nothing.
    """

    def __init__(self, clouds: Sequence[np.ndarray]) -> None:
        frames = [UnitFrame.of(cloud) for cloud in clouds]
        self._clouds = [frame.to_unit(cloud) for frame, cloud in zip(frames, clouds, strict=True)]
        facts: dict[str, Any] = {"licence": "unknown", "licence_class": "unknown", "source": "", "vertices": 0}
        facts |= {"faces": 0, "normals": "unoriented", "held_out": False}
        shapes = [
            ShapeInfo(name=f"region {k}", area=surface_area(cloud), **facts) for k, cloud in enumerate(self._clouds)
        ]
        rows = np.array([[*frame.center, frame.scale] for frame in frames])
        super().__init__({"frames": rows}, shapes, {"points": len(clouds[0])})

    def points(self, index: int) -> NDArray[np.float32]:
        return self._clouds[index].astype(np.float32)

    def normals(self, index: int) -> NDArray[np.float32]:
        return np.full_like(self.points(index), np.nan)
