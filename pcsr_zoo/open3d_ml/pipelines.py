"""The three pipelines. Each has all three methods; its class decides what `run_inference` and `run_test` do."""

from __future__ import annotations

from typing import Any, ClassVar

from ..errors import OptionError
from .base_pipeline import ZooPipeline
from .convert import GROUND_TRUTH, MESH
from .models import open3d_class


class PointCloudUpsampling(ZooPipeline):
    """Makes a cloud denser. `run_test` upsamples `point` to the number of points of the ground truth.

    Args:
        keep_input, noise, even: see `pcsr_zoo.upsample`.
        others: see `ZooPipeline`.
    """

    task = "upsample"
    own_options: ClassVar[tuple[str, ...]] = ("keep_input", "noise", "even")

    def test_case(self, data: dict[str, Any]) -> tuple[dict[str, Any], Any]:
        return data, data.get(GROUND_TRUTH)

    def solve(self, given: dict[str, Any], truth: Any) -> list[dict[str, Any]]:
        if truth is None:
            return super().solve(given, truth)
        size, wanted, cfg = len(given["point"]), len(truth), self.cfg
        if wanted <= size:
            raise OptionError(
                f"there is nothing to upsample: the input has {size} points and the ground truth {wanted}; "
                "PointCloudRecovery samples the ground truth first"
            )
        if (cfg.n or round((cfg.ratio or wanted / size) * size)) != wanted:
            name, value = ("ratio", cfg.ratio) if cfg.n is None else ("n", cfg.n)
            raise OptionError(
                f"the pipeline's {name} {value:g} does not make the {wanted} points of the ground truth of the "
                f"{size} of the input; leave out {name}: a test makes as many points as the ground truth has"
            )
        return [self.upsample(given, n=wanted)]


class _OfDenseClouds(ZooPipeline):
    def test_case(self, data: dict[str, Any]) -> tuple[dict[str, Any], Any]:
        """The cloud to sample and to compare with: the ground truth, then `point` is ignored; without one, `point`."""
        truth = data.get(GROUND_TRUTH)
        dense = data if truth is None else {"point": truth, "feat": None, MESH: data.get(MESH)}
        return dense, dense["point"]


class PointCloudSampling(_OfDenseClouds):
    """Makes a cloud sparser. `run_test` samples the ground truth, in which case `point` is ignored, or `point` if there
    is no ground truth, and measures how well the sampled points cover that cloud.

    Args:
        snap, bits: see `pcsr_zoo.sample`.
        others: see `ZooPipeline`.
    """

    task = "sample"
    own_options: ClassVar[tuple[str, ...]] = ("snap", "bits")


class PointCloudRecovery(_OfDenseClouds):
    """Makes a sampled cloud dense again. `run_test` samples the ground truth, in which case `point` is ignored, or
    `point` if there is no ground truth, and recovers as many points; published tables call this task PCSR.

    Args:
        sampler: the zoo's name of a sampler, such as `fps`, for `sample` and `run_test`. By default the model itself;
            `run_test` of a model that cannot sample uses `fps`.
        temperature: see `pcsr_zoo.recover`.
        others: see `ZooPipeline`.
    """

    task = "recover"
    own_options: ClassVar[tuple[str, ...]] = ("temperature",)

    def __init__(self, *args: Any, sampler: str | None = None, **options: Any) -> None:
        super().__init__(*args, **options)
        self.sampler = None if sampler is None else _sampler(sampler)

    def sample(self, data: Any, ratio: float | None = None, **options: Any) -> dict[str, Any]:
        if self.sampler is None:
            return super().sample(data, ratio, **options)
        if ratio is None and options.get("n") is None:
            ratio = self.cfg.ratio or self.model.loaded.ratio
        result: dict[str, Any] = self.sampler(data, "sample", ratio, **{"seed": self.seed, **options})
        return result

    def solve(self, given: dict[str, Any], truth: Any) -> list[dict[str, Any]]:
        if self.sampler is not None or "sample" in self.model.tasks:
            few = self.sample(given)
        else:
            few = _sampler("fps")(given, "sample", self.cfg.ratio or self.model.loaded.ratio, seed=self.seed)
        return [few, self.recover(few, n=len(truth))]


def _sampler(name: str) -> Any:
    try:
        model = open3d_class(name)()
        model.require("sample")
    except OptionError as error:
        raise OptionError(f"sampler: {error}") from None
    return model


PIPELINES = (PointCloudUpsampling, PointCloudSampling, PointCloudRecovery)
