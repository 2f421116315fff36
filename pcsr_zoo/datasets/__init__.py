"""Data sets: test sets of the field, and what training reads."""

from __future__ import annotations

from .pugan import PUGANShape, PUGANTestSet
from .training_set import TrainingSet

__all__ = ["PUGANShape", "PUGANTestSet", "TrainingSet"]
