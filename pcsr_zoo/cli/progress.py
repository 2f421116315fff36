"""A progress bar on standard error, if that is a terminal."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from ..errors import printable
from .app import session


class Progress(Protocol):
    """A function that is called with the name of a stage and the fraction that is done, 0 to 1."""

    def __call__(self, stage: str, fraction: float) -> None: ...


@contextmanager
def progress_bar(title: str) -> Iterator[Progress | None]:
    """Show a progress bar; None with --quiet, or if standard error is not a terminal."""
    if session().quiet or sys.stderr is None or not sys.stderr.isatty():
        yield None
        return
    from tqdm import tqdm

    title = printable(title)

    layout = "{desc} {percentage:3.0f}%|{bar}| {elapsed}<{remaining}"
    # 80 x 24 if the terminal does not report its size; tqdm would print nothing.
    size = shutil.get_terminal_size()
    room = {"ncols": size.columns, "nrows": size.lines}
    with tqdm(total=1.0, desc=title, bar_format=layout, leave=False, file=sys.stderr, **room) as bar:

        def update(stage: str, fraction: float) -> None:
            bar.set_description_str(f"{title}: {stage}", refresh=False)
            bar.n = min(max(fraction, 0.0), 1.0)
            bar.refresh()

        yield update
