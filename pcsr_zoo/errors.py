"""Errors with a message meant for the user: what is wrong, where, and what to do about it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class PcsrError(Exception):
    """Base of every error that this package raises on purpose. The command line prints it without a traceback."""


class CloudError(PcsrError, ValueError):
    """The points or attributes themselves cannot be used (empty, not finite, wrong shape)."""


class OptionError(PcsrError, ValueError):
    """An argument or option has a value that makes no sense; the message names it."""


class FileError(PcsrError, OSError):
    """A file is missing, broken, of an unknown kind, or cannot be written; the message names it."""

    def __str__(self) -> str:  # OSError would print a tuple
        return str(self.args[0]) if self.args else ""


class DependencyError(PcsrError, ImportError):
    """An optional library is needed and cannot be imported; the message says how to get it."""


class TrainingError(PcsrError, RuntimeError):
    """Training cannot go on (the loss is no number any more, the state on disk is another run's); says what to do."""


def suggestion(given: object, known: Iterable[str]) -> str:
    """The end of an error message on an unknown name: close matches among the known names, or all of them."""
    names = list(known)
    close = difflib.get_close_matches(str(given), names, n=3, cutoff=0.6)
    return f"did you mean {' or '.join(close)}?" if close else f"there are: {', '.join(names) or 'none'}"
