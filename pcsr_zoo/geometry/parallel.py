"""Parallel work on all cores."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")


def each(work: Callable[[int], T], items: Sequence[int], device: str = "cpu") -> Iterator[T]:
    """Yield work(item) for each item in order. On the CPU, items run in parallel, each in a single thread of torch."""
    torch = sys.modules.get("torch")  # not imported for this
    threads = torch.get_num_threads() if torch is not None else _threads()
    if len(items) < 2 or threads == 1 or device != "cpu":
        yield from map(work, items)
        return
    single: dict[str, Any] = {} if torch is None else {"initializer": torch.set_num_threads, "initargs": (1,)}
    try:
        with ThreadPoolExecutor(threads, **single) as pool:
            yield from pool.map(work, items)
    finally:
        if torch is not None:
            torch.set_num_threads(threads)  # new threads inherit the last number that was set


def _threads() -> int:
    """The number of threads that torch would use."""
    given = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]
    if given.isdigit() and int(given) > 0:
        return int(given)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
