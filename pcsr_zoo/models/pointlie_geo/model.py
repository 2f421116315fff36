"""`pointlie-geo`: the task of PointLIE without its network. The method is ours.

Samples are points of the cloud, selected by the error of their recovery (`sample_for_recovery`). Recovery uses the
surface of `jetnet`: it keeps the samples exactly and adds new points among them. Candidates from PointLIE's inverse
path in place of those of `jetnet` gave worse results (see the model card).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ...errors import OptionError
from ...geometry.distinct import distinct_points
from ...geometry.outliers import pulled_in
from ...geometry.working import WorkingCloud
from ..base import Context, Learned, Sampler, Upsampler, ignore
from ..densify import densify
from ..jetnet.model import JetNet
from ..pointlie.paper import PAPER, PUBLISHED
from .sampling import sample_for_recovery

_FEW = 16  # smallest number of samples whose recovery error is used
_LARGE = 65536  # larger clouds get at most one round, because each round recovers the cloud once


class PointLIEGeo(Learned, Upsampler, Sampler):
    """Sampling by recovery error, and recovery by a learned surface.

    Args:
        ratio: 2, 4, 8 or 16: the default ratio of sampling and recovery; others can be asked for.
        rounds: rounds of sampling, see `sample_for_recovery`; at most one for clouds above 65,536 points.
        surface: constructor arguments of `JetNet`.
    """

    name = "pointlie-geo"
    summary = "PointLIE's task without its network: samples by recovery error, recovers by a learned surface"
    source = "ours, after Zhao et al., IJCAI 2021"
    ratios = (4, 8, 16)
    paper = PAPER
    published = PUBLISHED

    def __init__(self, ratio: int = 8, rounds: int = 4, surface: Mapping[str, Any] | None = None) -> None:
        if isinstance(rounds, bool) or not isinstance(rounds, int) or rounds < 0:
            raise OptionError(f"rounds must be a whole number of at least 0, got {rounds!r}")
        if ratio not in (2, 4, 8, 16):
            raise OptionError(f"pointlie-geo is made for ratios of 2, 4, 8 and 16, got {ratio}")
        self.surface = JetNet(**(surface or {}))
        self.arguments = {"ratio": ratio, "rounds": rounds, "surface": self.surface.arguments}
        self.network = self.surface.network
        self.ratio, self.rounds = float(ratio), rounds

    def recipe(self, **options: Any) -> Any:
        """The recipe of `jetnet`, for the surface."""
        return self.surface.recipe(**options)

    def select(self, points: np.ndarray, count: int, context: Context) -> np.ndarray:
        def recover(samples: np.ndarray, done: float) -> np.ndarray:
            context.progress("sampling", done)
            run = replace(context, progress=ignore, cache={})
            working = WorkingCloud.of(samples, turned=self.turns)  # as in the recovery
            new = densify(self, working.points, working.distinct, len(points) - count, run)
            return np.concatenate([samples, working.back(pulled_in(new, working.distinct))])

        enough = _FEW <= count < len(distinct_points(points))
        rounds = self.rounds if len(points) <= _LARGE else min(self.rounds, 1)
        return sample_for_recovery(points, count, recover, rounds if enough else 0)

    def candidates(self, points: np.ndarray, support: np.ndarray, count: int, context: Context) -> np.ndarray:
        return self.surface.candidates(points, support, count, context)

    def relax(self, new_points: np.ndarray, points: np.ndarray, support: np.ndarray, context: Context) -> np.ndarray:
        return self.surface.relax(new_points, points, support, context)

    def project(self, points: np.ndarray, support: np.ndarray, context: Context) -> np.ndarray:
        return self.surface.project(points, support, context)
