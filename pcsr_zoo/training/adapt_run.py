"""The loop of `adapt`: steps of the engine, a look at the watched part, early stopping, the verdict."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ..datasets.training_set import TrainingSet
from ..errors import TrainingError
from ..models.base import Progress
from .adapt_judge import Verdict, judge, judge_with_worst
from .adapt_scan import Parts
from .ema import EMA
from .engine import Engine
from .recipe import Recipe
from .settings import Settings

_PATIENCE = 5  # looks in a row that find nothing better


@dataclass(frozen=True)
class Found:
    """See `Adaptation`, which has the same."""

    verdict: Verdict
    steps: int
    step: int
    watched: list[tuple[int, float]]
    stopped: str
    seconds: float
    skipped: int


class Run:
    """One adaptation.

    Args:
        original: the model as it is; it stays so.
        candidate: its copy, whose network `recipe` trains; in the end it has the best weights.
        data: what the recipe draws examples from.
        parts: where both are judged.
    """

    def __init__(
        self,
        original: Any,
        candidate: Any,
        recipe: Recipe,
        data: TrainingSet,
        parts: Parts,
        settings: Settings,
        fabric: Any,
    ) -> None:
        self.candidate, self.recipe, self.data = candidate, recipe, data
        self.reference = copy.deepcopy(original.network)  # judging may put it onto a device
        self.parts, self.settings, self.fabric = parts, settings, fabric
        self.engine = Engine(recipe, settings, fabric)
        self.average = EMA(candidate.network, settings.ema)
        self.skipped = self._in_a_row = 0

    def run(self, seconds: float | None, report: Callable[[str], None], progress: Progress) -> Found:
        """Train, stop, judge; see `adapt`."""
        begin = time.monotonic()
        settings = self.settings
        progress("looking at the scan", 0.0)
        watched = [(0, self._distance(self.reference))]
        report(f"step 0: {watched[0][1]:.4f} spacings from the watched points")
        best, weights, since, stopped, step = math.inf, None, 0, "steps", 0
        while step < settings.steps:
            self._step(step)
            step += 1
            spent = time.monotonic() - begin
            late = seconds is not None and spent > seconds
            progress(f"adapting, step {step}", max(step / settings.steps, spent / seconds if seconds else 0.0))
            every = settings.validate_every
            if not (late or step == settings.steps or (every and step % every == 0)):
                continue
            figure = self._distance(self.average.module)
            watched.append((step, figure))
            report(f"step {step}: {figure:.4f} spacings from the watched points")
            since += 1
            if figure < best:
                best, weights, since = figure, copy.deepcopy(self.average.module.state_dict()), 0
            if since >= _PATIENCE or late:
                stopped = "seconds" if late else "no better"
                break
        progress("judging", 1.0)
        if weights is None:
            raise TrainingError(
                f"the weights were not finite any more by step {step}, at the first look; lower the learning rate"
            )
        self.candidate.network.load_state_dict(weights)
        self.candidate.network.eval()
        (before, far), (after, farther) = map(self._final, (self.reference, self.candidate.network))
        self.candidate.network.to("cpu")
        best_step = min(watched[1:], key=lambda entry: entry[1])[0]
        return Found(
            Verdict.of(before, after, far, farther),
            step,
            best_step,
            watched,
            stopped,
            time.monotonic() - begin,
            self.skipped,
        )

    def _step(self, step: int) -> None:
        settings = self.settings
        share = settings.batch // settings.accumulate
        pieces = [
            self.recipe.examples(self.data, step, settings.seed, piece * share, share)
            for piece in range(settings.accumulate)
        ]
        if self.engine.step(pieces, step).finite:
            self._in_a_row = 0
            self.average.update()
            return
        self.skipped += 1
        self._in_a_row += 1
        if self._in_a_row >= settings.patience:
            raise TrainingError(
                f"the loss or its gradient was not finite in {self._in_a_row} steps in a row, up to step {step + 1}; "
                "lower the learning rate, or look for bad values in the scan"
            )

    def _distance(self, network: Any) -> float:
        """The mean for the watched part; infinite for weights that are not finite, which nothing can be made with."""
        if not all(bool(torch.isfinite(value).all()) for value in network.state_dict().values()):
            return math.inf
        device = str(self.fabric.device)
        return float(judge(self.candidate, network, self.parts.areas, "watched", self.settings.seed, device).mean())

    def _final(self, network: Any) -> tuple[np.ndarray, np.ndarray]:
        device = str(self.fabric.device)
        return judge_with_worst(self.candidate, network, self.parts.areas, "final", self.settings.seed, device)
