"""A stand-in for a model that samples by moving points and recovers them, with a network, for the tests of both."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from pcsr_zoo.models import registry
from pcsr_zoo.models.base import Context, Learned, Recoverer, Sampler


class Halving(Learned, Recoverer, Sampler):
    """Places points a little towards the center; recovers by noise around them, which its one weight scales."""

    name = "halving"
    summary = "a stand-in"
    source = "nobody, 2000"
    moves = True
    trained = True  # its one weight is given

    def __init__(self, ratio: float = 8, inwards: float = 0.01) -> None:
        self.arguments: dict[str, Any] = {"ratio": ratio, "inwards": inwards}
        self.ratio, self.inwards = ratio, inwards
        self.network = torch.nn.Linear(1, 1, bias=False)
        with torch.no_grad():
            self.network.weight.fill_(0.02)

    def select(self, points: np.ndarray, count: int, context: Context) -> np.ndarray:
        return np.random.default_rng(context.seed).permutation(len(points))[:count]

    def sampled_points(self, points: np.ndarray, count: int, context: Context) -> np.ndarray:
        assert np.linalg.norm(points, axis=1).max() == pytest.approx(1)  # the unit frame
        return (1 - self.inwards) * super().sampled_points(points, count, context)

    def reconstruct(self, points: np.ndarray, count: int, context: Context) -> np.ndarray:
        assert np.linalg.norm(points, axis=1).max() == pytest.approx(1)
        context.progress("drawing", 0.5)
        noise = np.random.default_rng(context.seed).normal(size=(count, 3))
        return points[np.arange(count) % len(points)] + context.temperature * self.network.weight.item() * noise


@pytest.fixture
def halving(monkeypatch: pytest.MonkeyPatch) -> type[Halving]:
    """The class, known to the registry for the length of a test."""
    monkeypatch.setattr("pcsr_zoo.models.registry._registered", dict(registry._registered))
    registry.register_model(Halving)
    return Halving
