"""Distinguish arrays and tensors without importing torch."""

from __future__ import annotations

from typing import Any

import numpy as np


def is_tensor(x: Any) -> bool:
    """Whether a value is a torch tensor."""
    return type(x).__module__.partition(".")[0] == "torch"


def namespace(x: Any) -> Any:
    """The module of functions for an array or a tensor: numpy or torch."""
    if not is_tensor(x):
        return np
    import torch

    return torch
