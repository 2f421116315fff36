"""Parallel work on all cores."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def each(work: Callable[[int], T], items: Sequence[int], device: str = "cpu") -> Iterator[T]:
    """Yield work(item) for each item in order. On the CPU, items run in parallel, each in a single thread of torch."""
    import torch

    threads = torch.get_num_threads()
    if len(items) < 2 or threads == 1 or device != "cpu":
        yield from map(work, items)
        return
    try:
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            yield from pool.map(work, items)
    finally:
        torch.set_num_threads(threads)  # new threads inherit the last number that was set
