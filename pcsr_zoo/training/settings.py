"""The trainer's settings: the section `training` of a configuration file, with defaults and checks."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from typing import Any

from ..errors import OptionError, suggestion

_FAST = 1e6  # largest learning rate
# A run may be resumed with other values of these settings, which do not change the weights.
FREE = ("workers", "save_every", "save_seconds", "log_every", "validate_every", "patience")


@dataclass(frozen=True)
class Settings:
    """Settings of the optimization.

    Attributes:
        steps: total number of steps.
        batch: examples of one step, divided among the processes: one device and four devices give the same run.
        accumulate: number of pieces in which each process computes its share, to save memory.
        seed: seed of initial weights, examples and random numbers in losses.
        optimizer: "adamw" or "adam".
        lr: the learning rate after the warm-up.
        part_lr: learning rates of single parts of the recipe, part -> rate.
        weight_decay: weight decay, not applied to biases, norms and other vectors.
        betas: betas of the optimizer.
        warmup: number of steps in which the learning rate rises linearly from 0 to `lr`.
        schedule: "constant"; "cosine", which decreases to `lr_end` times lr; or "step", times `decay` at each of
            `milestones`.
        lr_end: final learning rate as a fraction of lr.
        cycles: how often the schedule "cosine" falls; at the end of each fall, the rate is lr again.
        decay: factor of the schedule "step".
        milestones: fractions of all steps, for the schedule "step".
        clip: largest norm of a part's gradient; 0 for no clipping.
        ema: decay of the moving average of the weights, which is validated and saved in the checkpoint; 0 for none.
            After t steps, it is min(ema, (1 + t) / (10 + t)).
        precision: "32", or "bf16" and "16", which run the networks, but not the losses, under autocast.
        patience: the training stops after this number of consecutive steps with a NaN or infinite loss or gradient.
        validate_every: steps between validations; 0 for only one at the end, which always takes place.
        validate_first: also validate before the first step, so that the initial weights can stay the best.
        save_every, save_seconds: steps or seconds between saves of the state, whichever is first; 0 for never.
        log_every: steps between lines of the log.
        workers: number of processes that draw examples in advance; 0 draws them in the training process, -1 uses as
            many as the cores allow. The examples are the same.
    """

    steps: int = 20_000
    batch: int = 16
    accumulate: int = 1
    seed: int = 0
    optimizer: str = "adamw"
    lr: float = 1e-3
    part_lr: Mapping[str, float] = field(default_factory=dict)
    weight_decay: float = 1e-4
    betas: tuple[float, float] = (0.9, 0.999)
    warmup: int = 200
    schedule: str = "cosine"
    lr_end: float = 0.01
    cycles: int = 1
    decay: float = 0.1
    milestones: tuple[float, ...] = (0.5, 0.75)
    clip: float = 1.0
    ema: float = 0.999
    precision: str = "32"
    patience: int = 10
    validate_every: int = 1000
    validate_first: bool = False
    save_every: int = 1000
    save_seconds: float = 300.0
    log_every: int = 50
    workers: int = -1

    def __post_init__(self) -> None:
        object.__setattr__(self, "part_lr", {str(part): rate for part, rate in dict(self.part_lr).items()})
        object.__setattr__(self, "betas", tuple(self.betas))
        object.__setattr__(self, "milestones", tuple(self.milestones))
        for name, (allowed, good) in _CHECKS.items():
            value = getattr(self, name)
            if not good(value):
                raise OptionError(f"{name} must be {allowed}, got {value!r}")
        if self.batch % self.accumulate:
            raise OptionError(f"batch ({self.batch}) must be a multiple of accumulate ({self.accumulate})")

    @staticmethod
    def of(values: Mapping[str, Any] | Settings | None, where: str = "settings") -> Settings:
        """Make settings from keys and values, as in a YAML file.

        Raises:
            OptionError: a key is unknown or a value is invalid; the message begins with `where` and names the key.
        """
        if isinstance(values, Settings):
            return values
        if values is None:
            return Settings()
        if not isinstance(values, Mapping):
            raise OptionError(f"{where}: must be keys and values, got {values!r}")
        known = {entry.name: entry for entry in fields(Settings)}
        converted = {}
        for key, value in values.items():
            if key not in known:
                raise OptionError(f"{where}: unknown key '{key}'; {suggestion(key, known)}")
            entry = known[key]
            default = entry.default if entry.default is not MISSING else {}
            try:
                converted[key] = _like(default, value)
            except (TypeError, ValueError, OverflowError):
                raise OptionError(f"{where}: {key} must be {_kind(default)}, got {value!r}") from None
        try:
            return Settings(**converted)
        except OptionError as error:
            raise OptionError(f"{where}: {error}") from None

    def as_dict(self) -> dict[str, Any]:
        """The settings as values that JSON can hold."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}

    def binding(self) -> dict[str, Any]:
        """The settings that must be the same when a run is resumed."""
        return {key: value for key, value in self.as_dict().items() if key not in FREE}


