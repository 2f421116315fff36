"""The learning rate as a function of the step, without a state to save."""

from __future__ import annotations

import math

from .settings import Settings


def rate_factor(settings: Settings, step: int) -> float:
    """The factor on the learning rate at a step (0, 1, ...).

    Warm-up: (step + 1) / warmup. Then "constant": 1; "cosine": from 1 to lr_end by half a cosine over the remaining
    steps, `cycles` times; "step": decay to the power of the number of milestones that are passed.
    """
    if step < settings.warmup:
        return (step + 1) / settings.warmup
    if settings.schedule == "cosine":
        left = max(1, settings.steps - settings.warmup)
        fraction = min(1.0, (step - settings.warmup) / left)
        fraction = 1.0 if fraction == 1.0 else fraction * settings.cycles % 1
        return settings.lr_end + (1 - settings.lr_end) * (1 + math.cos(math.pi * fraction)) / 2
    if settings.schedule == "step":
        return settings.decay ** sum(step >= milestone * settings.steps for milestone in settings.milestones)
    return 1.0
