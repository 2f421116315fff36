"""Training and fine-tuning: one engine for every network. Imports neither Open3D nor anything compiled but torch.

`train` and `finetune` are the calls; `Recipe` is what a model brings along, `Settings` what the user decides.
"""

from __future__ import annotations

from ..models.recipe import Recipe
from .api import finetune, train
from .settings import Settings

__all__ = ["Recipe", "Settings", "finetune", "train"]
