"""Distinguish arrays and tensors without importing torch."""

from __future__ import annotations

from typing import Any


def is_tensor(x: Any) -> bool:
    """Whether a value is a torch tensor."""
    return type(x).__module__.partition(".")[0] == "torch"
