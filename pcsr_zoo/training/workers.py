"""Processes that draw examples: they live exactly as long as the training process wants them.

Ctrl-C in a terminal, a cluster's SIGTERM and `kill` of a process group reach all processes at once. The training
process then finishes its step and saves, for which it needs its workers; so only its own word, or its end, ends them.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch

_LOOK = 1.0  # seconds between two looks at the parent
_CAN_BLOCK = hasattr(signal, "pthread_sigmask")  # not on Windows
# Who sent a SIGTERM cannot be told on macOS. There it ends a worker, whoever it was; it must when the parent did.
_KNOWS_SENDER = hasattr(signal, "sigtimedwait")
_BLOCKED = (signal.SIGINT, signal.SIGTERM) if _KNOWS_SENDER else (signal.SIGINT,)


@contextmanager
def shielded() -> Iterator[None]:
    """Processes that are forked in this block do not get SIGINT and SIGTERM: they inherit what is blocked here."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _BLOCKED) if _CAN_BLOCK else set()
    try:
        yield
    finally:
        if _CAN_BLOCK:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def prepare_worker(number: int) -> None:
    """The first thing that a worker does."""
    torch.set_num_threads(1)
    if _CAN_BLOCK:
        signal.pthread_sigmask(signal.SIG_BLOCK, _BLOCKED)  # a worker that was spawned inherited nothing
    else:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if os.name == "posix" and parent is not None and parent.pid is not None:
        threading.Thread(target=_watch, args=(parent.pid,), daemon=True).start()


def _watch(parent: int) -> None:
    """End this process when its parent has ended, even by SIGKILL, or terminates it.

    torch looks for the parent, too, but only where a worker waits for work, not where it is stuck handing over results.
    """
    while os.getppid() == parent:
        if _KNOWS_SENDER:
            received = signal.sigtimedwait({signal.SIGTERM}, _LOOK)
            if received is not None and received.si_pid == parent:
                break
        else:
            time.sleep(_LOOK)
    os._exit(0)
