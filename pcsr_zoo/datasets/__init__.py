"""Data sets: public test sets, and training files."""

from __future__ import annotations

from .pugan import PUGANShape, PUGANTestSet
from .training_set import TrainingSet

__all__ = ["PUGANShape", "PUGANTestSet", "TrainingSet"]
