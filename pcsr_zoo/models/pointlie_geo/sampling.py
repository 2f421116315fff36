"""Sampling by recovery error: more samples where the recovered cloud is wrong. The method is ours.

Farthest point sampling uses the same density on a wall as on the fingers of a hand. Here a cloud is sampled, recovered
and compared with itself; the density is raised where the error is large, and this is repeated. Each region keeps the
density that gave its smallest error. The best of all samplings is returned, so the result is never worse than
farthest point sampling by the cost used here.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ...geometry.fps import farthest_point_sample
from ...geometry.knn import KNN

_POWER = 0.25  # exponent of the error in the density; halved after a round without improvement
_CHANGE = 1.4  # largest change of a weight in a round
_RANGE = 1.4  # largest ratio of a weight to the mean
_SMOOTH = 2.0  # an error is averaged over the points of the cloud for so many samples
_GAIN = 0.01  # smallest relative improvement that counts: rounding can cause smaller ones
_LARGEST = 0.3  # weight of the Hausdorff distance in the cost; that of the Chamfer distance is 1


def sample_for_recovery(
    points: np.ndarray,
    n: int,
    recover: Callable[[np.ndarray, float], np.ndarray],
    rounds: int,
) -> NDArray[np.int64]:
    """Indices (n,) of the samples of points (N, 3), n < N.

    Args:
        points: (N, 3), in the unit frame.
        n: the number of samples.
        recover: called with samples (n, 3) and the fraction of the rounds that is done; returns points (N, 3).
        rounds: how often the density is changed; 0 is farthest point sampling.
    """
    picks = farthest_point_sample(points, n)
    if rounds == 0:
        return picks
    tree = KNN(points)
    near = tree.query(points, min(len(points), max(8, round(_SMOOTH * len(points) / n))))[1]
    weights, power = np.ones(len(points)), _POWER
    best, chosen, first = np.inf, picks, (1.0, 1.0)
    kept_weights, kept_error = weights, np.full(len(points), np.inf)
    for done in range(rounds + 1):
        if done:
            picks = farthest_point_sample(points, n, weights=weights)
        dense = recover(points[picks], done / (rounds + 1))
        error = _errors(points, tree, dense)[near].mean(axis=1)
        chamfer, hausdorff = _distances(points, dense)
        if done == 0:
            first = max(chamfer, 1e-300), max(hausdorff, 1e-300)
        cost = chamfer / first[0] + _LARGEST * hausdorff / first[1]
        if cost < (1 - _GAIN) * best:
            best, chosen = cost, picks
        else:
            power /= 2
        better = error < (1 - _GAIN) * kept_error
        kept_weights, kept_error = np.where(better, weights, kept_weights), np.where(better, error, kept_error)
        change = (kept_error / max(kept_error.mean(), 1e-300)) ** power
        weights = kept_weights * np.clip(change, 1 / _CHANGE, _CHANGE)
        weights = np.clip(weights / np.exp(np.log(weights).mean()), 1 / _RANGE, _RANGE)
    return chosen


def _errors(points: np.ndarray, tree: KNN, dense: np.ndarray) -> NDArray[np.float64]:
    """Squared errors (N,): the larger of the distance from each point to the recovered cloud, and back."""
    there = KNN(dense).query(points, 1)[0][:, 0]
    back, index = tree.query(dense, 1)
    np.maximum.at(there, index[:, 0], back[:, 0])
    return there**2


def _distances(points: np.ndarray, dense: np.ndarray) -> tuple[float, float]:
    """Squared Chamfer and Hausdorff distances, summed over both directions, each cloud relative to its own mean."""
    a, b = points - points.mean(axis=0), dense - dense.mean(axis=0)
    there, back = KNN(b).query(a, 1)[0] ** 2, KNN(a).query(b, 1)[0] ** 2
    return float(there.mean() + back.mean()), float(there.max() + back.max())
