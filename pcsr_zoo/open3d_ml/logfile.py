"""A log file for each test and training, as Open3D-ML's own pipelines write one."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path


class _ToRoot(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        logging.getLogger().handle(record)


@contextmanager
def log_file(folder: str, what: str, rank: int = 0) -> Iterator[Path]:
    """Log all messages of this package to log_<what>_<time>.txt in a folder, and yield its path.

    Of several processes, only that of rank 0 writes. The program's own handlers get the messages of its level only.
    """
    path = Path(folder, f"log_{what}_{datetime.now():%Y-%m-%d_%H-%M-%S}.txt")
    if rank != 0:
        yield path
        return
    while path.exists():  # another run within the same second
        path = path.with_name(f"{path.stem}+.txt")
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(levelname)s - %(asctime)s - %(module)s - %(message)s"))
    package = logging.getLogger("pcsr_zoo")
    level, propagate, shown = package.level, package.propagate, package.getEffectiveLevel()
    added = [handler, *([_ToRoot(shown)] if propagate else [])]
    for one in added:
        package.addHandler(one)
    package.setLevel(min(shown, logging.INFO))
    package.propagate = False
    package.info("Logging in file : %s", path)
    try:
        yield path
    finally:
        package.setLevel(level)
        package.propagate = propagate
        for one in added:
            package.removeHandler(one)
        handler.close()
