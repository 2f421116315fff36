"""Checks of option values that can be made before any file is read; each error names its option."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable

import click


def check_amount(ratio: float | None, n: int | None, command: str, optional: bool = False) -> str:
    """Exactly one of -x and -n, or neither if `optional`, and a sensible one.

    Returns its tag for file names ("x4", "n1000"; "" for neither).
    """
    if ratio is None and n is None and optional:
        return ""
    if (ratio is None) == (n is None):
        given = "both" if n is not None else "neither"
        raise click.UsageError(f"give either -x RATIO or -n POINTS ({given} given)")
    if n is not None:
        if n < 1:
            raise click.BadParameter(f"{n} points cannot be made; at least 1", param_hint="-n")
        return f"n{n}"
    assert ratio is not None
    if not math.isfinite(ratio) or ratio <= 0:
        raise click.BadParameter(f"{ratio:g} is no ratio; it must be a number above 0", param_hint="-x")
    if ratio < 1:
        other = "upsample" if command in ("sample", "roundtrip") else "sample"
        what = "denser" if command in ("sample", "roundtrip") else "smaller"
        raise click.BadParameter(
            f"{ratio:g} would make the cloud {what}; use: pcsr {other} -x {1 / ratio:g}",
            param_hint="-x",
        )
    return f"x{ratio:g}"


def check_bits(bits: int | None) -> None:
    """A grid that makes sense, or none."""
    from ..geometry.grid import MOST_BITS

    if bits is not None and not 1 <= bits <= MOST_BITS:
        raise click.BadParameter(f"{bits} is not from 1 to {MOST_BITS}; 12 is usual", param_hint="--bits")


def check_name(value: str, names: Iterable[str], option: str, what: str) -> None:
    """`value` is one of `names`, or an error that suggests what may have been meant."""
    known = list(names)
    if value in known:
        return
    close = difflib.get_close_matches(value, known, n=3, cutoff=0.6)
    hint = f"did you mean {' or '.join(close)}?" if close else f"there are: {', '.join(known)}"
    raise click.BadParameter(f"unknown {what} '{value}'; {hint}", param_hint=option)


def check_model(value: str, task: str | None = None, others: Iterable[str] = ()) -> None:
    """`value` is a model's name, a folder with a good configuration of one, or among `others`; and for the task."""
    from ..registry import find_checkpoint, list_models, tasks_named

    others = list(others)
    if value in others:
        return
    if find_checkpoint(value) is None:
        check_name(value, [*list_models(), *others], "--model", "model")
    found = tasks_named(value)
    if task is not None and task not in found:
        able = " and ".join(f"pcsr {name}" for name in found)
        raise click.BadParameter(f"'{value}' is a model for {able}, not {task}", param_hint="--model")


def check_device(device: str | None) -> None:
    """A device that torch knows and this machine has; torch is imported only if it is not the CPU."""
    if device in (None, "cpu"):
        return
    import torch

    def refuse(why: str) -> None:
        raise click.BadParameter(f"'{device}' {why}; use cpu, cuda, cuda:0, ... or mps", param_hint="--device")

    try:
        kind = torch.device(device)
    except RuntimeError:
        refuse("is no device")
    if kind.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if (kind.index or 0) >= count:
            refuse(f"is not there: torch sees {count or 'no'} CUDA device{'s' if count != 1 else ''}")
    elif kind.type == "mps":
        if not torch.backends.mps.is_available():
            refuse("is not there")
    elif kind.type != "cpu":
        refuse("is not supported")
