"""The surface that `jetnet` sees in a cloud: fitted and encoded once, then asked for as many places as one likes."""

from __future__ import annotations

import numpy as np
import torch

from ..geometry.knn import KNN
from ..geometry.patches import NEAR, Patches, fit_patches
from .base import Progress
from .jetnet_network import JetNetwork
from .parallel import each

VIEWS = 4  # patches that have a say on each place
_AROUND = 8  # points that tell the midst from a border
_CHUNK = 1 << 12  # more would not fit the processor's caches


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

    def move(self, places: np.ndarray) -> np.ndarray:
        """Places (M, 3) moved onto the surface."""
        moved = np.empty((len(places), 3))

        def work(begin: int) -> None:
            part = slice(begin, begin + _CHUNK)
            moved[part] = self._move(places[part])

        begins = range(0, len(places), _CHUNK)
        for done, _ in enumerate(each(work, begins, self.device)):
            self.progress("surface", (done + 1) / len(begins))
        return moved

    @torch.inference_mode()
    def _move(self, places: np.ndarray) -> np.ndarray:
        _, index = self.tree.query(places, VIEWS)
        offsets = torch.from_numpy((places[:, None] - self.points[index]).astype(np.float32)).to(self.device)
        move, _ = self.network.decode(self.patches, self.features, offsets, torch.from_numpy(index).to(self.device))
        return places + move.cpu().numpy().astype(np.float64)

    def distance(self, places: np.ndarray) -> np.ndarray:
        """From places (M, 3) to the nearest point (M,)."""
        return self.tree.query(places, 1)[0][:, 0]

    def spacing_at(self, places: np.ndarray) -> np.ndarray:
        """The point spacing (M,) around the nearest point: the side of the square that a point has to itself."""
        nearest = self.tree.query(places, 1)[1][:, 0]
        return self.patches.radius[:, 0].cpu().numpy()[nearest] / np.sqrt(NEAR / np.pi)

    def one_sidedness(self, places: np.ndarray) -> np.ndarray:
        """Length (M,) of the sum of the offsets from the 8 nearest points to a place, over the sum of their lengths.

        0 in the midst of even points, about .6 on a straight border, 1 far outside.
        """
        distance, index = self.tree.query(places, _AROUND)
        total = len(index[0]) * places - self.points[index].sum(axis=1) if len(index) else places
        return np.linalg.norm(total, axis=1) / np.maximum(distance.sum(axis=1), 1e-300)
