"""The surface that `jetnet` sees in a cloud: fitted and encoded once, then asked for as many places as one likes."""

from __future__ import annotations

import numpy as np
import torch

from ..geometry.knn import KNN
from ..geometry.patches import Patches, fit_patches
from .base import Progress
from .jetnet_network import JetNetwork
from .parallel import each

VIEWS = 4  # patches that have a say on each place
_AROUND = 8  # points that tell the midst from a border
_CHUNK = 1 << 14


class LearnedSurface:
    """The surface through (N, 3) float64 points.

    Args:
        noise: in point spacings, 0 for a clean cloud.
        progress: told of the stages "patches" and "surface".
    """

    def __init__(self, network: JetNetwork, points: np.ndarray, noise: float, device: str, progress: Progress) -> None:
        self.points, self.network, self.device, self.progress = points, network, device, progress
        self.tree = KNN(points)

        def fit(begin: int) -> Patches:
            return fit_patches(points, self.tree, noise, slice(begin, begin + _CHUNK))

        begins = range(0, len(points), _CHUNK)
        parts = []
        for part in each(fit, begins):
            parts.append(part)
            progress("patches", len(parts) / len(begins))
        patches = Patches.cat(parts).to(device)
        del parts
        with torch.inference_mode():
            self.features = network.encode(patches, torch.full((len(points),), noise, device=device))
            self.patches = Patches.cat([patches.forget()])  # a copy, which holds on to nothing

    def move(self, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Places (M, 3) moved onto the surface, and how one-sided (M,) they were, see `_one_sidedness`."""
        moved, one_sided = np.empty((len(places), 3)), np.empty(len(places))

        def work(begin: int) -> None:
            part = slice(begin, begin + _CHUNK)
            moved[part], one_sided[part] = self._move(places[part])

        begins = range(0, len(places), _CHUNK)
        for done, _ in enumerate(each(work, begins, self.device)):
            self.progress("surface", (done + 1) / len(begins))
        return moved, one_sided

    @torch.inference_mode()
    def _move(self, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        distance, index = self.tree.query(places, _AROUND)
        offsets = places[:, None] - self.points[index]
        views = torch.from_numpy(offsets[:, :VIEWS].astype(np.float32)).to(self.device)
        points = torch.from_numpy(index[:, :VIEWS]).to(self.device)
        move, _ = self.network.decode(self.patches, self.features, views, points)
        return places + move.cpu().numpy().astype(np.float64), _one_sidedness(offsets, distance)


def _one_sidedness(offsets: np.ndarray, distance: np.ndarray) -> np.ndarray:
    """Length (M,) of the sum of the offsets (M, k, 3) from the nearest points, over the sum of their lengths.

    0 in the midst of even points, about .6 on a straight border, 1 far outside.
    """
    return np.linalg.norm(offsets.sum(axis=1), axis=1) / np.maximum(distance.sum(axis=1), 1e-300)
