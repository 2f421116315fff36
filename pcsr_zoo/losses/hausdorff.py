"""The Hausdorff distance as a loss (SSPU-Net's L_hd)."""

from __future__ import annotations

import torch
from torch import Tensor

from .gaps import squared_gaps


def hausdorff_loss(a: Tensor, b: Tensor, unit: Tensor | float = 1.0) -> Tensor:
    """Mean over the batch of max_i min_j |a_i - b_j|^2 + max_j min_i |a_i - b_j|^2, over unit^2.

    Args:
        a: (B, N, 3).
        b: (B, M, 3).
        unit: a length, or one for each example (B,). Distances are divided by it.
    """
    both = squared_gaps(a, b).amax(dim=1) + squared_gaps(b, a).amax(dim=1)
    return (both / torch.as_tensor(unit, dtype=a.dtype, device=a.device) ** 2).mean()
