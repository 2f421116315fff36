"""The training loop: steps, weight averaging, validation, logging, saving and resuming."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ..datasets.training_set import TrainingSet
from ..errors import TrainingError
from ..models.base import Learned, Progress
from ..models.recipe import Examples, Recipe
from .ema import EMA
from .engine import Engine, step_seed
from .examples import example_stream
from .interrupts import Interrupts
from .log import NO_TENSORBOARD, MetricLog, time_text
from .output import OutputFolder
from .settings import Settings
from .state import State, check_identity, misfit

_SCALING = 16  # halvings of the loss scale that 16-bit training may need
_TIMED = 10  # steps from which the duration of a run is estimated
_REDRAW = 0.1  # seconds between updates of the progress bar


@dataclass(frozen=True)
class Job:
    """A training.

    Attributes:
        model: the model with its initial weights; it is trained in place.
        recipe: the model's recipe.
        data: the shapes for training and validation.
        settings: the settings of the optimization.
        folder: the output folder.
        identity: the configuration that a resumed run must share, see `State`.
        about: facts for the checkpoint's config.json.
        name: name of the checkpoint; by default, that of the model.
    """

    model: Learned
    recipe: Recipe
    data: TrainingSet
    settings: Settings
    folder: Path
    identity: dict[str, Any]
    about: dict[str, Any]
    name: str | None = None


@dataclass(frozen=True)
class Outcome:
    """The result of a training.

    Attributes:
        folder: a checkpoint folder with the best weights by validation.
        steps: total number of steps.
        figures: validation scores of the best weights.
        step: the step of the best weights.
        before: scores before the first step, with `validate_first`.
        last: scores after the last step.
        hours: total time.
        skipped: number of steps with a NaN or infinite loss or gradient.
        resumed: the step at which this run resumed; 0 if it started the training.
    """

    folder: Path
    steps: int
    figures: dict[str, float]
    step: int
    before: dict[str, float]
    last: dict[str, float]
    hours: float
    skipped: int
    resumed: int


class Trainer:
    """Runs a `Job` on a Fabric, in every process. The first process writes the files."""

    def __init__(self, job: Job, fabric: Any, report: Callable[[str], None], progress: Progress | None) -> None:
        self.job, self.settings, self.fabric = job, job.settings, fabric
        self.chief: bool = fabric.is_global_zero
        self._report, self._progress = report, progress
        self.output = OutputFolder(job.folder, job.model, job.name, job.about)

    def run(self, restart: bool = False) -> Outcome:
        """Train to the last step, from the state on disk if there is one.

        Raises:
            TrainingError: losses are not finite, the state belongs to another run, or a worker was killed.
            KeyboardInterrupt, SystemExit: on SIGINT and SIGTERM, after the state was saved.
        """
        try:
            return self._run(restart)
        except (RuntimeError, ConnectionError, EOFError) as error:
            if isinstance(error, RuntimeError) and not str(error).startswith("DataLoader worker"):
                raise  # torch raises a RuntimeError for a lost worker; the other classes come from its pipes
            raise TrainingError(
                f"{self.job.folder}: a worker process that draws examples was lost ({error}), perhaps out of memory. "
                "The same command resumes from the last save; training.workers: 0 uses no worker processes"
            ) from error
        finally:
            if self.chief:
                self.output.close()

    def _run(self, restart: bool) -> Outcome:
        settings, fabric = self.settings, self.fabric
        found = self.output.open(restart) if self.chief else None
        found = fabric.broadcast(found) if fabric.world_size > 1 else found
        self.state = found or State(self.job.identity)
        resumed = self.state.step
        if found is not None:
            check_identity(self.job.identity, found.identity, self.job.folder)
            if self.chief:
                self.output.mend(found)
            if resumed >= settings.steps:
                self._report(f"{self.job.folder}: all {resumed} steps are done; to train again, add --restart")
                return self._outcome(resumed)
            self._report(f"{self.job.folder}: resuming after step {resumed} of {settings.steps}")
        rank, world = fabric.global_rank, fabric.world_size
        self.job.recipe.examples(self.job.data, resumed, settings.seed, rank, 1)  # report errors here, not in a worker
        stream = example_stream(
            self.job.recipe, self.job.data, settings, resumed, rank, world, fabric.device.type == "cuda"
        )
        self.engine = Engine(self.job.recipe, settings, fabric)
        self.main = self.job.recipe.parts[0]
        self.ema = EMA(self.job.model.network, settings.ema)
        if found is not None:
            self._restore(found)
        self.log = MetricLog(self.output.logs, resumed) if self.chief else None
        if self.log and not self.log.tensorboard:
            self._report(NO_TENSORBOARD)
        try:
            self._loop(stream)
        finally:
            del stream  # stops the workers
            if self.log:
                self.log.close()
        if self.chief:
            self.output.mend(self.state)  # with the total hours
        return self._outcome(resumed)

    def _loop(self, stream: Iterator[list[Examples]]) -> None:
        settings, state = self.settings, self.state
        self._began = self._saved = time.monotonic()
        self._before = state.seconds
        if state.step == 0 and self.chief:
            if settings.validate_first:
                self._validate()
            self._save()
        shown = 0.0
        first = state.step
        with Interrupts() as asked:
            for pieces in stream:
                outcome = self.engine.step(pieces, state.step, bool(asked.number))
                state.step += 1
                self._count(outcome.finite)
                if outcome.finite:
                    self.ema.update()
                if state.step == first + 1:
                    timed = time.monotonic()  # the first step is slower than the others
                elif state.step == first + 1 + _TIMED:
                    self._forecast((time.monotonic() - timed) / _TIMED)
                if self.log is not None:
                    self._tell(outcome.figures, outcome.finite)
                    if self._progress and time.monotonic() - shown > _REDRAW:
                        shown = time.monotonic()
                        loss = float(outcome.figures[f"{self.main}/loss"])
                        self._progress(f"step {state.step}, loss {loss:.4g}", state.step / settings.steps)
                    self._validate_or_save(outcome.stop)
                if outcome.stop and state.step < settings.steps:
                    self._report(
                        f"{self.job.folder}: stopped after step {state.step} of {settings.steps} and saved; the same "
                        "command resumes the training"
                    )
                    asked.leave(saved=True)

    def _forecast(self, seconds: float) -> None:
        """Report how long the other steps will take, without validations, if a step takes so many seconds."""
        if self.chief:
            left = self.settings.steps - self.state.step
            text = time_text(left * seconds / 3600)
            self._report(f"{self.job.folder}: {seconds:.2g} s a step, about {text} for the other {left} steps")

    def _count(self, finite: bool) -> None:
        state = self.state
        state.in_a_row = 0 if finite else state.in_a_row + 1
        state.skipped += not finite
        patience = self.settings.patience + (_SCALING if self.engine.scaler is not None else 0)
        if state.in_a_row >= patience:
            raise TrainingError(
                f"{self.job.folder}: the loss or its gradient was NaN or infinite in {state.in_a_row} consecutive "
                f"steps, up to step {state.step}; lower training.lr, or check the data. The last good state is kept"
            )

    def _tell(self, figures: dict[str, Any], finite: bool) -> None:
        assert self.log is not None
        if finite:
            self.log.add(figures)
        if self.state.step % self.settings.log_every == 0 or self.state.step == self.settings.steps:
            spent = {"hours": self._seconds() / 3600, "skipped": float(self.state.skipped)}
            self.log.flush(self.state.step, spent)

    def _validate_or_save(self, stop: bool) -> None:
        settings, step = self.settings, self.state.step
        last = step == settings.steps
        if last or (settings.validate_every and step % settings.validate_every == 0):
            self._validate()
            self._save()
            return
        due = settings.save_every and step % settings.save_every == 0
        late = settings.save_seconds and time.monotonic() - self._saved > settings.save_seconds
        if due or late or stop:
            self._save()

    def _validate(self) -> None:
        """Validate the averaged weights, and keep them if they are the best."""
        state = self.state
        others = [module for module in self.engine.modules.values() if self.ema.counterpart(module) is None]
        for module in others:
            module.eval()
        torch.manual_seed(step_seed(self.settings.seed, 0, 0))  # the same random numbers in each validation
        networks = self.engine.networks_for_validation(self.ema)
        with torch.no_grad():
            found = self.job.recipe.validate(networks, self.job.data, self.settings.seed, self.fabric.device)
        for module in others:
            module.train()
        figures = {name: float(value) for name, value in found.items()}
        first = next(iter(figures))
        best = state.best["figures"].get(first, math.inf) if state.best else math.inf
        better = not state.best or figures[first] < best or math.isnan(best)
        if better:
            state.best = {"weights": _copy(self.ema.module.state_dict()), "figures": figures, "step": state.step}
        state.last = figures
        if state.step == 0:
            state.first = figures
        if self.log is not None:
            self.log.write(state.step, {f"validation/{name}": value for name, value in figures.items()})
        text = ", ".join(f"{name} {value:.5g}" for name, value in figures.items())
        mark = " (best)" if better else ""
        spent = time_text(self._seconds() / 3600)
        self._report(f"step {state.step} of {self.settings.steps}: {text}{mark}, {spent}")

    def _save(self) -> None:
        """Save the state. Weights that are NaN or infinite raise a TrainingError and are not saved."""
        state, engine = self.state, self.engine
        for module in (*engine.modules.values(), self.ema.module):
            if not all(bool(torch.isfinite(value).all()) for value in module.state_dict().values()):
                raise TrainingError(
                    f"{self.job.folder}: the weights are NaN or infinite after step {state.step}; lower training.lr, "
                    "and train again with --restart. Earlier saves are kept"
                )
        state.networks = {part: module.state_dict() for part, module in engine.modules.items()}
        state.optimizers = {part: optimizer.optimizer.state_dict() for part, optimizer in engine.optimizers.items()}
        state.scaler = engine.scaler.state_dict() if engine.scaler is not None else {}
        state.average, state.updates = self.ema.module.state_dict(), self.ema.updates
        state.seconds = self._seconds()
        self.output.save(state)
        self._saved = time.monotonic()

    def _restore(self, state: State) -> None:
        try:
            for part, module in self.engine.modules.items():
                module.load_state_dict(state.networks[part])
                self.engine.optimizers[part].optimizer.load_state_dict(state.optimizers[part])
            if self.engine.scaler is not None and state.scaler:
                self.engine.scaler.load_state_dict(state.scaler)
            self.ema.module.load_state_dict(state.average)
        except (KeyError, RuntimeError, TypeError, ValueError, AttributeError) as error:
            raise misfit(self.job.folder, error) from error
        self.ema.updates = state.updates

    def _seconds(self) -> float:
        return self._before + time.monotonic() - self._began

    def _outcome(self, resumed: int) -> Outcome:
        state = self.state
        best = state.best or {"figures": {}, "step": state.step}
        return Outcome(
            folder=self.job.folder,
            steps=state.step,
            figures=best["figures"],
            step=best["step"],
            before=state.first,
            last=state.last,
            hours=state.seconds / 3600,
            skipped=state.skipped,
            resumed=resumed,
        )


def _copy(weights: dict[str, Any]) -> dict[str, Any]:
    return {name: value.detach().cpu().clone() for name, value in weights.items()}
