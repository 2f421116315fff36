"""Networks that do something before they are trained."""

from __future__ import annotations

from typing import TypeVar

import torch

M = TypeVar("M", bound=torch.nn.Module)


def randomized(module: M, size: float = 1.0) -> M:
    """Weights of the usual size everywhere, the last layers included, which begin with zeros."""
    for parameter in module.parameters():
        if parameter.ndim == 2:
            torch.nn.init.normal_(parameter, std=size * parameter.shape[1] ** -0.5)
        else:
            parameter.data += 0.1 * torch.randn_like(parameter)
    return module
