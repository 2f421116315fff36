"""A small training file for the tests of patch networks."""

from __future__ import annotations

import pytest
from toy_training import write_toy_data

from pcsr_zoo.datasets import TrainingSet


@pytest.fixture(scope="session")
def data(tmp_path_factory) -> TrainingSet:
    """Three ellipsoids of 2048 points, one of them held out."""
    return TrainingSet.load(write_toy_data(tmp_path_factory.mktemp("patches") / "train.npz", 3, 2048))
