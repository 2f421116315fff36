"""The state of a training in one file, which is written atomically and read without executing code."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from ..errors import FileError, TrainingError
from ..io.atomic import atomic_path

FORMAT = "pcsr-training-1"


@dataclass
class State:
    """The state of a training. Random numbers are not part of it, because they are seeded by the step.

    Attributes:
        identity: the configuration (model, arguments, recipe, data, settings), which a resumed run must share.
        step: number of steps that are done.
        networks, optimizers: part -> state.
        scaler: state of the gradient scaler of 16-bit training.
        average, updates: see `EMA`.
        best: weights, scores and step of the best validation; empty before the first one.
        first, last: scores before the first step, and of the latest validation.
        skipped, in_a_row: number of steps with NaN or infinite values, in total and consecutive.
        seconds: time so far.
    """

    identity: dict[str, Any]
    step: int = 0
    networks: dict[str, Any] = field(default_factory=dict)
    optimizers: dict[str, Any] = field(default_factory=dict)
    scaler: dict[str, Any] = field(default_factory=dict)
    average: dict[str, Any] = field(default_factory=dict)
    updates: int = 0
    best: dict[str, Any] = field(default_factory=dict)
    first: dict[str, float] = field(default_factory=dict)
    last: dict[str, float] = field(default_factory=dict)
    skipped: int = 0
    in_a_row: int = 0
    seconds: float = 0.0


def save_state(path: Path, state: State) -> None:
    """Write the state atomically; it replaces an earlier one.

    Raises:
        FileError: the state cannot be written; an earlier one is kept.
    """
    import torch

    values = {entry.name: getattr(state, entry.name) for entry in fields(State)}
    values["identity"] = json.dumps(state.identity)
    buffer = io.BytesIO()  # torch's writer reports a full disk by an unclear RuntimeError
    torch.save({"format": FORMAT, **values}, buffer)
    with atomic_path(path) as temporary:
        temporary.write_bytes(buffer.getbuffer())


def load_state(path: Path) -> State:
    """Read a state onto the CPU.

    Raises:
        FileError: the state cannot be read.
    """
    import torch

    try:
        values = torch.load(path, map_location="cpu", weights_only=True)
        if values.pop("format") != FORMAT:
            raise ValueError("it has another format version")
        values["identity"] = json.loads(values["identity"])
        return State(**values)
    except Exception as error:  # zipfile, pickle, torch and more
        raise FileError(
            f"{path} cannot be read as the state of a training ({error}); train again with --restart"
        ) from None


def misfit(folder: Path, error: Exception) -> TrainingError:
    """The error for a state whose tensors do not fit the networks."""
    return TrainingError(
        f"{folder}: the state of this training does not fit its network ({' '.join(str(error).split())}); was it saved "
        "by another version? Train again with --restart, or give another folder with -o"
    )


def remove_unfinished(folder: Path) -> None:
    """Delete temporary files of a killed save."""
    for path in folder.glob(".pcsr-*"):
        with contextlib.suppress(OSError):
            path.unlink()


def check_identity(now: Mapping[str, Any], before: Mapping[str, Any], folder: Path) -> None:
    """Check that a resumed run has the configuration of the earlier one.

    Raises:
        TrainingError: the configurations differ; the message names the keys.
    """
    a, b = _flat(before), _flat(now)
    differing = [key for key in sorted(a.keys() | b.keys()) if a.get(key) != b.get(key)]
    if differing:
        text = "; ".join(f"{key} was {a.get(key, 'not given')}, is {b.get(key, 'not given')}" for key in differing[:4])
        more = f" and {len(differing) - 4} more" if len(differing) > 4 else ""
        raise TrainingError(
            f"{folder} holds a training with another configuration: {text}{more}. Use the earlier one, give another "
            "folder with -o, or train again with --restart"
        )


def _flat(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    out: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, Mapping) and value:
            out |= _flat(value, f"{prefix}{key}.")
        else:
            out[f"{prefix}{key}"] = json.loads(json.dumps(value, default=str))
    return out
