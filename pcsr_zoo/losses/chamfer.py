"""The Chamfer distance as a loss."""

from __future__ import annotations

import torch
from torch import Tensor

from .gaps import squared_gaps


def chamfer_loss(a: Tensor, b: Tensor, unit: Tensor | float = 1.0) -> Tensor:
    """Mean over the batch of mean_i min_j |a_i - b_j|^2 + mean_j min_i |a_i - b_j|^2, over unit^2.

    Args:
        a: (B, N, 3).
        b: (B, M, 3).
        unit: a length, or one for each example (B,). Distances are divided by it.
    """
    both = squared_gaps(a, b).mean(dim=1) + squared_gaps(b, a).mean(dim=1)
    return (both / torch.as_tensor(unit, dtype=a.dtype, device=a.device) ** 2).mean()
