"""`pointlie-geo`: the task of PointLIE, by geometry. Ours, beside the network as it was published.

Samples are points of the cloud, placed where recovery needs them (`sample_for_recovery`). Recovery is by `jetnet`'s
surface, which goes through the samples; they come back as they were, and new points are put among them. Candidates
for these are places on the edges between neighbours; or what PointLIE's inverse path gives, with a latent variable
whose prior is conditioned on the geometry of the samples, all moved onto the surface. Measured side by side, edges are
better (see the card), and are what the checkpoints have.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ..errors import OptionError
from ..geometry.distinct import distinct_points
from .base import Context, Learned, Sampler, Upsampler
from .jetnet import JetNet
from .pointlie import PointLIE
from .sample_for_recovery import sample_for_recovery
from .steps import densify

_FEW = 16  # fewer samples say nothing of where more are needed
_LARGE = 65536  # points of a cloud for which one round has to do: each recovers it once
CANDIDATES = ("edges", "inverse", "both")


class PointLIEGeo(Learned, Upsampler, Sampler):
    """Samples where recovery needs it; recovers by a learned surface.

    Args:
        ratio: 2, 4, 8 or 16: how many times thinner and denser by training.
        candidates: for new points: from "edges" between neighbours, the "inverse" path of the invertible network, or
            "both". With edges alone there is no invertible network, and the ratio is but a default.
        rounds: of sampling, see `sample_for_recovery`; of clouds above 65,536 points at most one.
        inverse: arguments of the invertible network, those of `PointLIE` without `ratio`.
        surface: arguments of `JetNet`.
    """

    name = "pointlie-geo"
    summary = "PointLIE's task by geometry: samples where recovery needs it, recovers by a learned surface"
    source = "ours, after Zhao et al., IJCAI 2021"

    def __init__(
        self,
        ratio: int = 8,
        candidates: str = "edges",
        rounds: int = 4,
        inverse: Mapping[str, Any] | None = None,
        surface: Mapping[str, Any] | None = None,
    ) -> None:
        if candidates not in CANDIDATES:
            raise OptionError(f"candidates '{candidates}' is unknown; use {', '.join(CANDIDATES[:-1])} or both")
        if isinstance(rounds, bool) or not isinstance(rounds, int) or rounds < 0:
            raise OptionError(f"rounds must be a whole number of at least 0, got {rounds!r}")
        if ratio not in (2, 4, 8, 16):
            raise OptionError(f"pointlie-geo is made for ratios of 2, 4, 8 and 16, got {ratio}")
        self.surface = JetNet(**(surface or {}))
        self.arguments = {"ratio": ratio, "candidates": candidates, "rounds": rounds, "surface": self.surface.arguments}
        self.inverse: PointLIE | None = None
        self.network = self.surface.network
        if candidates != "edges":
            self.inverse = PointLIE(ratio=ratio, **{"vectors": True, "prior": "geometry", **(inverse or {})})
            own = {name: value for name, value in self.inverse.arguments.items() if name != "ratio"}
            self.arguments["inverse"] = own
            self.network = self.inverse.network
            self.network.surface = self.surface.network  # one network, that of PointLIE with the surface in it
        elif inverse:
            raise OptionError(
                "inverse: with candidates 'edges' there is no invertible network; say 'inverse' or 'both'"
            )
        self.ratio, self.candidates, self.rounds = float(ratio), candidates, rounds

    def recipe(self, **options: Any) -> Any:
        """That of `jetnet` for the surface; with an invertible network, see `PointLIEGeoRecipe`."""
        if self.inverse is None:
            return self.surface.recipe(**options)
        from .pointlie_geo_recipe import PointLIEGeoRecipe

        return PointLIEGeoRecipe(self.network, **options)

    def choose(self, points: np.ndarray, n: int, context: Context) -> np.ndarray:
        def recover(samples: np.ndarray, done: float) -> np.ndarray:
            context.progress("sampling", done)
            run = replace(context, progress=lambda stage, fraction: None, cache={})
            return np.concatenate([samples, densify(self, samples, samples, len(points) - n, run)])

        enough = _FEW <= n < len(distinct_points(points))
        rounds = self.rounds if len(points) <= _LARGE else min(self.rounds, 1)
        return sample_for_recovery(points, n, recover, rounds if enough else 0)

    def propose(self, points: np.ndarray, anchors: np.ndarray, wanted: int, context: Context) -> np.ndarray:
        if self.inverse is None or points is not anchors:
            return self.surface.propose(points, anchors, wanted, context)
        places = self.inverse.propose(points, anchors, wanted, context)
        settled = self.surface.settle(places, anchors, wanted, context)
        if self.candidates == "inverse":
            return settled
        return np.concatenate([self.surface.propose(points, anchors, wanted, context), settled])

    def relax(self, fresh: np.ndarray, current: np.ndarray, anchors: np.ndarray, context: Context) -> np.ndarray:
        return self.surface.relax(fresh, current, anchors, context)

    def refine(self, points: np.ndarray, anchors: np.ndarray, context: Context) -> np.ndarray:
        return self.surface.refine(points, anchors, context)
