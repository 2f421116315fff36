"""The exponential moving average (EMA) of a network's weights.

It averages the model's whole network, which the checkpoint contains, not the parts of a recipe.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


class EMA:
    """An exponential moving average: average <- d average + (1 - d) weights, d = min(decay, (1 + t) / (10 + t)).

    The warm-up of d limits the influence of the initial weights. Buffers (running statistics) are copied.

    Attributes:
        module: a copy of the network with the averaged weights, in evaluation mode, without gradients.
        updates: t, the number of updates.
    """

    def __init__(self, network: torch.nn.Module, decay: float) -> None:
        self.module = copy.deepcopy(network).eval().requires_grad_(False)
        self.decay = decay
        self.updates = 0
        self._network = network
        self._names = {id(module): name for name, module in network.named_modules()}

    def counterpart(self, module: torch.nn.Module) -> torch.nn.Module | None:
        """The averaged copy of a module of the network; None for other modules."""
        name = self._names.get(id(module))
        return None if name is None else self.module.get_submodule(name)

    def update(self) -> None:
        """Update the average with the present weights."""
        import torch

        keep = min(self.decay, (1 + self.updates) / (10 + self.updates))
        self.updates += 1
        averages, weights = ([p.detach() for p in m.parameters()] for m in (self.module, self._network))
        with torch.no_grad():
            if averages:
                torch._foreach_lerp_(averages, weights, 1 - keep if self.decay > 0 else 1.0)
            for average, value in zip(self.module.buffers(), self._network.buffers(), strict=True):
                average.copy_(value)
