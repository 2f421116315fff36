"""The log of a training: metrics.jsonl, and TensorBoard events if TensorBoard is installed."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import FileError
from ..io.atomic import atomic_path

NO_TENSORBOARD = "TensorBoard is not installed (pip install tensorboard); metrics are written to metrics.jsonl only"


def time_text(hours: float) -> str:
    """A time with a unit: "8 s", "12 min", "3.25 h"."""
    seconds = 3600 * hours
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5970 else f"{hours:.2f} h"


class MetricLog:
    """Metrics by step, in a folder.

    Each line of `metrics.jsonl` is {"step": 50, "network/loss": 0.01, ...}. Lines after the state from which a run is
    resumed are removed.

    Attributes:
        tensorboard: whether TensorBoard events are written, too.

    Raises:
        FileError: the file cannot be made or written.
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
        """Accumulate the values of a step, on their devices; `flush` writes their means."""
        for name, value in figures.items():
            self._sums[name] = self._sums.get(name, 0.0) + value
        self._count += 1

    def flush(self, step: int, more: Mapping[str, float] | None = None) -> dict[str, float]:
        """Write the means since the last call, and `more`. Returns the means."""
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
        with contextlib.suppress(OSError):  # a failed write was already reported
            self._file.close()
        if self._writer is not None:
            self._writer.close()

    def _fault(self, error: OSError) -> FileError:
        return FileError(f"cannot write {self._path}: {error.strerror or error}; check the path and the disk")


def _cut(path: Path, start: int) -> None:
    """Keep the lines up to step `start`, without incomplete lines of a killed run."""
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
