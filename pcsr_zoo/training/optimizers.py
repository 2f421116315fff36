"""The optimizer of a part."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .settings import Settings

if TYPE_CHECKING:
    import torch


def make_optimizer(module: torch.nn.Module, part: str, settings: Settings) -> torch.optim.Optimizer:
    """AdamW or Adam for the parameters with gradients; without weight decay for biases, norms and other vectors."""
    import torch

    wanted = [parameter for parameter in module.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in wanted if p.ndim > 1], "weight_decay": settings.weight_decay},
        {"params": [p for p in wanted if p.ndim <= 1], "weight_decay": 0.0},
    ]
    kind = torch.optim.AdamW if settings.optimizer == "adamw" else torch.optim.Adam
    rate = settings.part_lr.get(part, settings.lr)
    # Fused, Adam divides by the scale of 16-bit gradients itself, which is too late for clipping them.
    fused = settings.precision != "16"
    return kind([group for group in groups if group["params"]], lr=rate, betas=settings.betas, fused=fused)
