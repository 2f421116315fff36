"""Random numbers of torch during a training."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def seeded(fabric: Any, seed: int) -> Iterator[None]:
    """A context that seeds torch's random numbers, and restores their state afterwards."""
    import torch

    with torch.random.fork_rng(devices=[fabric.device] if fabric.device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield
