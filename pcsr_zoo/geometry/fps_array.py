"""Farthest point sampling (Gonzalez 1985; Eldar et al. 1997): exact, and fast also without compiled code.

The greedy algorithm repeatedly picks the point that is farthest from all picked points. Picks depend on each other
only locally: the distance v of a point to the picked set changes only by a pick that is closer than v. All points with
the largest distance within their own v-ball will therefore be picked, and one round can pick all of them at once.
`_by_levels` does so level by level (a level is a band of the largest distances), with neighbor lists from a k-d tree.
The result is that of the greedy algorithm, in the same order, at a cost of about n log n. Large clouds use
`kernels.fps`, which is compiled, ten times faster, and gives the same picks.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ..errors import CloudError, OptionError
from .compiled import is_loaded, kernels

# The number of points in a level is chosen so that its list of neighbor pairs is about this long,
_PAIR_BUDGET = 100_000
# and never longer than this, also in dense clusters (24 bytes for each pair).
_MOST_PAIRS = 500_000
_MANY = 1 << 12  # an assumed number of picks
_LARGE = 30_000  # points from which on compiled code is loaded
_LEAF = 12  # points of a leaf of the tree, in compiled code


def sample_array(
    points: np.ndarray,
    n: int,
    start: int | None = None,
    selected: np.ndarray | None = None,
    seed: int | None = None,
    weights: np.ndarray | None = None,
    ties: np.ndarray | None = None,
    distance: np.ndarray | None = None,
) -> NDArray[np.int64]:
    """`fps.farthest_point_sample` of an array (N, C)."""
    array = np.ascontiguousarray(points, dtype=np.float64)
    if array.ndim != 2:
        raise CloudError(f"farthest point sampling needs points of shape (N, C), got {array.shape}")
    if not np.isfinite(array).all():
        row = int(np.flatnonzero(~np.isfinite(array).all(axis=1))[0])
        raise CloudError(f"farthest point sampling needs finite points; row {row} is NaN or infinite")
    check_count(n, len(array), start)
    if weights is not None:
        weights = np.asarray(weights, np.float64)
        if weights.shape != (len(array),) or not (np.isfinite(weights).all() and (weights > 0).all()):
            raise OptionError(f"farthest point sampling needs {len(array)} positive weights")
    if selected is not None and len(selected):
        distance = cKDTree(np.asarray(selected, np.float64)).query(array, workers=-1)[0]
    weights = np.ones(len(array)) if weights is None else weights
    ties = np.arange(len(array)) if ties is None else np.asarray(ties, np.int64)
    return _fps_array(array, int(n), start, distance, seed, weights, ties)


def check_count(n: int, size: int, start: int | None) -> None:
    if n < 0 or n > size:
        raise OptionError(f"cannot pick {n} of {size} points")
    if start is not None and not 0 <= start < size:
        raise OptionError(f"start must be an index of one of {size} points, got {start}")


def first_pick(points: np.ndarray, start: int | None, seed: int | None) -> int:
    if start is not None:
        return int(start)
    if seed is not None:
        return int(np.random.default_rng(seed).integers(len(points)))
    return int(np.argmax(((points - points.mean(axis=0)) ** 2).sum(axis=1)))


def _fps_array(
    points: np.ndarray,
    n: int,
    start: int | None,
    distance: np.ndarray | None,
    seed: int | None,
    weights: np.ndarray,
    ties: np.ndarray,
) -> np.ndarray:
    size = len(points)
    if n == 0:
        return np.empty(0, np.int64)
    picks = np.empty(n, np.int64)
    if distance is not None:
        value = weights * distance
        done = 0
    else:
        picks[0] = first = first_pick(points, start, seed)
        value = weights * np.sqrt(((points - points[first]) ** 2).sum(axis=1))
        value[first] = -1.0
        done = 1
    fast = kernels() if points.shape[1] == 3 and (size >= _LARGE or is_loaded()) else None
    if fast is not None:
        rows = np.column_stack([points, value, ties, weights])
        fast.fps(rows, fast.tree(rows, _LEAF), picks[done:])
        picks[done:] = _inverse(ties)[picks[done:]]
        return picks
    order = _inverse(ties)
    picks[done:] = order[_by_levels(points[order], value[order], weights[order], n - done, done)]
    return picks


def _inverse(permutation: np.ndarray) -> NDArray[np.int64]:
    inverse = np.empty_like(permutation)
    inverse[permutation] = np.arange(len(permutation))
    return inverse


def _by_levels(points: np.ndarray, value: np.ndarray, weights: np.ndarray, n: int, count: int) -> NDArray[np.int64]:
    """The next n picks; `value` (N,), which changes, has the weighted distances to the picks so far.

    There are `count` of them, or, with 0, an unknown number.
    """
    count = count or _MANY
    size, done = len(points), 0
    picks = [np.empty(0, np.int64)]
    tree: cKDTree | None = None
    least = float(weights.min())
    while done < n:
        active = _largest(value, int(np.clip(np.sqrt(_PAIR_BUDGET * count), 16, size)))
        top = float(value[active].max())
        if top <= 0.0:  # only duplicates of picks are left
            picks.append(np.flatnonzero(value == 0.0)[: n - done])
            break
        spread = count > 64
        active = active[value[active] > (0.8 * top if spread else 0.0)]
        taken = _level(points, value, weights, active, n - done)
        picks.append(taken)
        done += len(taken)
        count += len(taken)
        if done >= n:
            break
        if len(taken) * 64 < size and len(taken) <= 8:
            for index in taken:
                np.minimum(value, weights * np.sqrt(((points - points[index]) ** 2).sum(axis=1)), out=value)
        elif spread:  # picks are at least 0.8 top apart: few of them are within top of any point
            tree = tree or cKDTree(points)
            pairs = cKDTree(points[taken]).sparse_distance_matrix(tree, top / least, output_type="ndarray")
            np.minimum.at(value, pairs["j"], weights[pairs["j"]] * pairs["v"])
        else:
            np.minimum(value, weights * cKDTree(points[taken]).query(points, workers=-1)[0], out=value)
        value[taken] = -1.0
    return np.concatenate(picks).astype(np.int64)


def _largest(value: np.ndarray, most: int) -> np.ndarray:
    """Ascending indices of the `most` largest values; among equal values, those of the lowest indices."""
    if most >= len(value):
        return np.arange(len(value))
    bound = np.partition(value, len(value) - most)[len(value) - most]
    above = np.flatnonzero(value > bound)
    return np.sort(np.concatenate([above, np.flatnonzero(value == bound)[: most - len(above)]]))


def _level(points: np.ndarray, value: np.ndarray, weights: np.ndarray, active: np.ndarray, most: int) -> np.ndarray:
    """The greedy picks among `active` that are above the level's bound, in order; at most `most`.

    `active` has ascending indices of the points with the largest values (among equal ones, the lowest indices). If they
    have too many neighbor pairs, as in a dense cluster, the level is made smaller.
    """
    tree = cKDTree(points[active])
    while len(active) ** 2 > _MOST_PAIRS:
        probes = points[active[:: max(1, len(active) // 256)]]
        reach = value[active].max() / weights[active].min()
        degree = tree.query_ball_point(probes, reach, return_length=True).mean()
        if degree * len(active) <= _MOST_PAIRS:
            break
        active = active[_largest(value[active], len(active) // 2)]
        tree = cKDTree(points[active])
    own = value[active].copy()
    bound = np.nextafter(own.min(), -1.0)  # every other point is at or below `own.min()`
    pairs = tree.sparse_distance_matrix(tree, float(own.max() / weights[active].min()), output_type="ndarray")
    i, j, d = pairs["i"], pairs["j"], weights[active[pairs["i"]]] * pairs["v"]  # the value of i after a pick of j
    keep = i != j
    i, j, d = i[keep], j[keep], d[keep]
    waiting = np.ones(len(active), bool)
    done = np.zeros(len(active), bool)
    while waiting.any():
        # i waits while a point that precedes it (larger value, or equal and lower index) is closer than own[i]
        before = (own[j] > own[i]) | ((own[j] == own[i]) & (j < i))
        near = before & (d < own[i])
        blocked = np.zeros(len(active), bool)
        blocked[i[near]] = True
        now = waiting & ~blocked
        done |= now
        waiting &= ~now
        # a pick changes only the points that follow it in the greedy order
        touched = near & done[j]
        np.minimum.at(own, i[touched], d[touched])
        waiting &= own > bound
        keep = waiting[i] & (waiting[j] | done[j])
        i, j, d = i[keep], j[keep], d[keep]
    chosen = np.flatnonzero(done)
    order = np.lexsort((chosen, -own[chosen]))[:most]
    return active[chosen[order]]
