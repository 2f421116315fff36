"""`jetnet`: a learned local surface. Any ratio, no patches to merge, equivariant by construction, linear cost.

The neighborhood of each point (24 points in a canonical frame) gets two fitted quadrics, as in `jet`. A small network
computes features of each neighborhood and exchanges them between neighbors. A query position near the cloud is moved
onto the surface by its four nearest points: by their quadrics, blended with learned weights, and a learned residual.
New points start on the edges between neighbors, are thinned by farthest point sampling, and repel each other along the
learned surface. The method is ours; `jet` names the work that it builds on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ...errors import OptionError
from ...geometry.repulsion import pushing_neighbors, repulsion
from ..base import Context, Learned, Upsampler
from ..densify import spread
from .candidates import on_edges

if TYPE_CHECKING:
    from .surface import LearnedSurface

_FAR = 0.2  # in point spacings: positions that moved farther are projected again,
_LOST = 0.3  # and dropped if they move farther than this again
# Positions are dropped whose one-sidedness and distance to the nearest point (in spacings) are both above these.
_BESIDE, _BEYOND = 0.4, 0.65
_INSIDE = 0.5  # largest one-sidedness of a point that repulsion moves


class JetNet(Learned, Upsampler):
    """New points between neighbors, moved onto a learned surface and spread evenly on it.

    Args:
        width, hidden, decoder, messages: see `JetNetwork`.
        relaxations: number of steps that push new points apart and project them onto the surface again.
    """

    name = "jetnet"
    summary = "learned local surface: quadrics blended by a small network; any ratio, smooths noise"
    source = "ours"
    figures: ClassVar[Mapping[str, str]] = {
        "score": "distance, square and uncovered, weighted as in the loss",
        "distance": "mean distance from moved positions to the surface, in point spacings",
        "square": "mean square of this distance",
        "uncovered": "mean square of the distance from the surface to the nearest moved position, in point spacings",
        "noisy_distance": "distance, from noisy input",
        "noisy_square": "square, from noisy input",
        "noisy_uncovered": "uncovered, from noisy input",
    }

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
        positions, ends = on_edges(surface.points, surface.near) if first else on_edges(points)
        moved, distance, doubt = self._project(surface, positions, ends if first else None)
        del positions
        if len(moved) - doubt.sum() >= count:
            moved, distance, ends = moved[~doubt], distance[~doubt], ends[~doubt]
        if first and len(moved) > count:
            context.progress("selection", 0.0)
            chosen = spread(moved, count, context.seed, distance=distance)
            moved, ends = moved[chosen], ends[chosen]
        context.cache["jetnet ends"] = moved, ends if first else None
        return moved

    @staticmethod
    def _project(
        surface: LearnedSurface, positions: np.ndarray, ends: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Positions (M, 3) moved onto the surface, distances (M,) to the nearest point, and a mask of doubtful ones."""
        moved, spacing = surface.move_and_measure(positions, ends)
        doubt = np.zeros(len(positions), bool)
        far = np.flatnonzero(np.linalg.norm(moved - positions, axis=1) > _FAR * spacing)
        again = surface.move(moved[far], _of(ends, far))  # a second projection is more exact after a long move
        doubt[far] = np.linalg.norm(again - moved[far], axis=1) > _LOST * spacing[far]  # it did not converge
        moved[far] = again
        distance, spacing = surface.nearest(moved, ends)
        beyond = np.flatnonzero(distance > _BEYOND * spacing)
        # outside of the border of the cloud
        doubt[beyond] |= surface.one_sidedness(moved[beyond], _of(ends, beyond)) > _BESIDE
        return moved, distance, doubt

    def relax(self, fresh: np.ndarray, current: np.ndarray, support: np.ndarray, context: Context) -> np.ndarray:
        surface = self._surface(support, context)
        everyone, new = np.concatenate([current, fresh]), slice(len(current), None)
        if len(everyone) < 9:
            return fresh
        known, ends = context.cache.pop("jetnet ends", (None, None))
        ends = ends if known is fresh else None
        neighbors = pushing_neighbors(everyone)
        outside = np.flatnonzero(surface.one_sidedness(fresh, ends) > _INSIDE)
        for _ in range(self.relaxations):
            before = everyone[new]
            step = repulsion(everyone, neighbors, new)
            step[outside] = 0.0  # at borders and tips, repulsion is one-sided
            after = surface.move(before + step, ends)
            away = surface.nearest(after[outside], _of(ends, outside))[0]
            away = outside[away > surface.nearest(before[outside], _of(ends, outside))[0]]
            after[away] = before[away]
            everyone[new] = after
        return everyone[new]

    def project(self, points: np.ndarray, support: np.ndarray, context: Context) -> np.ndarray:
        if context.noise == 0:
            return points  # they are on the surface
        return self._measured(support, context).move(points)

    def recipe(self, **options: Any) -> Any:
        from .recipe import JetNetRecipe

        return JetNetRecipe(self.network, **options)

    def _surface(self, support: np.ndarray, context: Context) -> LearnedSurface:
        """The surface for new points. Of a noisy cloud, it is fitted to the projected points."""
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
        """The surface of these support points in this run, made once: fitting takes longer than projecting."""
        found = context.cache.get(f"jetnet {key}")
        if found is None or found[0] is not support:
            found = context.cache[f"jetnet {key}"] = support, make()
        return found[1]


def _of(ends: np.ndarray | None, rows: np.ndarray) -> np.ndarray | None:
    return None if ends is None else ends[rows]
