"""SIGINT and SIGTERM end a training after the step that is under way, its state saved."""

from __future__ import annotations

import signal
import sys
import threading
import time
from types import FrameType, TracebackType
from typing import Any

_PATIENCE = 2.0  # seconds
SAVED = "the training has stopped, and its state is saved"  # and the user was told


class Interrupts:
    """A context in which a signal is only noted; another one ends at once, if it comes seconds later.

    At once would be too soon: torchrun hands on to its processes the Ctrl-C that they had from the terminal.

    Outside the main thread, where Python cannot handle signals, it does nothing.

    Attributes:
        number: the signal that came, or 0.
    """

    def __init__(self) -> None:
        self.number = 0
        self._since = 0.0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if not self.number:
            self.number, self._since = number, time.monotonic()
        elif time.monotonic() - self._since > _PATIENCE:
            self.leave()

    def leave(self, saved: bool = False) -> None:
        """End as the signal would have: KeyboardInterrupt (`SAVED` if it is), or exit with 128 + its number.

        A process that stops because another one was signaled ends as by SIGTERM.
        """
        if self.number == signal.SIGINT:
            raise KeyboardInterrupt(SAVED) if saved else KeyboardInterrupt
        sys.exit(128 + (self.number or signal.SIGTERM))
