"""A stranger's words in a message: what a file or a server says may be long, or hold what steers a terminal."""

from __future__ import annotations

from typing import Any


def quoted(value: Any) -> str:
    """A value, in quotes if it is text: in ASCII, on one line, and short."""
    text = ascii(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def one_line(text: str) -> str:
    """A library's message, which may quote somebody: without control characters, and short."""
    text = " ".join("".join(mark if mark.isprintable() else " " for mark in text[:1000]).split())
    return text if len(text) <= 300 else f"{text[:297]}..."
