"""The surface that `jetnet` sees in a cloud: fitted and encoded once, then asked for as many places as one likes."""

from __future__ import annotations

import numpy as np
import torch

from ...geometry.knn import KNN
from ...geometry.parallel import each
from ...geometry.patches import NEAR, Patches, fit_patches
from ..base import Progress
from .network import JetNetwork

VIEWS = 4  # patches that have a say on each place
_FARTHEST = 2.0  # times the distance of the last of them, a place may move
_AROUND = 8  # points that tell the midst from a border
_FITTED = 1 << 12  # patches at a time
_CHUNK = 1 << 12  # places at a time: more would not fit the processor's caches


class LearnedSurface:
    """The surface through (N, 3) float64 points.

    Its `points` are in an order of their own, that of the leaves of a k-d tree.

    Args:
        noise: in point spacings, 0 for a clean cloud.
        progress: told of the stages "patches" and "surface".
    """

    def __init__(self, network: JetNetwork, points: np.ndarray, noise: float, device: str, progress: Progress) -> None:
        points = points[KNN(points).tree.indices]  # neighbors near each other in memory: a tenth faster
        self.points, self.network, self.device, self.progress = points, network, device, progress
        self.tree = KNN(points)

        def fit(begin: int) -> Patches:
            return fit_patches(points, self.tree, noise, slice(begin, begin + _FITTED))

        begins = range(0, len(points), _FITTED)
        parts = []
        for part in each(fit, begins):
            parts.append(part)
            progress("patches", len(parts) / len(begins))
        patches = Patches.cat(parts).to(device)
        del parts
        with torch.inference_mode():
            self.table = network.encode(patches, torch.full((len(points),), noise, device=device))
        self.spacing = patches.radius[:, 0].cpu().numpy() / np.sqrt(NEAR / np.pi)

    def move(self, places: np.ndarray) -> np.ndarray:
        """Places (M, 3) moved onto the surface."""
        return self.move_and_measure(places)[0]

    def move_and_measure(self, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Places (M, 3) moved onto the surface, and the point spacing (M,) where they were."""
        moved, spacing = np.empty((len(places), 3)), np.empty(len(places))

        def work(begin: int) -> None:
            part = slice(begin, begin + _CHUNK)
            moved[part], spacing[part] = self._move(places[part])

        begins = range(0, len(places), _CHUNK)
        for done, _ in enumerate(each(work, begins, self.device)):
            self.progress("surface", (done + 1) / len(begins))
        return moved, spacing

    @torch.inference_mode()
    def _move(self, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        distance, index = self.tree.query(places, VIEWS)
        offsets = torch.from_numpy((places[:, None] - self.points[index]).astype(np.float32)).to(self.device)
        move, _ = self.network.decode(self.table, offsets, torch.from_numpy(index).to(self.device))
        step = move.cpu().numpy().astype(np.float64)
        # Between clumps a quadric of a clump's size is worth nothing, and may lead anywhere: such places stay.
        step[~(np.linalg.norm(step, axis=1) <= _FARTHEST * distance[:, -1])] = 0.0
        return places + step, self.spacing[index[:, 0]]

    def nearest(self, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """From places (M, 3) to the nearest point (M,), and the point spacing (M,) there.

        The spacing is the side of the square that a point has to itself.
        """
        distance, index = self.tree.query(places, 1)
        return distance[:, 0], self.spacing[index[:, 0]]

    def one_sidedness(self, places: np.ndarray) -> np.ndarray:
        """Length (M,) of the sum of the offsets from the 8 nearest points to a place, over the sum of their lengths.

        0 in the midst of even points, about .6 on a straight border, 1 far outside.
        """
        distance, index = self.tree.query(places, _AROUND)
        total = len(index[0]) * places - self.points[index].sum(axis=1) if len(index) else places
        return np.linalg.norm(total, axis=1) / np.maximum(distance.sum(axis=1), 1e-300)
