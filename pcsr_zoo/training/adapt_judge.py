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

_PLANE = 10  # nearest points of the densified cloud that make its surface
_NEARER = 3.0  # the farthest of them has the weight exp(-3)
_REACH = 0.75  # spacings of the densified cloud: what is farther from its nearest point lies in a hole
_MOST = 1.0  # given spacings: a stray point counts no more than this
_SURE = 2.0  # standard errors
_MARGIN = 0.01  # of what it was


def held_out_distances(left: np.ndarray, given: np.ndarray, dense: np.ndarray) -> NDArray[np.float64]:
    """How far points (M, 3) that were left out lie from the surface that a densified cloud shows, in point spacings.

    The surface at a point is the plane through the 10 nearest points of `dense` (D, 3), those near it weighing more; it
    ends where the nearest one is farther aside than 3/4 of their spacing, which just closes it. The unit is the spacing
    of `given` (G, 3) around each point: the distance to its sixth neighbour over sqrt(6 / pi). No distance counts more
    than 1, so that stray points of the scan do not decide.
    """
    unit = np.maximum(KNN(given).query(left, 6)[0][:, -1] / np.sqrt(6 / np.pi), 1e-12)
    distance, index = KNN(dense).query(left, _PLANE)
    near = dense[index]
    weight = np.exp(-_NEARER * (distance / np.maximum(distance[:, -1:], 1e-12)) ** 2)[:, :, None]
    middle = (weight * near).sum(axis=1) / weight.sum(axis=1)
    spread = near - middle[:, None]
    normal = np.linalg.eigh(spread.transpose(0, 2, 1) @ (weight * spread))[1][:, :, 0]
    height = ((left - middle) * normal).sum(axis=1)
    away = left - near[:, 0]
    aside = np.linalg.norm(away - (away * normal).sum(axis=1, keepdims=True) * normal, axis=1)
    beyond = np.maximum(aside - _REACH * unit * np.sqrt(len(given) / len(dense)), 0)
    return np.minimum(np.hypot(height, beyond) / unit, _MOST)


def judge(
    model: Any, network: Any, areas: Sequence[Area], which: Literal["watched", "final"], seed: int, device: str
) -> NDArray[np.float64]:
    """`held_out_distances` of the held-out points of all areas.

    Args:
        model: densifies what is given of each area as it does for users, in one step.
        network: its network, for this time.
        which: of the two held-out parts.
    """
    other = copy.copy(model)
    other.network = network
    found = []
    for area in areas:
        dense = other.upsample(area.given, model.max_step, seed=seed, device=device)
        found.append(held_out_distances(getattr(area, which), area.given, dense))
    return np.concatenate(found)


@dataclass(frozen=True)
class Verdict:
    """Two networks compared by the same points.

    Attributes:
        before, after: mean distance to the densified surface, in point spacings.
        error: standard error of the mean difference.
        points: how many.
    """

    before: float
    after: float
    error: float
    points: int

    @staticmethod
    def of(before: np.ndarray, after: np.ndarray) -> Verdict:
        """Of the distances (M,) of the same points."""
        error = float(np.std(before - after, ddof=1) / np.sqrt(len(before))) if len(before) > 1 else np.inf
        return Verdict(float(before.mean()), float(after.mean()), error, len(before))

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
    def better(self) -> bool:
        return self.before - self.after >= self.margin and self.before > 0
