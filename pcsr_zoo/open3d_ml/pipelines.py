"""The pipelines that Open3D-ML gets: upsampling, sampling, recovery."""

from __future__ import annotations

import logging
from typing import Any, ClassVar

from ..errors import OptionError
from .base_pipeline import ZooPipeline
from .models import open3d_class
from .testing import Problem, densest

log = logging.getLogger(__name__)


class PointCloudUpsampling(ZooPipeline):
    """Makes a cloud denser. `run_test` goes from `point` to as many points as the ground truth has.

    Args:
        keep_input: see `pcsr_zoo.upsample`.
        others: see `ZooPipeline`.
    """

    verb = "upsample"
    _warned = False
    own_options: ClassVar[dict[str, Any]] = {"keep_input": None}

    def _options(self) -> dict[str, Any]:
        return {"keep_input": self.cfg.keep_input}

    def problem(self, data: dict[str, Any]) -> Problem:
        truth = data.get("gt")
        if truth is None:
            return Problem(data, None, self.run_inference)
        if len(truth) <= len(data["point"]):
            raise OptionError(
                f"the input has {len(data['point'])} points and the ground truth {len(truth)}: there is nothing to "
                "upsample; PointCloudRecovery samples first"
            )
        if not self._warned and self.cfg.ratio != 4 and round(self.cfg.ratio * len(data["point"])) != len(truth):
            self._warned = True  # 4 is the default: perhaps nobody asked for it
            log.warning(
                "a test makes as many points as the ground truth has: the pipeline's ratio %g is left aside; "
                "where the data set has a ratio, change that one",
                self.cfg.ratio,
            )
        return Problem(data, truth, lambda x: self._infer("upsample", x, n=len(truth), **self._options()))


class PointCloudSampling(ZooPipeline):
    """Makes a cloud thinner. `run_test` samples the ground truth, or `point` where there is none, and measures how well
    the samples cover it.
    """

    verb = "sample"

    def problem(self, data: dict[str, Any]) -> Problem:
        dense = densest(data)
        return Problem(dense, dense["point"], self.run_inference)


class PointCloudRecovery(ZooPipeline):
    """Makes a sampled cloud dense again. `run_test` samples the ground truth, or `point` where there is none, and
    recovers as many points as it has; the published tables call this task PCSR.

    Args:
        sampler: a sampler of the zoo's for `run_test`; None: the model itself where it can sample, else "fps".
        others: see `ZooPipeline`; without n, `ratio` is both that of sampling and of recovery.
    """

    verb = "recover"
    own_options: ClassVar[dict[str, Any]] = {"sampler": None}

    def problem(self, data: dict[str, Any]) -> Problem:
        dense = densest(data)
        return Problem(dense, dense["point"], lambda x: self._infer("recover", self.sample(x), n=len(x["point"])))

    def sample(self, data: dict[str, Any]) -> dict[str, Any]:
        """The thin cloud that `run_test` recovers from."""
        if self.cfg.sampler is None and hasattr(self.model, "sample"):
            return self._infer("sample", data, ratio=self.cfg.ratio)
        sampler = open3d_class(self.cfg.sampler or "fps")()
        if not hasattr(sampler, "sample"):
            raise OptionError(f"sampler: '{self.cfg.sampler}' does not sample; use fps, random, poisson or voxel")
        return sampler.sample(data, self.cfg.ratio, seed=self.seed)


PIPELINES = (PointCloudUpsampling, PointCloudSampling, PointCloudRecovery)
