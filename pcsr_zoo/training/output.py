"""The output folder of a training: a checkpoint of the best weights, the last weights in `last`, state and logs."""

from __future__ import annotations

import contextlib
import copy
import math
from pathlib import Path
from typing import Any

from ..cards.card import save_with_card
from ..checkpoints.folder import is_checkpoint
from ..errors import FileError, TrainingError
from ..models.base import Learned
from .lock import FolderLock
from .state import State, load_state, misfit, remove_unfinished, save_state


class OutputFolder:
    """The output folder, written by one process between `open` and `close`.

    Attributes:
        path: the folder; it is a checkpoint from the first save on.
        logs: the folder of the logs.
    """

    def __init__(self, path: Path, model: Learned, name: str | None, about: dict[str, Any]) -> None:
        self.path, self.logs = path, path / "logs"
        self._state = path / "state" / "last.pt"
        self._model = copy.deepcopy(model)  # used to write checkpoints; its weights are replaced
        self._name, self._about = name, about
        self._lock: FolderLock | None = None
        self._made = False

    def open(self, restart: bool) -> State | None:
        """Lock the folder and read the state to resume from; None if there is none.

        Raises:
            TrainingError: the folder has a checkpoint without a training state, or another training is running.
            FileError: the folder cannot be made, or the state cannot be read.
        """
        self._lock = FolderLock(self.path)
        if not self._state.exists() and not restart and is_checkpoint(self.path):
            raise TrainingError(
                f"{self.path} holds a checkpoint without a training state to resume; give another folder with -o, or "
                "replace it with --restart"
            )
        self._made = not self._state.parent.exists()
        try:
            self._state.parent.mkdir(exist_ok=True)
        except OSError as error:
            raise FileError(f"{self._state.parent}: this folder cannot be made ({error.strerror}); remove it") from None
        remove_unfinished(self._state.parent)
        if restart or not self._state.exists():
            for old in self.logs.glob("*") if self._state.exists() else ():
                if old.name == "metrics.jsonl" or old.name.startswith("events.out.tfevents"):
                    old.unlink()
            return None
        return load_state(self._state)

    def close(self) -> None:
        """Unlock the folder, and remove empty folders that `open` made."""
        if self._made:
            with contextlib.suppress(OSError):  # it is not empty, or not there
                self._state.parent.rmdir()
        if self._lock is not None:
            self._lock.release()

    def save(self, state: State) -> None:
        """Write the state, then the weights. If the process is killed in between, `mend` completes the save."""
        save_state(self._state, state)
        if state.step == 0 and not state.best:
            return  # untrained weights are not saved as a checkpoint
        self._ship(self.path / "last", state.average, state.step, {}, state)
        if not state.best:
            self._ship(self.path, state.average, state.step, {}, state)
        elif state.best["step"] == state.step:
            self.mend(state)

    def mend(self, state: State) -> None:
        """Write the best weights again, with the present facts."""
        if state.best:
            self._ship(self.path, state.best["weights"], state.best["step"], state.best["figures"], state)

    def _ship(self, folder: Path, weights: dict[str, Any], step: int, figures: dict[str, float], state: State) -> None:
        try:
            self._model.network.load_state_dict(weights)
        except RuntimeError as error:
            raise misfit(self.path, error) from error
        about = {
            **self._about,
            "steps": state.step,
            "best_step": step,
            "hours": float(f"{state.seconds / 3600:.4g}"),
            "skipped_steps": state.skipped,
            "validation": {name: value for name, value in figures.items() if math.isfinite(value)},
        }
        save_with_card(folder, self._model, name=self._name, **about)
