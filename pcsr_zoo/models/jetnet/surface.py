"""The learned surface of a cloud: it is fitted and encoded once, then projects any number of positions."""

from __future__ import annotations

import numpy as np
import torch

from ...geometry.compiled import kernels_for
from ...geometry.knn import KNN
from ...geometry.parallel import each
from ...geometry.patches import NEAR, Patches, fit_patches
from ..base import Progress
from .network import KERNELS, JetNetwork

VIEWS = 4  # neighborhoods that are blended at each position
_FARTHEST = 2.0  # largest move of a position, in distances to the last of its 4 points
_TIE = 1 + 1e-9  # ratio of distances that count as equal
_AROUND = 8  # nearest points whose offsets give the one-sidedness
_FITTED = 1 << 12  # neighborhoods at a time
_CHUNK = 1 << 12  # positions at a time, few enough for the processor's caches


class LearnedSurface:
    """The surface of (N, 3) float64 points.

    Args:
        network: the trained network.
        points: (N, 3). The attribute `points` has them in another order: that of the leaves of a k-d tree. The
            attribute `near` (N, 24) has the nearest points of each.
        noise: standard deviation in point spacings, 0 for a clean cloud.
        device: a torch device.
        progress: called with the stages "neighborhoods" and "surface".
    """

    def __init__(self, network: JetNetwork, points: np.ndarray, noise: float, device: str, progress: Progress) -> None:
        points = points[KNN(points).tree.indices]  # neighbors are close in memory: a tenth faster
        self.points, self.network, self.device, self.progress = points, network, device, progress
        self.tree = KNN(points)
        size = len(points) if device == "cpu" else 0
        self._search, self._fast = kernels_for(size), kernels_for(size, KERNELS)

        def fit(begin: int) -> tuple[Patches, np.ndarray]:
            patches = fit_patches(points, self.tree, noise, slice(begin, begin + _FITTED))
            return patches, patches.index.to(torch.int32).numpy()

        begins = range(0, len(points), _FITTED)
        parts, near = [], []
        for part, index in each(fit, begins):
            parts.append(part)
            near.append(index)
            progress("neighborhoods", len(parts) / len(begins))
        self.near = np.concatenate(near)
        patches = Patches.cat(parts).to(device)
        del parts, near
        self.spacing = patches.radius[:, 0].cpu().numpy() / np.sqrt(NEAR / np.pi)
        with torch.inference_mode():
            table = network.encode(patches, torch.full((len(points),), noise, device=device))
        if self._fast is None:
            self.table = table
            return
        width = network.to_decoder.out_features
        self.features, self.shapes = table[:, :width].contiguous(), table[:, width:].contiguous().numpy()

    def move(self, positions: np.ndarray, ends: np.ndarray | None = None) -> np.ndarray:
        """Positions (M, 3) moved onto the surface. Give the `ends` (M, 2) of their edges if they are near these."""
        return self.move_and_measure(positions, ends)[0]

    def move_and_measure(self, positions: np.ndarray, ends: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Positions (M, 3) moved onto the surface, and the point spacing (M,) at their start; see `move`."""
        moved, spacing = np.empty((len(positions), 3)), np.empty(len(positions))

        def work(begin: int) -> None:
            part = slice(begin, begin + _CHUNK)
            distance, index = self._near(positions[part], VIEWS, None if ends is None else ends[part])
            spacing[part] = self.spacing[index[:, 0]]
            moved[part] = self._move(positions[part], distance, index)

        begins = range(0, len(positions), _CHUNK)
        for done, _ in enumerate(each(work, begins, self.device)):
            self.progress("surface", (done + 1) / len(begins))
        return moved, spacing

    @torch.inference_mode()
    def _move(self, positions: np.ndarray, distance: np.ndarray, index: np.ndarray) -> np.ndarray:
        if self._fast is not None:
            step = self._step(positions, np.ascontiguousarray(index))
        else:
            offsets = torch.from_numpy((positions[:, None] - self.points[index]).astype(np.float32)).to(self.device)
            move, _ = self.network.decode(self.table, offsets, torch.from_numpy(index).to(self.device))
            step = move.cpu().numpy().astype(np.float64)
        # Between distant clumps, a quadric of a clump is far outside of its range: such positions are not moved.
        step[~(np.linalg.norm(step, axis=1) <= _FARTHEST * distance[:, -1])] = 0.0
        return positions + step

    def _step(self, positions: np.ndarray, index: np.ndarray) -> np.ndarray:
        """`JetNetwork.decode`, with compiled code around the network's matrices."""
        count = index.size
        place, near, wide = (np.empty((count, width), np.float32) for width in (10, 3, 3))
        self._fast.decoder_input(positions, self.points, index, self.shapes, place, near, wide)
        known = self.features[torch.from_numpy(index.ravel())]
        out = self.network.judge_compiled(self._fast, known, torch.from_numpy(place)).numpy()
        step = np.empty((len(positions), 3))
        sharpness = float(self.network.sharpness)
        self._fast.decoder_output(index, self.shapes, place, near, wide, out, sharpness, step)
        return step

    def nearest(self, positions: np.ndarray, ends: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """The distance (M,) from positions (M, 3) to the nearest point, and the point spacing (M,) there.

        The spacing is the square root of the area for each point.
        """
        distance, index = self._near(positions, 1, ends)
        return distance[:, 0], self.spacing[index[:, 0]]

    def _near(self, positions: np.ndarray, k: int, ends: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """`KNN.query`, with ties broken by the spacing at the points, the larger first, not by order or rounding.

        The midpoint of an edge has the same distance to both of its ends. Where these ends are known, the
        nearest points are looked for among their neighbors only, which is faster than the tree.
        """
        if self._search is not None and ends is not None:
            distance, index = np.empty((len(positions), k + 1)), np.empty((len(positions), k + 1), np.int64)
            self._search.among(self.points, self.near, ends, positions, distance, index)
        else:
            distance, index = self.tree.query(positions, k + 1)
        if self._search is not None:
            self._search.settle_ties(distance, index, self.spacing, _TIE)
            return distance[:, :k], index[:, :k]
        key = self.spacing[index]
        for _ in range(2):
            for a in range(distance.shape[1] - 1):
                b = a + 1
                tie = (distance[:, b] <= distance[:, a] * _TIE) & (key[:, a] < key[:, b])
                for values in (index, key, distance):
                    values[tie, a], values[tie, b] = values[tie, b], values[tie, a]
        k = min(k, len(self.points))
        return distance[:, :k], index[:, :k]

    def one_sidedness(self, positions: np.ndarray, ends: np.ndarray | None = None) -> np.ndarray:
        """|sum of the offsets| / sum of |offsets| (M,), of the offsets from the 8 nearest points to each position.

        It is 0 amid even points, about 0.6 on a straight border, and 1 far outside.
        """
        distance, index = self._near(positions, _AROUND, ends)
        total = len(index[0]) * positions - self.points[index].sum(axis=1) if len(index) else positions
        return np.linalg.norm(total, axis=1) / np.maximum(distance.sum(axis=1), 1e-300)
