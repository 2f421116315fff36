"""Errors whose message is for the user: it says what is wrong, where, and what to do."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

_SECRET = re.compile(r"(?<=://)[^/\s@]+@")


def printable(text: str) -> str:
    """Text for a terminal, a log or a card: control characters and direction marks are escaped, passwords are hidden.

    Names and notes of files, models and servers can contain anything. New lines and tabs are kept.
    """
    text = _SECRET.sub("***@", text)
    if text.isprintable():
        return text
    return "".join(mark if mark.isprintable() or mark in "\n\t" else ascii(mark)[1:-1] for mark in text)


class PcsrError(Exception):
    """Base class of the errors of this package. The command line prints them without a traceback."""

    def __init__(self, *args: object) -> None:
        super().__init__(*(printable(arg) if isinstance(arg, str) else arg for arg in args))


class CloudError(PcsrError, ValueError):
    """Points or attributes cannot be used: they are empty, NaN or infinite, or have the wrong shape."""


class OptionError(PcsrError, ValueError):
    """An argument or option has an invalid value; the message names it."""


class FileError(PcsrError, OSError):
    """A file is missing, broken, of an unknown format, or cannot be written; the message names it."""

    def __str__(self) -> str:  # OSError would print a tuple
        return str(self.args[0]) if self.args else ""


class DependencyError(PcsrError, ImportError):
    """A required optional library cannot be imported; the message says how to install it."""


class TrainingError(PcsrError, RuntimeError):
    """Training cannot continue, for example because the loss is NaN; the message says what to do."""


def suggestion(given: object, known: Iterable[str]) -> str:
    """The end of an error message about an unknown name: the closest known names, or all of them."""
    names = list(known)
    close = difflib.get_close_matches(str(given), names, n=3, cutoff=0.6)
    return f"did you mean {' or '.join(close)}?" if close else f"choose from: {', '.join(names) or 'none'}"
