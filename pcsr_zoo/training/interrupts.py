"""SIGINT and SIGTERM stop a training after the present step, with its state saved."""

from __future__ import annotations

import signal
import sys
import threading
import time
from types import FrameType, TracebackType
from typing import Any

_PATIENCE = 2.0  # seconds
SAVED = "the training has stopped, and its state is saved"


class Interrupts:
    """A context that records a signal. A second signal stops the process at once, if it comes 2 seconds later.

    Earlier second signals are ignored: with torchrun, a process gets Ctrl-C from the terminal and from torchrun.

    Outside of the main thread, where Python cannot handle signals, the context does nothing.

    Attributes:
        number: the number of the first signal, or 0.
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
        """End the process as the signal would: KeyboardInterrupt (with the text `SAVED`), or exit status 128 + number.

        A process that stops because another one got a signal ends as with SIGTERM.
        """
        if self.number == signal.SIGINT:
            raise KeyboardInterrupt(SAVED) if saved else KeyboardInterrupt
        sys.exit(128 + (self.number or signal.SIGTERM))
