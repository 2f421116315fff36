"""Select an exact number of new points from an upsampler's candidates, in steps of at most its `max_step`."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ..errors import CloudError
from ..geometry.distinct import distinct_points, first_occurrences
from ..geometry.fps import farthest_point_sample
from ..geometry.knn import KNN
from .base import Context, Upsampler

_GRID = 2.0**46  # the inverse of the distance, in the unit frame, at which points count as equal


def densify(model: Upsampler, base: np.ndarray, support: np.ndarray, count: int, context: Context) -> np.ndarray:
    """New points (count, 3), selected from the model's candidates by farthest point sampling.

    Args:
        model: the upsampler.
        base: (N, 3), the cloud in the unit frame.
        support: (A, 3), the points that define the surface.
        count: the number of new points.
        context: the settings of the run.

    Raises:
        CloudError: the points are so close that no floating-point number lies between them.
    """
    current = distinct_points(base)
    new_points: list[np.ndarray] = []
    steps = max(1, math.ceil(math.log(max((len(base) + count) / len(base), 1)) / math.log(model.max_step) - 1e-9))
    while count > 0:
        growth = (1 + count / len(current)) ** (1 / max(1, steps))
        take = min(count, math.ceil(len(current) * (growth - 1)))
        candidates = model.candidates(current, support, take, context)
        context.progress("selection", 0.0)
        selected = candidates
        if take < len(candidates):
            selected = candidates[spread(candidates, take, context.seed, selected=current)]
        context.progress("selection", 1.0)
        picks = _off(model.relax(selected, current, support, context), current)
        if len(picks) == 0:  # all candidates are equal to existing points
            picks = _off(candidates, current)[:take]
        if len(picks) == 0:
            picks = _between(current, take)
        if len(picks) == 0:
            raise CloudError(f"'{model.name}' cannot place {count} more points: the points are too close to each other")
        new_points.append(picks)
        count -= len(picks)
        steps -= 1
        if count > 0:
            current = np.concatenate([current, picks])
    return np.concatenate(new_points) if new_points else np.empty((0, 3))


def spread(
    candidates: np.ndarray,
    count: int,
    seed: int,
    selected: np.ndarray | None = None,
    distance: np.ndarray | None = None,
) -> NDArray[np.int64]:
    """Ascending indices of `count` of (M, 3) candidates, by farthest point sampling; see `farthest_point_sample`.

    They are in the order of the candidates, not of the picks, so that neighbors stay close in memory.
    """
    ties = np.random.default_rng(seed).permutation(len(candidates))  # on a grid most tie; avoid a bias to one side
    return np.sort(farthest_point_sample(candidates, count, selected=selected, ties=ties, distance=distance))


def _between(points: np.ndarray, count: int) -> np.ndarray:
    """At most `count` midpoints between distinct points and their nearest neighbors, longest edges first."""
    distance, index = KNN(points).query(points, 2)
    order = np.argsort(-distance[:, -1], kind="stable")
    return _off((points[order] + points[index[order, -1]]) / 2, points)[:count]


def _off(points: np.ndarray, current: np.ndarray) -> np.ndarray:
    """Points without duplicates of each other or of a current point, which would stop the growth.

    On a grid, midpoints of different edges are the same point up to rounding.
    """
    both = np.concatenate([current, points])
    with np.errstate(over="ignore"):
        rounded = np.rint(both * _GRID)
    first = first_occurrences(np.where(np.abs(rounded) < 2.0**53, rounded, both))
    return points[first[first >= len(current)] - len(current)]
