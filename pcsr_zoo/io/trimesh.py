"""A triangle mesh, as the readers return it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..cloud import Cloud


class Mesh(NamedTuple):
    """A triangle mesh: `vertices` with their attributes, and `triangles` (F, 3) int64, rows of `vertices`."""

    vertices: Cloud
    triangles: np.ndarray


def fan_triangles(polygons: np.ndarray | Sequence[np.ndarray]) -> np.ndarray:
    """Split polygons, an array (F, C) or F arrays of any lengths, into triangle fans (F', 3) int64.

    Polygons with fewer than three corners are dropped.
    """
    if isinstance(polygons, np.ndarray):
        if polygons.shape[1] < 3:
            return np.empty((0, 3), np.int64)
        return _fan(polygons.astype(np.int64)).reshape(-1, 3)
    lengths = np.array([len(polygon) for polygon in polygons])
    parts, order = [], []
    for length in np.unique(lengths[lengths >= 3]):
        rows = np.flatnonzero(lengths == length)
        fans = _fan(np.stack([polygons[row] for row in rows.tolist()]).astype(np.int64))
        parts.append(fans.reshape(-1, 3))
        order.append(np.repeat(rows, length - 2))
    if not parts:
        return np.empty((0, 3), np.int64)
    return np.concatenate(parts)[np.argsort(np.concatenate(order), kind="stable")]


def strip_triangles(strips: np.ndarray | Sequence[np.ndarray]) -> np.ndarray:
    """The triangles (F, 3) int64 of triangle strips, which -1 ends; every second one is turned around."""
    parts = [np.empty((0, 3), np.int64)]
    for row in strips:
        row = np.asarray(row).astype(np.int64)
        for strip in np.split(row, np.flatnonzero(row == -1)):
            strip = strip[strip != -1]
            if len(strip) < 3:
                continue
            corners = np.stack([strip[:-2], strip[1:-1], strip[2:]], axis=1)
            corners[1::2] = corners[1::2, [1, 0, 2]]
            first, second, third = corners.T
            parts.append(corners[(first != second) & (second != third) & (first != third)])
    return np.concatenate(parts)


def _fan(polygons: np.ndarray) -> np.ndarray:
    """(F, C) -> (F, C - 2, 3)."""
    first = np.broadcast_to(polygons[:, :1], (len(polygons), polygons.shape[1] - 2))
    return np.stack([first, polygons[:, 1:-1], polygons[:, 2:]], axis=2)
