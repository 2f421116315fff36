"""Sampling by what recovery makes of it: points go where the recovered cloud is wrong. Ours.

Farthest point sampling spends as many points on a plain wall as on the fingers of a hand. Here a cloud is sampled,
recovered, and compared with itself; where the error is large, points are put nearer together, and again. The density
is judged place by place, so what helps one place stays while another is still sought for. The best of all samples is
taken, so that the result is never worse, by the measure used here, than plain farthest point sampling.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ...geometry.fps import farthest_point_sample
from ...geometry.knn import KNN

_POWER = 0.25  # of the error, by which distances between samples shrink; halved when a round was no better
_CHANGE = 1.4  # at most, in a round
_RANGE = 1.4  # at most, from the mean density of all
_SMOOTH = 2.0  # an error is taken over so many samples' shares of the cloud
_GAIN = 0.01  # what is better by less is not better: rounding could turn it
_LARGEST = 0.3  # weight of the Hausdorff distance beside the Chamfer distance


def sample_for_recovery(
    points: np.ndarray,
    n: int,
    recover: Callable[[np.ndarray, float], np.ndarray],
    rounds: int,
) -> NDArray[np.int64]:
    """Indices (n,) of the samples of (N, 3) points, n < N.

    Args:
        recover: called with samples (n, 3) and the fraction of all rounds that is done; gives (N, 3) points.
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
    """Squared (N,): how far the recovered cloud is from each point, or its points that this one is nearest to."""
    there = KNN(dense).query(points, 1)[0][:, 0]
    back, index = tree.query(dense, 1)
    np.maximum.at(there, index[:, 0], back[:, 0])
    return there**2


def _distances(points: np.ndarray, dense: np.ndarray) -> tuple[float, float]:
    """Squared Chamfer and Hausdorff distances, both ways added, each cloud about its own mean: uneven cover counts."""
    a, b = points - points.mean(axis=0), dense - dense.mean(axis=0)
    there, back = KNN(b).query(a, 1)[0] ** 2, KNN(a).query(b, 1)[0] ** 2
    return float(there.mean() + back.mean()), float(there.max() + back.max())
