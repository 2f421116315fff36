"""Worker processes that draw examples. Only the training process, or its end, stops them.

Ctrl-C in a terminal, a cluster's SIGTERM and `kill` of a process group reach all processes at once. The training
process then needs its workers to finish its step and to save, so workers ignore these signals.
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

_LOOK = 1.0  # seconds between checks of the parent process
_CAN_BLOCK = hasattr(signal, "pthread_sigmask")  # not on Windows
# macOS does not tell the sender of a SIGTERM, so there every SIGTERM ends a worker, as one of the parent must.
_KNOWS_SENDER = hasattr(signal, "sigtimedwait")
_BLOCKED = (signal.SIGINT, signal.SIGTERM) if _KNOWS_SENDER else (signal.SIGINT,)


@contextmanager
def shielded() -> Iterator[None]:
    """A context that blocks SIGINT and SIGTERM. Processes that are forked inside inherit the blocked signals."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _BLOCKED) if _CAN_BLOCK else set()
    try:
        yield
    finally:
        if _CAN_BLOCK:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def prepare_worker(number: int) -> None:
    """Initialize a worker process: one thread, blocked signals, and a watch on the parent."""
    torch.set_num_threads(1)
    if _CAN_BLOCK:
        signal.pthread_sigmask(signal.SIG_BLOCK, _BLOCKED)  # spawned workers do not inherit blocked signals
    else:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if os.name == "posix" and parent is not None and parent.pid is not None:
        threading.Thread(target=_watch, args=(parent.pid,), daemon=True).start()


def _watch(parent: int) -> None:
    """End this process when its parent has ended, even by SIGKILL, or sends SIGTERM.

    torch also checks the parent, but only while a worker waits for work, not while it is blocked by sending results.
    """
    while os.getppid() == parent:
        if _KNOWS_SENDER:
            received = signal.sigtimedwait({signal.SIGTERM}, _LOOK)
            if received is not None and received.si_pid == parent:
                break
        else:
            time.sleep(_LOOK)
    os._exit(0)
