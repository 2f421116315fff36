"""What tells the points that we add from the measured ones: a flag, and their distance to the nearest measured point.

LAS has the flag for points of other techniques than the collection itself (LAS 1.4 R15, tables 8 and 16): `synthetic`.
"""

from __future__ import annotations

import numpy as np

from ..cloud import Cloud
from ..geometry.knn import knn

SYNTHETIC = "synthetic"  # named like the flag of LAS
DISTANCE = "distance_to_measured"


def marked(result: Cloud, source: Cloud, flag: bool | None = None, distance: bool = False) -> Cloud:
    """The result with marks of the points that are not points of its source.

    Args:
        result: an upsampled or recovered cloud.
        source: the cloud that it was made of. Its points are measured, except for those with its own flag.
        flag: whether to add the attribute `synthetic` (uint8), 1 for new points, also where a measured point was moved.
            By default, for clouds of LAS files or with such flags, and with `distance`.
        distance: whether to add the attribute `distance_to_measured` (float32), in the unit of the positions; it is
            also added if the source has it.
    """
    attributes = dict(result.attributes)
    before = source.attributes.get(SYNTHETIC)
    distance = distance or DISTANCE in source.attributes  # that of an earlier run says nothing of new points
    asked = bool(flag) or distance or before is not None
    if flag is None:
        flag = asked or "las" in source.metadata
    if flag:
        new = np.ones(len(result), bool)
        kept = _kept(result.positions, source.positions)
        new[kept[0]] = False
        synthetic = new.astype(np.uint8)
        if before is not None:
            synthetic[kept[0]] = before.reshape(len(source), -1)[kept[1], 0] != 0
        if synthetic.any() or asked:
            attributes[SYNTHETIC] = synthetic
    if distance:
        measured = source.positions
        if before is not None and not np.all(before):
            measured = measured[before.reshape(len(source), -1)[:, 0] == 0]
        center = measured.mean(axis=0)
        far = knn(measured - center, result.positions - center, 1)[0][:, 0]
        attributes[DISTANCE] = far.astype(np.float32)
    return Cloud(result.positions, attributes, result.metadata)


def _kept(result: np.ndarray, source: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The rows of the result that are points of the source, and their rows there."""
    count = len(source)
    if np.array_equal(result[:count], source):
        return np.arange(count), np.arange(count)
    pairs = np.concatenate([source, result])
    _, where = np.unique(pairs, axis=0, return_inverse=True)
    where = where.reshape(-1)
    row = np.full(where.max(initial=-1) + 1, -1)
    row[where[:count]] = np.arange(count)
    found = row[where[count:]]
    rows = np.flatnonzero(found >= 0)
    return rows, found[rows]
