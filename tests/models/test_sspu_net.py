"""`sspu-net`: the contract, with weights that have learned nothing, as no trained ones come with the class."""

from __future__ import annotations

from typing import Any

import pytest
from model_contract import UpsamplerContract

torch = pytest.importorskip("torch")

from pcsr_zoo.models import registry  # noqa: E402
from pcsr_zoo.models.sspu_net.model import SSPUNet  # noqa: E402


class Seeded(SSPUNet):
    """Always the same untrained weights, those of the last layers large enough to matter."""

    def __init__(self, **arguments: Any) -> None:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            super().__init__(**{"width": 16, "growth": 4, "blocks": 2, "hidden": 16, **arguments})
            for last in (self.network.beside[-1], self.network.above[-1]):
                torch.nn.init.normal_(last.weight, std=0.05)


@pytest.fixture(autouse=True)
def seeded(monkeypatch):
    monkeypatch.setitem(registry._registered, "sspu-net", Seeded)


class TestSSPUNet(UpsamplerContract):
    name = "sspu-net"
    size = 200