def _like(default: Any, value: Any) -> Any:
    """Convert a value to the type of `default`.

    Raises:
        TypeError, ValueError, OverflowError: it cannot be converted.
    """
    if isinstance(default, bool) or isinstance(value, bool):
        if not (isinstance(default, bool) and isinstance(value, bool)):
            raise TypeError
        return value
    if isinstance(default, int):
        if float(value) != int(float(value)):
            raise ValueError
        return int(float(value))
    if isinstance(default, float):
        return float(value)
    if isinstance(default, str):
        if not isinstance(value, (str, int)):  # precision: 32 is a number in YAML
            raise TypeError
        return str(value)
    if isinstance(default, tuple):
        if isinstance(value, str):
            raise TypeError
        return tuple(float(entry) for entry in value)
    return {str(part): float(rate) for part, rate in dict(value).items()}


def _kind(default: Any) -> str:
    kinds = {bool: "true or false", int: "a whole number", float: "a number", str: "a word", tuple: "a list of numbers"}
    return kinds.get(type(default), "a table of part: rate")


def _at_least(low: float, below: float = math.inf) -> tuple[str, Any]:
    text = f"at least {low:g}" + (f" and below {below:g}" if below < math.inf else "")
    return text, lambda value: low <= value < below


def _above(low: float, high: float = math.inf) -> tuple[str, Any]:
    text = f"above {low:g}" + (f" and at most {high:g}" if high < math.inf else "")
    return text, lambda value: low < value <= high and math.isfinite(value)


def _one_of(*words: str) -> tuple[str, Any]:
    return " or ".join(words), lambda value: value in words


_CHECKS: dict[str, tuple[str, Any]] = {
    "steps": _at_least(1),
    "batch": _at_least(1),
    "accumulate": _at_least(1),
    "seed": ("at least 0 and below 2^63", lambda value: 0 <= value < 2**63),
    "optimizer": _one_of("adamw", "adam"),
    "lr": _above(0, _FAST),
    "part_lr": (
        f"rates above 0 and at most {_FAST:g}",
        lambda rates: all(0 < rate <= _FAST for rate in rates.values()),
    ),
    "weight_decay": _at_least(0, below=_FAST),
    "betas": ("two numbers of at least 0 and below 1", lambda b: len(b) == 2 and all(0 <= x < 1 for x in b)),
    "warmup": _at_least(0),
    "schedule": _one_of("constant", "cosine", "step"),
    "lr_end": ("at least 0 and at most 1", lambda value: 0 <= value <= 1),
    "cycles": _at_least(1),
    "decay": _above(0, 1),
    "milestones": (
        "fractions between 0 and 1, ascending",
        lambda m: list(m) == sorted(m) and all(0 < x < 1 for x in m),
    ),
    "clip": _at_least(0),
    "ema": _at_least(0, below=1),
    "precision": _one_of("32", "bf16", "16"),
    "patience": _at_least(1),
    "validate_every": _at_least(0),
    "save_every": _at_least(0),
    "save_seconds": _at_least(0),
    "log_every": _at_least(1),
    "workers": ("at least -1 and at most 64", lambda value: -1 <= value <= 64),
}
