"""Processes that begin with torch and the package imported: forks of one server, which takes seconds only once.

For tests that send signals to a training, or kill it. They are processes of their own in every way that matters here:
pid, session, signals, workers, exit status.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

posix = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
_PRELOADED = ("pytest", "toy_training", "lightning_fabric", "pcsr_zoo.training.trainer", "pcsr_zoo.training.devices")


class Forked:
    """A function that runs in a process of its own, with what tests use of `subprocess.Popen`.

    Args:
        target: of a module, called with the arguments as `sys.argv[1:]`.
    """

    def __init__(self, target: Callable[[], None], arguments: Sequence[object]) -> None:
        context = _server()
        pipes = [context.Pipe(duplex=False) for _ in range(2)]
        ends = [end for _, end in pipes]
        self._process = context.Process(target=_run, args=(target, [str(argument) for argument in arguments], *ends))
        self._process.start()
        for end in ends:
            end.close()
        self.stdout, self.stderr = (os.fdopen(os.dup(mine.fileno()), encoding="utf-8") for mine, _ in pipes)
        self.pid: int = self._process.pid

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def wait(self, timeout: float = 60) -> int:
        self._process.join(timeout)
        assert self._process.exitcode is not None, "it does not end"
        return self._process.exitcode

    def communicate(self, timeout: float = 60) -> tuple[str, str]:
        self.wait(timeout)
        return self.stdout.read(), self.stderr.read()

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def __enter__(self) -> Forked:
        return self

    def __exit__(self, *error: Any) -> None:
        if error[0] is not None:
            self._process.kill()
        self.wait()
        self.stdout.close()
        self.stderr.close()


def _server() -> Any:
    from multiprocessing import forkserver

    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(_PRELOADED))
    before = os.environ.get("PYTHONPATH")
    folders = [str(Path(__file__).parent), before]
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, folders))  # where it looks for what it imports at first
    try:
        forkserver.ensure_running()
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before
    return context


def _run(target: Callable[[], None], arguments: list[str], out: Any, err: Any) -> None:
    os.setsid()
    for number, end in ((1, out), (2, err)):
        os.dup2(end.fileno(), number)
        end.close()
    sys.argv = [str(target), *arguments]
    try:
        target()
    except KeyboardInterrupt:  # as the interpreter ends by it
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        sys.stdout.flush()
        os.kill(os.getpid(), signal.SIGINT)
