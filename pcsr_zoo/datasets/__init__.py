"""Data sets: public test sets, and training files. The names are imported on first use."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .pugan import PUGANShape, PUGANTestSet
    from .training_set import TrainingSet

_WHERE = {"PUGANShape": "pugan", "PUGANTestSet": "pugan", "TrainingSet": "training_set"}

__all__ = ["PUGANShape", "PUGANTestSet", "TrainingSet"]


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        return getattr(importlib.import_module(f".{_WHERE[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
