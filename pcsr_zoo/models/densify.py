"""From an upsampler's candidates to exactly as many new points as are wanted, by steps of at most its `max_step`."""

from __future__ import annotations

import math

import numpy as np

from ..errors import CloudError
from ..geometry.distinct import distinct_points, first_occurrences
from ..geometry.fps import farthest_point_sample
from .base import Context, Upsampler


def densify(model: Upsampler, base: np.ndarray, support: np.ndarray, wanted: int, context: Context) -> np.ndarray:
    """`wanted` new points (wanted, 3), chosen from the model's candidates so that they cover best."""
    current = distinct_points(base)
    fresh: list[np.ndarray] = []
    draw = np.random.default_rng(context.seed)
    steps = max(1, math.ceil(math.log(max((len(base) + wanted) / len(base), 1)) / math.log(model.max_step) - 1e-9))
    while wanted > 0:
        growth = (1 + wanted / len(current)) ** (1 / max(1, steps))
        take = min(wanted, math.ceil(len(current) * (growth - 1)))
        candidates = model.candidates(current, support, take, context)
        context.progress("selection", 0.0)
        if take < len(candidates):
            candidates = draw.permutation(candidates)  # on a grid most distances tie: no side of it goes first
            candidates = candidates[farthest_point_sample(candidates, take, selected=current)]
        context.progress("selection", 1.0)
        candidates = model.relax(candidates, current, support, context)
        picks = _off(candidates, current)
        if len(picks) == 0:
            raise CloudError(f"'{model.name}' finds no place for {wanted} more points; ask for fewer")
        fresh.append(picks)
        wanted -= len(picks)
        steps -= 1
        if wanted > 0:
            current = np.concatenate([current, picks])
    return np.concatenate(fresh) if fresh else np.empty((0, 3))


def _off(picks: np.ndarray, current: np.ndarray) -> np.ndarray:
    """Picks without those that repeat each other or a current point exactly (they would stop the growth)."""
    first = first_occurrences(np.concatenate([current, picks]))
    return picks[first[first >= len(current)] - len(current)]
