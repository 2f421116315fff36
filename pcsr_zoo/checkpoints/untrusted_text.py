"""Untrusted text in messages. Text of files and servers may be long, or contain terminal control sequences."""

from __future__ import annotations

from typing import Any


def quoted(value: Any) -> str:
    """A value as ASCII on one line, at most 80 characters; text is in quotes."""
    text = ascii(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def one_line(text: str) -> str:
    """A text on one line without control characters, at most 300 characters."""
    text = " ".join("".join(mark if mark.isprintable() else " " for mark in text[:1000]).split())
    return text if len(text) <= 300 else f"{text[:297]}..."
