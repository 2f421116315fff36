"""The reference without a network for networks of patches: new points a third of the way to 4 neighbors."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..cloud import Cloud
from ..geometry.knn import KNN
from ..models.base import Context, PatchUpsampler
from ..pipelines.resample import upsample

THIRDS = {"patch-thirds": "fps", "patch-thirds-owner": "owner"}  # reference -> how patches are merged


class Thirds(PatchUpsampler):
    """Four new points for each point of a patch, a third of the way to its 4 nearest neighbors."""

    name = "patch-thirds"
    summary = "a third of the way to 4 neighbors"
    source = "reference"
    ratio = 4

    def __init__(self, merge: str = "fps") -> None:
        self.merge = merge  # type: ignore[misc]

    def expand(self, patches: np.ndarray, context: Context) -> np.ndarray:
        made = np.empty((*patches.shape[:2], self.ratio, 3))
        for new, points in zip(made, patches, strict=True):
            index = KNN(points).query(points, self.ratio + 1)[1][:, 1:]
            index = np.pad(index, ((0, 0), (0, self.ratio - index.shape[1])), mode="edge")  # in clouds of 2 to 4 points
            new[:] = (2 * points[:, None] + points[index]) / 3
        return made


def thirds(name: str, points: np.ndarray, n: int) -> Any:
    """The n points (n, 3) of a reference of `THIRDS` for input points (N, 3)."""
    return upsample(Cloud(points), n=n, model=Thirds(THIRDS[name])).positions
