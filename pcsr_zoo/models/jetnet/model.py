"""`jetnet`: a learned local surface. Any ratio, no patches to merge, equivariant by construction, linear cost.

Every point looks at its 24 nearest points in a canonical frame of its own, to which two quadrics are fitted (those of
`jet`). A small network turns what it sees into features and lets neighbors tell each other theirs. Any place near the
cloud is then moved onto the surface by its four nearest points: their quadrics, blended by learned weights, and a
learned residual. New points start on the edges between neighbors, are thinned by farthest point sampling, and push
each other apart along the learned surface. Ours; what it builds on is named in `jet`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import OptionError
from ...geometry.repulsion import pushing_neighbors, repulsion
from ..base import Context, Learned, Upsampler
from .candidates import on_edges

if TYPE_CHECKING:
    from .surface import LearnedSurface

_FAR = 0.2  # in point spacings: places that moved farther are moved again
_LOST = 0.3  # ... and those that move so far again are not used
# Places with more one-sided neighbors than this, and farther from the nearest point than so many spacings.
_BESIDE, _BEYOND = 0.4, 0.65
_INSIDE = 0.5  # greatest one-sidedness of a place that is pushed


class JetNet(Learned, Upsampler):
    """Places between neighbors, moved onto a learned surface and spread on it.

    Args:
        width, hidden, decoder, messages: of the network, see `JetNetwork`.
        relaxations: steps in which new points push each other apart and are moved onto the surface again.
    """

    name = "jetnet"
    summary = "learned local surface: quadrics blended by a small network; any ratio, noise smoothed"
    source = "ours"

    def __init__(
        self,
        width: int = 96,
        hidden: int = 48,
        decoder: int = 64,
        messages: int = 2,
        relaxations: int = 1,
    ) -> None:
        from .network import JetNetwork

        if isinstance(relaxations, bool) or not isinstance(relaxations, int) or not 0 <= relaxations <= 100:
            raise OptionError(f"relaxations must be a whole number from 0 to 100, got {relaxations!r}")
        self.arguments = {
            "width": width,
            "hidden": hidden,
            "decoder": decoder,
            "messages": messages,
            "relaxations": relaxations,
        }
        self.relaxations = relaxations
        self.network = JetNetwork(width, hidden, decoder, messages).eval()

    def candidates(self, points: np.ndarray, support: np.ndarray, count: int, context: Context) -> np.ndarray:
        context.progress("neighbors", 0.0)
        surface = self._surface(support, context)
        first = support is points and context.noise == 0
        places = on_edges(surface.points, surface.tree) if first else on_edges(points, None)
        return self.project_candidates(places, support, count, context)

    def project_candidates(self, places: np.ndarray, support: np.ndarray, count: int, context: Context) -> np.ndarray:
        """Places (M, 3) moved onto the surface, without those that went astray if `count` are left."""
        surface = self._surface(support, context)
        moved, spacing = surface.move_and_measure(places)
        far = np.flatnonzero(np.linalg.norm(moved - places, axis=1) > _FAR * spacing)
        again = surface.move(moved[far])  # what came from afar arrives better the second time
        lost = np.linalg.norm(again - moved[far], axis=1) > _LOST * spacing[far]  # ... or does not arrive
        moved[far] = again
        distance, spacing = surface.nearest(moved)
        beyond = np.flatnonzero(distance > _BEYOND * spacing)
        beyond = beyond[surface.one_sidedness(moved[beyond]) > _BESIDE]  # of the cloud, where everything is a guess
        drop = np.union1d(far[lost], beyond)
        return np.delete(moved, drop, axis=0) if len(moved) - len(drop) >= count else moved

    def relax(self, fresh: np.ndarray, current: np.ndarray, support: np.ndarray, context: Context) -> np.ndarray:
        surface = self._surface(support, context)
        everyone, new = np.concatenate([current, fresh]), slice(len(current), None)
        if len(everyone) < 9:
            return fresh
        neighbors = pushing_neighbors(everyone)
        outside = np.flatnonzero(surface.one_sidedness(fresh) > _INSIDE)
        for _ in range(self.relaxations):
            before = everyone[new]
            step = repulsion(everyone, neighbors, new)
            step[outside] = 0.0  # at borders and tips nothing pushes back
            after = surface.move(before + step)
            away = outside[surface.nearest(after[outside])[0] > surface.nearest(before[outside])[0]]
            after[away] = before[away]
            everyone[new] = after
        return everyone[new]

    def project(self, points: np.ndarray, support: np.ndarray, context: Context) -> np.ndarray:
        if context.noise == 0:
            return points  # the surface goes through them
        return self._measured(support, context).move(points)

    def recipe(self, **options: Any) -> Any:
        from .recipe import JetNetRecipe

        return JetNetRecipe(self.network, **options)

    def _surface(self, support: np.ndarray, context: Context) -> LearnedSurface:
        """The surface on which new points are made: of a noisy cloud, that of its points put onto the surface."""
        measured = self._measured(support, context)
        if context.noise == 0:
            return measured
        return self._kept("clean", support, context, lambda: self._see(measured.move(support), 0.0, context))

    def _measured(self, support: np.ndarray, context: Context) -> LearnedSurface:
        return self._kept("measured", support, context, lambda: self._see(support, context.noise, context))

    def _see(self, points: np.ndarray, noise: float, context: Context) -> LearnedSurface:
        from .surface import LearnedSurface

        return LearnedSurface(self.network.to(context.device), points, noise, context.device, context.progress)

    @staticmethod
    def _kept(key: str, support: np.ndarray, context: Context, make: Callable[[], LearnedSurface]) -> LearnedSurface:
        """What was made for these support in this run; making it takes longer than using it."""
        found = context.cache.get(f"jetnet {key}")
        if found is None or found[0] is not support:
            found = context.cache[f"jetnet {key}"] = support, make()
        return found[1]
