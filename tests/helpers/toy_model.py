"""A small model with a network, for the tests of what all such models share."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from pcsr_zoo.models import registry
from pcsr_zoo.models.base import Context, Learned, Upsampler


class Toy(Learned, Upsampler):
    """Each point moved by a network of its position."""

    name = "toy"
    summary = "a toy"
    source = "nobody, 2000"

    def __init__(self, width: int = 8, layers: int = 1, scale: float = 0.01) -> None:
        self.arguments: dict[str, Any] = {"width": width, "layers": layers, "scale": scale}
        self.scale = scale
        inner = [torch.nn.Linear(width, width) for _ in range(layers - 1)]
        self.network = torch.nn.Sequential(
            torch.nn.Linear(3, width), torch.nn.BatchNorm1d(width), *inner, torch.nn.Linear(width, 3)
        )

    def candidates(self, points: np.ndarray, support: np.ndarray, count: int, context: Context) -> np.ndarray:
        self.network.eval()
        with torch.no_grad():
            step = self.network(torch.from_numpy(points).float()).double().numpy()
        return np.concatenate([points + self.scale * factor * step for factor in (1, 2, 3)])


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> type[Toy]:
    """The class, known to the registry for the length of a test."""
    monkeypatch.setattr("pcsr_zoo.models.registry._registered", dict(registry._registered))
    registry.register_model(Toy)
    return Toy


def trained(seed: int = 0, **arguments) -> Toy:
    """A toy with weights and statistics of its own."""
    torch.manual_seed(seed)
    model = Toy(**arguments)
    model.network.train()
    model.network(torch.randn(20, 3) * 2 + 1)  # moves the running statistics
    return model


def same(a: Toy, b: Toy) -> bool:
    x, y = a.network.state_dict(), b.network.state_dict()
    return x.keys() == y.keys() and all(torch.equal(x[key], y[key]) for key in x)
