"""The order of dart throwing resolved for all points at once, on arrays and tensors alike."""

from __future__ import annotations

from typing import Any


def resolve_darts(first: Any, second: Any, waiting: Any) -> Any:
    """Mask of the points that stay, given the pairs (first before second) that are too near; arrays or tensors.

    `waiting` is all True, one entry for each point; it is used up.
    """
    kept = ~waiting
    while waiting.any():
        blocked = waiting & ~waiting
        blocked[second] = True  # some waiting neighbor throws first
        now = waiting & ~blocked
        kept |= now
        waiting &= ~now
        waiting[second[now[first]]] = False
        left = waiting[first] & waiting[second]
        first, second = first[left], second[left]
    return kept
