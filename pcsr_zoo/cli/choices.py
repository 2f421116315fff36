"""Checks of option values before files are read. Each error names its option."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING

import click

from ..errors import OptionError, suggestion

if TYPE_CHECKING:
    from ..catalog import Resolved
    from ..zoo import LoadedModel

_MOST_DRAWS = 10_000


def check_amount(ratio: float | None, n: int | None, command: str, optional: bool = False) -> str:
    """Check that exactly one of -x and -n is given (or none, if `optional`) and is in its range.

    Returns:
        The tag for file names: "x4", "n1000", or "" for none.

    Raises:
        UsageError: both or none were given.
        BadParameter: the value is out of its range.
    """
    if ratio is None and n is None and optional:
        return ""
    if (ratio is None) == (n is None):
        given = "both" if n is not None else "neither"
        raise click.UsageError(f"give either -x RATIO or -n POINTS ({given} given)")
    if n is not None:
        if n < 1:
            raise click.BadParameter(f"{n} is not a number of points; give at least 1", param_hint="-n")
        return f"n{n}"
    assert ratio is not None
    if not math.isfinite(ratio) or ratio <= 0:
        raise click.BadParameter(f"{ratio:g} is not a ratio; give a number above 0", param_hint="-x")
    if ratio < 1:
        other = "upsample" if command in ("sample", "roundtrip") else "sample"
        what = "denser" if command in ("sample", "roundtrip") else "sparser"
        raise click.BadParameter(
            f"a ratio of {ratio:g} makes the cloud {what}; use: pcsr {other} -x {1 / ratio:g}",
            param_hint="-x",
        )
    return f"x{ratio:g}"


def amount_values(ratio: float | None, n: int | None) -> dict[str, str]:
    """What {ratio} and {n} of --name stand for; only one that was given can be used."""
    given = {"ratio": None if ratio is None else f"{ratio:g}", "n": None if n is None else str(n)}
    return {name: value for name, value in given.items() if value is not None}


def check_size(size: int, n: int | None, command: str, drawn: bool) -> None:
    """Check -n against the number of points of an input; `drawn`: they were drawn from a mesh.

    Raises:
        OptionError: the command cannot reach that number.
    """
    if n is None or (n <= size if command == "sample" else n >= size):
        return
    if command == "sample" and drawn:
        raise OptionError(f"-n {n:,} is more than the {size:,} points drawn from the mesh; add --points {4 * n}")
    other = "upsample" if command == "sample" else "sample"
    side = "more" if command == "sample" else "fewer"
    raise OptionError(f"-n {n:,} is {side} than the {size:,} points of the input; use: pcsr {other} -n {n}")


def check_draws(draws: int) -> None:
    """Check --draws: each is a file."""
    if draws > _MOST_DRAWS:
        size = draws * 1e-6 * 24 / 1e3
        raise click.BadParameter(
            f"{draws:,} results would be as many files, {size:,.0f} GB for clouds of 1,000 points; give at most "
            f"{_MOST_DRAWS:,}",
            param_hint="--draws",
        )


def check_bits(bits: int | None) -> None:
    """Check --bits: None, or bits of a grid."""
    from ..geometry.grid import MOST_BITS

    if bits is not None and not 1 <= bits <= MOST_BITS:
        raise click.BadParameter(f"{bits} is not from 1 to {MOST_BITS}; a usual value is 12", param_hint="--bits")


def check_name(value: str, names: Iterable[str], option: str, what: str) -> None:
    """Check that `value` is one of `names`; the error suggests similar names."""
    known = list(names)
    if value in known:
        return
    raise click.BadParameter(f"unknown {what} '{value}'; {suggestion(value, known)}", param_hint=option)


def check_model(value: str, task: str | None = None, others: Sequence[str] = ()) -> Resolved:
    """Resolve a model or a checkpoint and check that it can do the task; its weights are not read.

    `others` are the names that the command also takes. They are suggested for misspelled ones.
    """
    from ..catalog import resolve

    with _as_bad("--model"):
        try:
            found = resolve(value)
        except OptionError as error:
            close = get_close_matches(value, others, 1)
            raise OptionError(f"unknown model '{value}'; did you mean {close[0]}?") if close else error from None
    if task is not None and task not in found.tasks:
        able = " and ".join(f"pcsr {name}" for name in found.tasks)
        raise click.BadParameter(f"'{value}' cannot {task}; it is a model for {able}", param_hint="--model")
    return found


def load_model(value: str, task: str, device: str | None = None) -> LoadedModel:
    """Load a model that can do the task, once for all files of a command."""
    from ..zoo import load

    found = check_model(value, task)
    check_device(device)
    with _as_bad("--model"):
        return load(found, device=device)


def check_device(device: str | None) -> None:
    """Check that a device is available; torch is imported only if it is not the CPU."""
    from ..devices import as_device

    with _as_bad("--device"):
        as_device(device)


@contextlib.contextmanager
def _as_bad(option: str) -> Iterator[None]:
    """Turn an `OptionError` into one that names the option of the command line."""
    try:
        yield
    except OptionError as error:
        raise click.BadParameter(str(error), param_hint=option) from None
