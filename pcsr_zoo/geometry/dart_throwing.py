"""Dart throwing in a given order, computed for all points at once, for arrays and tensors."""

from __future__ import annotations

from typing import Any


def resolve_darts(first: Any, second: Any, waiting: Any) -> Any:
    """Mask (N,) of the points that are kept: a point is dropped if an earlier kept point is too close.

    Args:
        first, second: indices (P,) of the pairs of points that are too close; `first` comes earlier.
        waiting: (N,), all True. It is overwritten.
    """
    kept = ~waiting
    while waiting.any():
        blocked = waiting & ~waiting
        blocked[second] = True  # an earlier neighbor is undecided
        now = waiting & ~blocked
        kept |= now
        waiting &= ~now
        waiting[second[now[first]]] = False
        left = waiting[first] & waiting[second]
        first, second = first[left], second[left]
    return kept
