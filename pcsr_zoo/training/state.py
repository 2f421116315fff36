"""The state of a training on disk: one file, whole or not there, and readable without executing anything."""

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
    """Everything that the rest of a training depends on. Random numbers are not part of it: they follow from the step.

    Attributes:
        identity: what the run is: model, arguments, recipe, data, settings. A resumed run must have the same.
        step: how many are done.
        networks, optimizers: part -> state.
        scaler: of 16-bit training.
        average, updates: see `EMA`.
        best: weights, figures and step of the best validation; empty before the first.
        first, last: figures before the first step, and of the latest validation.
        skipped, in_a_row: steps that were not finite, in all and at the end.
        seconds: spent so far.
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
    """Write the state; one that is already there is replaced when the new one is whole.

    Raises:
        FileError: it cannot be written; one that is already there is as good as before.
    """
    import torch

    values = {entry.name: getattr(state, entry.name) for entry in fields(State)}
    values["identity"] = json.dumps(state.identity)
    buffer = io.BytesIO()  # torch's own writer tells a full disk as a RuntimeError that says nothing
    torch.save({"format": FORMAT, **values}, buffer)
    with atomic_path(path) as temporary:
        temporary.write_bytes(buffer.getbuffer())


def load_state(path: Path) -> State:
    """Read a state, onto the CPU.

    Raises:
        FileError: it cannot be read.
    """
    import torch

    try:
        values = torch.load(path, map_location="cpu", weights_only=True)
        if values.pop("format") != FORMAT:
            raise ValueError("it is of another version")
        values["identity"] = json.loads(values["identity"])
        return State(**values)
    except Exception as error:  # zipfile, pickle, torch and more
        raise FileError(
            f"{path} cannot be read as the state of a training ({error}); begin anew with --restart"
        ) from None


def misfit(folder: Path, error: Exception) -> TrainingError:
    """What to say where a state can be read, but its tensors are not those of the networks."""
    return TrainingError(
        f"{folder}: the state of this training does not fit its network ({' '.join(str(error).split())}); was it saved "
        "by another version? Begin anew with --restart, or name another folder with -o"
    )


def remove_unfinished(folder: Path) -> None:
    """Delete the temporary files of a save that was killed."""
    for path in folder.glob(".pcsr-*"):
        with contextlib.suppress(OSError):
            path.unlink()


def check_identity(now: Mapping[str, Any], before: Mapping[str, Any], folder: Path) -> None:
    """Refuse to go on with a run under another configuration.

    Raises:
        TrainingError: names the keys that differ.
    """
    a, b = _flat(before), _flat(now)
    differing = [key for key in sorted(a.keys() | b.keys()) if a.get(key) != b.get(key)]
    if differing:
        text = "; ".join(f"{key} was {a.get(key, 'not given')}, is {b.get(key, 'not given')}" for key in differing[:4])
        more = f" and {len(differing) - 4} more" if len(differing) > 4 else ""
        raise TrainingError(
            f"{folder} holds a training with another configuration: {text}{more}. Use the former, name another folder "
            "with -o, or begin anew with --restart"
        )


def _flat(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    out: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, Mapping) and value:
            out |= _flat(value, f"{prefix}{key}.")
        else:
            out[f"{prefix}{key}"] = json.loads(json.dumps(value, default=str))
    return out
