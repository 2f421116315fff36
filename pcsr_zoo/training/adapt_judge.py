"""Whether a densified scan is right, judged by points of the scan that were left out: the judge needs no truth."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..geometry.knn import KNN
from .adapt_scan import Area

_PLANE = 10  # nearest points of a cloud that make its surface
_NEARER = 3.0  # the farthest of them has the weight exp(-3)
_REACH = 0.75  # spacings of the cloud: what is farther aside from its nearest point lies in a hole, or beyond
_NEW = 3  # new points near each left-out one
_MOST = 1.0  # spacings: a stray point counts no more than this
_SURE = 2.0  # standard errors
_MARGIN = 0.01  # of what it was
_FARTHER = 1.5  # times as far as before is too far for the farthest point, if it is beyond one spacing


def two_way_distances(left: np.ndarray, given: np.ndarray, dense: np.ndarray, made: np.ndarray) -> NDArray[np.float64]:
    """How far points (M, 3) that were left out and a densified cloud's surface lie from each other, in point spacings.

    The unit is the spacing of `given` (G, 3) around each left-out point: the distance to its sixth neighbour over
    sqrt(6 / pi). No distance counts more than 1, so that stray points of the scan do not decide.

    Args:
        dense: (D, 3), the densified cloud.
        made: (D - G, 3), those of its points that are new.

    Returns:
        (M, 2): from each left-out point to the surface that `dense` shows; and from the 3 new points nearest to it, on
        the average, to the surface that the scan shows with the points that were left out. The first asks whether the
        surface goes where it should, the second whether the new points keep to it.
    """
    unit = _spacings(left, given)
    there = distances_to_surface(left, dense, unit * np.sqrt(len(given) / len(dense))) / unit
    nearest = made[KNN(made).query(left, _NEW)[1]]
    scan = np.concatenate([given, left])
    wide = np.repeat(unit, nearest.shape[1])
    back = (distances_to_surface(nearest.reshape(-1, 3), scan, wide) / wide).reshape(len(left), -1)
    return np.stack([np.minimum(there, _MOST), np.minimum(back, _MOST).mean(axis=1)], axis=1)


def worst_distances(left: np.ndarray, given: np.ndarray, dense: np.ndarray) -> NDArray[np.float64]:
    """The two sides of the Hausdorff distance between a scan and its densified cloud, in point spacings of the scan.

    Nothing is capped here: it is for the few points that weigh nothing in a mean. The sides stay apart, as a stray
    point of the scan lies far from every surface, and would hide the new ones.

    Returns:
        (2,): from the left-out point that is farthest from the densified cloud, and from the densified cloud's point
        that is farthest from the scan, to the nearest point of the other; the unit is the median spacing.
    """
    unit = float(np.median(_spacings(left, given)))
    there = KNN(dense).query(left, 1)[0].max()
    back = KNN(np.concatenate([given, left])).query(dense, 1)[0].max()
    return np.array([there, back]) / unit


def _spacings(left: np.ndarray, given: np.ndarray) -> NDArray[np.float64]:
    """The spacing (M,) of the given points (G, 3) around each left-out one (M, 3)."""
    return np.maximum(KNN(given).query(left, 6)[0][:, -1] / np.sqrt(6 / np.pi), 1e-12)


def distances_to_surface(points: np.ndarray, cloud: np.ndarray, spacing: np.ndarray) -> NDArray[np.float64]:
    """Distances of points (M, 3) to the surface that a cloud (N, 3) shows.

    It is, at each point, the plane through the 10 nearest of the cloud, those near it weighing more; and it ends where
    the nearest one is farther aside than 3/4 of the cloud's spacing there (M,), which just closes it.
    """
    distance, index = KNN(cloud).query(points, _PLANE)
    near = cloud[index]
    weight = np.exp(-_NEARER * (distance / np.maximum(distance[:, -1:], 1e-12)) ** 2)[:, :, None]
    middle = (weight * near).sum(axis=1) / weight.sum(axis=1)
    spread = near - middle[:, None]
    normal = np.linalg.eigh(spread.transpose(0, 2, 1) @ (weight * spread))[1][:, :, 0]
    height = ((points - middle) * normal).sum(axis=1)
    away = points - near[:, 0]
    aside = np.linalg.norm(away - (away * normal).sum(axis=1, keepdims=True) * normal, axis=1)
    return np.hypot(height, np.maximum(aside - _REACH * spacing, 0))


def judge(
    model: Any, network: Any, areas: Sequence[Area], which: Literal["watched", "final"], seed: int, device: str
) -> NDArray[np.float64]:
    """`two_way_distances` (M, 2) of the held-out points of all areas.

    Args:
        model: densifies what is given of each area as it does for users, in one step.
        network: its network, for this time; None to leave it the one that it has.
        which: of the two held-out parts.
    """
    return judge_with_worst(model, network, areas, which, seed, device)[0]


def judge_with_worst(
    model: Any, network: Any, areas: Sequence[Area], which: Literal["watched", "final"], seed: int, device: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What `judge` gives, and the greatest `worst_distances` (2,) of the areas."""
    other = copy.copy(model)
    if network is not None:
        other.network = network
    found, worst = [], []
    for area in areas:
        size, left = len(area.given), getattr(area, which)
        dense = other.upsample(area.given, model.max_step, seed=seed, device=device)
        found.append(two_way_distances(left, area.given, dense, dense[size:]))
        worst.append(worst_distances(left, area.given, dense))
    return np.concatenate(found), np.max(worst, axis=0)


