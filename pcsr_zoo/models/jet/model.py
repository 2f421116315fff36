"""`jet`: midpoints projected onto robust quadrics of their neighborhoods. No training, any ratio, linear cost.

The scheme is classical: insert points (Alexa et al., Computing and rendering point set surfaces, 2003) and project
them onto osculating jets (Cazals and Pouget, 2003). Three parts are ours, tuned on meshes outside of all test sets:
residuals reweight the fit, so that creases and opposite sheets are not averaged; candidates with a large residual are
used only where there are no better ones nearby; noise widens the fit.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...geometry.compiled import pays
from ...geometry.edges import neighbor_edges, rank_at_ends
from ...geometry.jets import fit_jets
from ...geometry.knn import KNN
from ...geometry.parallel import each
from ..base import Context, Upsampler

_CHUNK = 32_768


class Jet(Upsampler):
    """Midpoints between neighbors, moved onto quadrics fitted to their 10 nearest support points.

    Args:
        neighbors: number of points in a fit on a clean cloud; noise raises it, see `_width`.
        edges: number of neighbors of each point that give a midpoint.
        emptiness: a midpoint is used only if no point is closer to it than this fraction of half its edge. On an even
            surface this leaves about the edges of the Delaunay triangulation, three for each point.
        misfit: candidates whose fit has a larger relative residual are dropped,
        best: except the best few at each point, so that no region is left empty.
    """

    name = "jet"
    summary = "midpoints on robust local quadrics: no training, any ratio, keeps creases, smooths noise"
    source = "after Cazals and Pouget 2003 and Alexa et al. 2003; robust fit and selection are ours"

    def __init__(
        self,
        neighbors: int = 10,
        edges: int = 6,
        emptiness: float = 0.6,
        misfit: float = 0.12,
        best: int = 5,
    ) -> None:
        self.neighbors, self.edges = neighbors, edges
        self.emptiness, self.misfit, self.best = emptiness, misfit, best

    def candidates(self, points: np.ndarray, support: np.ndarray, count: int, context: Context) -> np.ndarray:
        context.progress("neighbors", 0.0)
        tree = KNN(points)
        edges = neighbor_edges(points, self.edges, tree, self.emptiness)
        if len(edges) < count:  # an uneven cloud
            edges = neighbor_edges(points, 2 * self.edges, tree, self.emptiness)
        surface = tree if support is points else KNN(support)
        candidates, misfit = self._project_all(points[edges].mean(axis=1), surface, context)
        good = (misfit < self.misfit) | (rank_at_ends(edges, misfit, len(points)) < self.best)
        if good.sum() < count:
            good[np.argsort(misfit + 1e3 * good, kind="stable")[: count - int(good.sum())]] = True
        return candidates[good]

    def project(self, points: np.ndarray, support: np.ndarray, context: Context) -> np.ndarray:
        return self._project_all(points, KNN(support), context)[0]

    def _project_all(self, points: np.ndarray, surface: KNN, context: Context) -> tuple[np.ndarray, np.ndarray]:
        """`_project` in chunks of bounded memory, on all cores."""
        moved, misfit = np.empty((len(points), 3)), np.empty(len(points))

        def work(begin: int) -> None:
            part = slice(begin, begin + _CHUNK)
            moved[part], misfit[part] = self._project(points[part], surface, context)

        begins = range(0, len(points), _CHUNK)
        for done, _ in enumerate(each(work, begins, context.device)):
            context.progress("surface", (done + 1) / len(begins))
        return moved, misfit

    def _project(self, points: np.ndarray, surface: KNN, context: Context) -> tuple[np.ndarray, np.ndarray]:
        """Points (M, 3) moved onto the quadric of their nearest support points, and each quadric's misfit (M,)."""
        width, sharpness, rounds = self._width(context.noise)
        distance, index = surface.query(points, width)
        radius = np.maximum(distance[:, -1:], 1e-12)
        near: Any = (np.asarray(surface.tree.data)[index] - points[:, None]) / radius[:, :, None]
        near = near.astype(np.float32)
        if context.device != "cpu":
            import torch

            near = torch.from_numpy(near).to(context.device)
        jets = fit_jets(near, sharpness=sharpness, rounds=rounds, compiled=pays(surface.tree.n))
        move, misfit = jets.project(near[:, 0] * 0.0), jets.misfit
        if context.device != "cpu":
            move, misfit = move.cpu().numpy(), misfit.cpu().numpy()
        move = move.astype(np.float64) * radius
        # A longer step than half of the distance to the nearest support points would be an extrapolation.
        limit = distance[:, :1] / 2 if context.noise == 0 else distance[:, -1:] / 2
        length = np.linalg.norm(move, axis=1, keepdims=True)
        move *= np.minimum(1.0, limit / np.maximum(length, 1e-300))
        return points + move, misfit.astype(np.float64)

    def _width(self, noise: float) -> tuple[int, float, int]:
        """(neighbors, sharpness, rounds) of a fit, for noise in units of the point spacing."""
        if noise == 0.0:
            return self.neighbors, 6.0, 2
        return (self.neighbors, 2.0, 0) if noise < 0.18 else (16, 2.0, 0) if noise < 0.35 else (24, 2.0, 0)
