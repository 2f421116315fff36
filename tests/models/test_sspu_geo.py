"""`sspu-geo`: the contract, with the weights that ship."""

from __future__ import annotations

import pytest
from model_contract import UpsamplerContract

pytest.importorskip("torch")


class TestSSPUNetX4(UpsamplerContract):
    name = "sspu-geo-x4"