@dataclass(frozen=True)
class Verdict:
    """Two networks compared by the same points that were left out.

    Attributes:
        before, after: mean of both ways of `two_way_distances`, in point spacings.
        ways_before, ways_after: each way by itself.
        error: standard error of the mean difference.
        points: how many.
        worst_before, worst_after: both ways of `worst_distances`.
    """

    before: float
    after: float
    ways_before: tuple[float, float]
    ways_after: tuple[float, float]
    error: float
    points: int
    worst_before: tuple[float, float] = (0.0, 0.0)
    worst_after: tuple[float, float] = (0.0, 0.0)

    @staticmethod
    def of(
        before: np.ndarray,
        after: np.ndarray,
        worst_before: Sequence[float] | NDArray[np.float64] = (0.0, 0.0),
        worst_after: Sequence[float] | NDArray[np.float64] = (0.0, 0.0),
    ) -> Verdict:
        """Of the distances (M, 2) of the same points, and of the farthest (2,)."""
        gain = (before - after).mean(axis=1)
        error = float(np.std(gain, ddof=1) / np.sqrt(len(gain))) if len(gain) > 1 else np.inf
        both = (before.mean(axis=0), after.mean(axis=0), worst_before, worst_after)
        ways: list[Any] = [tuple(float(value) for value in pair) for pair in both]
        return Verdict(float(before.mean()), float(after.mean()), ways[0], ways[1], error, len(gain), *ways[2:])

    @property
    def margin(self) -> float:
        """What it must gain at least: 1 %, and more than chance would give (two standard errors)."""
        return max(_MARGIN * self.before, _SURE * self.error)

    @property
    def change(self) -> float:
        """In per cent of what it was; a gain is negative."""
        return 100 * (self.after / self.before - 1) if self.before > 0 else 0.0

    @property
    def needed(self) -> float:
        """`margin` in per cent of what it was."""
        return 100 * self.margin / self.before if self.before > 0 else 0.0

    @property
    def enough(self) -> bool:
        """The gain is at least `margin`."""
        return self.before > 0 and self.before - self.after >= self.margin

    @property
    def strays(self) -> bool:
        """Either way, the farthest point lies beyond one spacing and more than half as far again as before."""
        both = zip(self.worst_before, self.worst_after, strict=True)
        return any(not after <= max(_FARTHER * before, _MOST) for before, after in both)

    @property
    def better(self) -> bool:
        """The gain is `enough`, neither way got longer by more than 1 %, and there are no new `strays`."""
        both = zip(self.ways_before, self.ways_after, strict=True)
        return self.enough and all(after <= (1 + _MARGIN) * before for before, after in both) and not self.strays
