"""`jetnet`: a learned local surface. Any ratio, no patches to merge, equivariant by construction, linear cost.

Every point looks at its 24 nearest points in a canonical frame of its own, to which two quadrics are fitted (those of
`jet`). A small network turns what it sees into features and lets neighbours tell each other theirs. Any place near the
cloud is then moved onto the surface by its four nearest points: their quadrics, blended by learned weights, and a
learned residual. New points start on the edges between neighbours, are thinned by farthest point sampling, and push
each other apart along the learned surface. Ours; what it builds on is named in `jet`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import OptionError
from ..geometry.repulsion import pushing_neighbours, repulsion
from .base import Context, Learned, Upsampler
from .jetnet_places import on_edges

if TYPE_CHECKING:
    from .jetnet_surface import LearnedSurface

_FAR = 0.2  # in point spacings: places that moved farther are moved again
_LOST = 0.3  # ... and those that move so far again are not used
# Places with more one-sided neighbours than this, and farther from the nearest point than so many spacings.
_BESIDE, _BEYOND = 0.4, 0.65
_INSIDE = 0.5  # greatest one-sidedness of a place that is pushed


class JetNet(Learned, Upsampler):
    """Places between neighbours, moved onto a learned surface and spread on it.

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
        from .jetnet_network import JetNetwork

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

    def propose(self, points: np.ndarray, anchors: np.ndarray, wanted: int, context: Context) -> np.ndarray:
        context.progress("neighbours", 0.0)
        surface = self._surface(anchors, context)
        first = anchors is points and context.noise == 0
        places = on_edges(surface.points, surface.tree) if first else on_edges(points, None)
        return self.settle(places, anchors, wanted, context)

    def settle(self, places: np.ndarray, anchors: np.ndarray, wanted: int, context: Context) -> np.ndarray:
        """Places (M, 3) moved onto the surface, without those that went astray if `wanted` are left."""
        surface = self._surface(anchors, context)
        moved, spacing = surface.move_and_measure(places)
        far = np.flatnonzero(np.linalg.norm(moved - places, axis=1) > _FAR * spacing)
        again = surface.move(moved[far])  # what came from afar arrives better the second time
        lost = np.linalg.norm(again - moved[far], axis=1) > _LOST * spacing[far]  # ... or does not arrive
        moved[far] = again
        distance, spacing = surface.nearest(moved)
        beyond = np.flatnonzero(distance > _BEYOND * spacing)
        beyond = beyond[surface.one_sidedness(moved[beyond]) > _BESIDE]  # of the cloud, where everything is a guess
        drop = np.union1d(far[lost], beyond)
        return np.delete(moved, drop, axis=0) if len(moved) - len(drop) >= wanted else moved

    def relax(self, fresh: np.ndarray, current: np.ndarray, anchors: np.ndarray, context: Context) -> np.ndarray:
        surface = self._surface(anchors, context)
        everyone, new = np.concatenate([current, fresh]), slice(len(current), None)
        if len(everyone) < 9:
            return fresh
        neighbours = pushing_neighbours(everyone)
        outside = np.flatnonzero(surface.one_sidedness(fresh) > _INSIDE)
        for _ in range(self.relaxations):
            before = everyone[new]
            step = repulsion(everyone, neighbours, new)
            step[outside] = 0.0  # at borders and tips nothing pushes back
            after = surface.move(before + step)
            away = outside[surface.nearest(after[outside])[0] > surface.nearest(before[outside])[0]]
            after[away] = before[away]
            everyone[new] = after
        return everyone[new]

    def refine(self, points: np.ndarray, anchors: np.ndarray, context: Context) -> np.ndarray:
        if context.noise == 0:
            return points  # the surface goes through them
        return self._measured(anchors, context).move(points)

    def recipe(self, **options: Any) -> Any:
        from .jetnet_recipe import JetNetRecipe

        return JetNetRecipe(self.network, **options)

    def _surface(self, anchors: np.ndarray, context: Context) -> LearnedSurface:
        """The surface on which new points are made: of a noisy cloud, that of its points put onto the surface."""
        measured = self._measured(anchors, context)
        if context.noise == 0:
            return measured
        return self._kept("clean", anchors, context, lambda: self._see(measured.move(anchors), 0.0, context))

    def _measured(self, anchors: np.ndarray, context: Context) -> LearnedSurface:
        return self._kept("measured", anchors, context, lambda: self._see(anchors, context.noise, context))

    def _see(self, points: np.ndarray, noise: float, context: Context) -> LearnedSurface:
        from .jetnet_surface import LearnedSurface

        return LearnedSurface(self.network.to(context.device), points, noise, context.device, context.progress)

    @staticmethod
    def _kept(key: str, anchors: np.ndarray, context: Context, make: Callable[[], LearnedSurface]) -> LearnedSurface:
        """What was made for these anchors in this run; making it takes longer than using it."""
        found = context.cache.get(f"jetnet {key}")
        if found is None or found[0] is not anchors:
            found = context.cache[f"jetnet {key}"] = anchors, make()
        return found[1]
