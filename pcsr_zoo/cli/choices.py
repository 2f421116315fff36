"""Checks of option values that can be made before any file is read; each error names its option."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import click

from ..errors import OptionError, suggestion

if TYPE_CHECKING:
    from ..catalog import Resolved
    from ..zoo import LoadedModel


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
    raise click.BadParameter(f"unknown {what} '{value}'; {suggestion(value, known)}", param_hint=option)


def check_model(value: str, task: str | None = None) -> Resolved:
    """What `value` means: a model or a checkpoint, which does the task; its weights are not read."""
    from ..catalog import resolve

    with _as_bad("--model"):
        found = resolve(value)
    if task is not None and task not in found.tasks:
        able = " and ".join(f"pcsr {name}" for name in found.tasks)
        raise click.BadParameter(f"'{value}' is a model for {able}, not {task}", param_hint="--model")
    return found


def load_model(value: str, task: str, device: str | None = None) -> LoadedModel:
    """The model that `value` means, which does the task, on its device: loaded once for all files of a command."""
    from ..zoo import load

    found = check_model(value, task)
    check_device(device)
    with _as_bad("--model"):
        return load(found, device=device)


def check_device(device: str | None) -> None:
    """A device that torch knows and this machine has; torch is imported only if it is not the CPU."""
    from ..devices import as_device

    with _as_bad("--device"):
        as_device(device)


@contextlib.contextmanager
def _as_bad(option: str) -> Iterator[None]:
    """An `OptionError` inside becomes one that names the option of the command line."""
    try:
        yield
    except OptionError as error:
        raise click.BadParameter(str(error), param_hint=option) from None
