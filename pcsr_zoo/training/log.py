"""What a training tells while it runs: metrics.jsonl always, TensorBoard where it is installed."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import FileError
from ..io.atomic import atomic_path

NO_TENSORBOARD = "TensorBoard is not installed (pip install tensorboard): figures go to metrics.jsonl alone"


def time_text(hours: float) -> str:
    """A time as people say it: "8 s", "12 min", "3.25 h"."""
    seconds = 3600 * hours
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5970 else f"{hours:.2f} h"


class MetricLog:
    """Figures by step, in a folder.

    `metrics.jsonl` has a line {"step": 50, "network/loss": 0.01, ...} each; what a killed run wrote beyond the state
    that it is resumed from is taken out again.

    Attributes:
        tensorboard: whether there are TensorBoard events, too.

    Raises:
        FileError: the file cannot be made or, by any method, be written to.
    """

    def __init__(self, folder: Path, start: int) -> None:
        self._path = folder / "metrics.jsonl"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _cut(self._path, start)
            self._file = open(self._path, "a", encoding="utf-8")  # noqa: SIM115 - closed by `close`
        except FileError:
            raise
        except OSError as error:
            raise self._fault(error) from error
        self._sums: dict[str, Any] = {}
        self._count = 0
        self._writer = _writer(folder, start)
        self.tensorboard = self._writer is not None

    def add(self, figures: Mapping[str, Any]) -> None:
        """Take in a step's figures (tensors stay where they are); `flush` writes their mean."""
        for name, value in figures.items():
            self._sums[name] = self._sums.get(name, 0.0) + value
        self._count += 1

    def flush(self, step: int, more: Mapping[str, float] | None = None) -> dict[str, float]:
        """Write the means since the last time, and `more`; returns the means."""
        means = {name: float(value) / self._count for name, value in self._sums.items()}
        self._sums, self._count = {}, 0
        self.write(step, {**means, **(more or {})})
        return means

    def write(self, step: int, figures: Mapping[str, float]) -> None:
        good = {name: value for name, value in figures.items() if math.isfinite(value)}
        try:
            self._file.write(json.dumps({"step": step, **good}) + "\n")
            self._file.flush()
        except OSError as error:
            raise self._fault(error) from error
        if self._writer is not None:
            for name, value in good.items():
                self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        with contextlib.suppress(OSError):  # of a line that could not be written, as has been said
            self._file.close()
        if self._writer is not None:
            self._writer.close()

    def _fault(self, error: OSError) -> FileError:
        return FileError(f"cannot write {self._path}: {error.strerror or error}; check the path and the disk")


def _cut(path: Path, start: int) -> None:
    """Keep the lines up to step `start`; a line that a kill cut short goes, too."""
    if not path.exists():
        return
    kept = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            if json.loads(line)["step"] <= start:
                kept.append(line + "\n")
        except (ValueError, KeyError, TypeError):
            continue
    with atomic_path(path) as temporary:
        temporary.write_text("".join(kept), encoding="utf-8")


def _writer(folder: Path, start: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder), purge_step=start + 1 if start else None)
