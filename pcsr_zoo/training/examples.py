"""The stream of training examples, drawn in advance by worker processes. It does not depend on their number."""

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
_AHEAD = 4  # steps that each worker draws in advance


def share(settings: Settings, world: int) -> int:
    """Number of examples in one piece of a step in one process; `api` checks that the batch is divisible."""
    return settings.batch // (world * settings.accumulate)


def example_stream(
    recipe: Recipe, data: TrainingSet, settings: Settings, start: int, rank: int, world: int, pin: bool
) -> Iterator[list[Examples]]:
    """The pieces of process `rank` of `world` for every step from `start` on.

    Workers are started immediately, so call this before the networks are moved to a GPU.

    Args:
        recipe, data, settings: of the training.
        start: the first step.
        rank, world: number of this process, and number of processes.
        pin: use pinned memory, from which GPUs copy faster.

    Raises:
        OptionError: the recipe cannot be pickled for the workers.
        PcsrError: an example cannot be drawn; raised at its step.
    """
    count = share(settings, world)
    firsts = [(piece * world + rank) * count for piece in range(settings.accumulate)]
    steps = _Steps(recipe, data, settings.seed, firsts, count)
    workers = auto_workers(world) if settings.workers < 0 else settings.workers
    workers = min(workers, settings.steps - start)
    if workers <= 0:
        return _opened(steps[step] for step in range(start, settings.steps))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*worker processes", category=UserWarning)  # the number is intended
        warnings.filterwarnings("ignore", message="Got pickle error", category=UserWarning)  # reported below
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
        except (pickle.PicklingError, AttributeError, TypeError) as error:  # if workers are spawned
            raise OptionError(
                f"the recipe cannot be pickled for worker processes ({error}); use training.workers: 0"
            ) from error


def _opened(stream: Iterator[list[Examples] | PcsrError]) -> Iterator[list[Examples]]:
    """The examples; errors among them are raised."""
    for pieces in stream:
        if isinstance(pieces, PcsrError):
            raise pieces
        yield pieces


def auto_workers(world: int) -> int:
    """One worker for each core of this process except one, at most 8; none if processes cannot be forked."""
    if not _can_fork():
        return 0
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(0, min(_MOST_WORKERS, cores // world - 1))


def _can_fork() -> bool:
    return sys.platform == "linux" and "fork" in multiprocessing.get_all_start_methods()


class _Steps(Dataset["list[Examples] | PcsrError"]):
    """Errors are returned, not raised: torch would put a worker's traceback into their message."""

    def __init__(self, recipe: Recipe, data: TrainingSet, seed: int, firsts: list[int], count: int) -> None:
        self.recipe, self.data, self.seed, self.firsts, self.count = recipe, data, seed, firsts, count

    def __getitem__(self, step: int) -> list[Examples] | PcsrError:
        try:
            return [self.recipe.examples(self.data, step, self.seed, first, self.count) for first in self.firsts]
        except PcsrError as error:
            return error
