"""`jetnet`: a learned local surface. Any ratio, no patches to merge, equivariant by construction, linear cost.

Every point looks at its 24 nearest points in a canonical frame of its own, to which two quadrics are fitted (those of
`jet`). A small network turns what it sees into features and lets neighbours tell each other theirs. Any place near the
cloud is then moved onto the surface by its four nearest points: their quadrics, blended by learned weights, and a
learned residual. New points start on the edges between neighbours, are thinned by farthest point sampling, and push
each other apart along the learned surface. Ours; what it builds on is named in `jet`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..geometry.repulsion import pushing_neighbours, repulsion
from .base import Context, Learned, Upsampler
from .jetnet_places import on_edges

_SURFACE = "jetnet surface"
_INSIDE = 0.5  # greatest one-sidedness of a place that is pushed


class JetNet(Learned, Upsampler):
    """Places between neighbours, moved onto a learned surface and spread on it.

    Args:
        width, hidden, decoder, messages: of the network, see `JetNetwork`.
        relaxations: steps in which new points push each other apart.
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
        relaxations: int = 3,
    ) -> None:
        from .jetnet_network import JetNetwork

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
        tree = surface.tree if anchors is points else None
        return surface.move(on_edges(points, tree, thirds=True))[0]

    def relax(self, fresh: np.ndarray, current: np.ndarray, anchors: np.ndarray, context: Context) -> np.ndarray:
        surface = self._surface(anchors, context)
        fresh, one_sided = surface.move(fresh)  # once more: the farther a place was from the surface, the better
        everyone, new = np.concatenate([current, fresh]), slice(len(current), None)
        if len(everyone) < 9 or self.relaxations == 0:
            return fresh
        neighbours = pushing_neighbours(everyone)
        for _ in range(self.relaxations):
            step = repulsion(everyone, neighbours, new)
            step[one_sided > _INSIDE] = 0.0  # at borders and tips nothing would push back
            everyone[new], one_sided = surface.move(everyone[new] + step)
        return everyone[new]

    def refine(self, points: np.ndarray, anchors: np.ndarray, context: Context) -> np.ndarray:
        return self._surface(anchors, context).move(points)[0]

    def recipe(self, **options: Any) -> Any:
        from .jetnet_recipe import JetNetRecipe

        return JetNetRecipe(self.network, **options)

    def _surface(self, anchors: np.ndarray, context: Context) -> Any:
        from .jetnet_surface import LearnedSurface

        kept = context.cache.get(_SURFACE)
        if kept is None or kept.points is not anchors:
            network = self.network.to(context.device)
            kept = LearnedSurface(network, anchors, context.noise, context.device, context.progress)
            context.cache[_SURFACE] = kept
        return kept
