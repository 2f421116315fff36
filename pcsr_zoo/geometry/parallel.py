"""Work in pieces, on every core."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def each(work: Callable[[int], T], items: Sequence[int], device: str = "cpu") -> Iterator[T]:
    """work(item) for each item, in their order; on the CPU with a thread each, in which torch keeps to itself."""
    import torch

    threads = torch.get_num_threads()
    if len(items) < 2 or threads == 1 or device != "cpu":
        yield from map(work, items)
        return
    try:
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            yield from pool.map(work, items)
    finally:
        torch.set_num_threads(threads)  # torch hands the last number set on to new threads
