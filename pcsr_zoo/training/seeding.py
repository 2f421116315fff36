"""torch's random numbers, for the time of a training."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def seeded(fabric: Any, seed: int) -> Iterator[None]:
    """torch's random numbers, seeded, and afterwards as they were."""
    import torch

    with torch.random.fork_rng(devices=[fabric.device] if fabric.device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield
