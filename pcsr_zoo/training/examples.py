"""The stream of examples, drawn ahead by worker processes; the same whatever their number."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import sys
import warnings
from collections.abc import Iterator

from torch.utils.data import DataLoader, Dataset

from ..datasets.training_set import TrainingSet
from ..errors import OptionError, PcsrError
from ..models.recipe import Examples, Recipe
from .settings import Settings
from .workers import prepare_worker, shielded

_MOST_WORKERS = 8
_AHEAD = 4  # steps that each worker draws before they are asked for


def share(settings: Settings, world: int) -> int:
    """Examples of one piece of a step in one process; that it comes out even is checked in `api`."""
    return settings.batch // (world * settings.accumulate)


def example_stream(
    recipe: Recipe, data: TrainingSet, settings: Settings, start: int, rank: int, world: int, pin: bool
) -> Iterator[list[Examples]]:
    """For every step from `start` on: the pieces of process `rank` of `world`.

    Workers are started at once, so call this before the networks go to a device.

    Args:
        pin: put tensors where a GPU can fetch them.

    Raises:
        OptionError: the recipe cannot be sent to workers.
        PcsrError: an example cannot be drawn, when it is its turn.
    """
    count = share(settings, world)
    firsts = [(piece * world + rank) * count for piece in range(settings.accumulate)]
    steps = _Steps(recipe, data, settings.seed, firsts, count)
    workers = auto_workers(world) if settings.workers < 0 else settings.workers
    workers = min(workers, settings.steps - start)
    if workers <= 0:
        return _opened(steps[step] for step in range(start, settings.steps))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*worker processes", category=UserWarning)  # as many as asked for
        warnings.filterwarnings("ignore", message="Got pickle error", category=UserWarning)  # it is told below
        loader = DataLoader(
            steps,
            batch_size=None,
            sampler=range(start, settings.steps),  # type: ignore[arg-type]
            num_workers=workers,
            prefetch_factor=_AHEAD,
            pin_memory=pin,
            multiprocessing_context="fork" if _can_fork() else "spawn",
            worker_init_fn=prepare_worker,
        )
        try:
            with shielded():
                return _opened(iter(loader))
        except (pickle.PicklingError, AttributeError, TypeError) as error:  # where workers are not forked
            raise OptionError(
                f"the recipe cannot be sent to processes that draw examples ({error}); use training.workers: 0"
            ) from error


def _opened(stream: Iterator[list[Examples] | PcsrError]) -> Iterator[list[Examples]]:
    """The examples; a fault among them is raised."""
    for pieces in stream:
        if isinstance(pieces, PcsrError):
            raise pieces
        yield pieces


def auto_workers(world: int) -> int:
    """One for every core that this process has to itself but its own; none where processes cannot be forked."""
    if not _can_fork():
        return 0
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(0, min(_MOST_WORKERS, cores // world - 1))


def _can_fork() -> bool:
    return sys.platform == "linux" and "fork" in multiprocessing.get_all_start_methods()


class _Steps(Dataset["list[Examples] | PcsrError"]):
    """Faults are handed over as they are: raised in a worker, they would come with its traceback in their message."""

    def __init__(self, recipe: Recipe, data: TrainingSet, seed: int, firsts: list[int], count: int) -> None:
        self.recipe, self.data, self.seed, self.firsts, self.count = recipe, data, seed, firsts, count

    def __getitem__(self, step: int) -> list[Examples] | PcsrError:
        try:
            return [self.recipe.examples(self.data, step, self.seed, first, self.count) for first in self.firsts]
        except PcsrError as error:
            return error
