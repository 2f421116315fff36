"""Training and fine-tuning: one engine for all networks. It does not import Open3D.

`train` and `finetune` are the functions. A `Recipe` has the model's networks, examples and losses; `Settings` has the
options of the optimization.
"""

from __future__ import annotations

from ..models.recipe import Recipe
from .api import finetune, train
from .settings import Settings

__all__ = ["Recipe", "Settings", "finetune", "train"]
