"""The training of MPU, level by level (Wang et al., CVPR 2019, sec. 3.1 and 3.3).

    L = mean_i xi(min_j |q'_i - q_j|^2) + mean_j xi(min_i |q'_i - q_j|^2)

xi(x) = x for distances below `far` point spacings, and 0 above, so that the borders of patches, which never agree, do
not count. The first `each` steps train the first level, the next ones the second with the first as it is, and so on.
From the second level on, the input is a random piece of what the level before has made. The ground truth then is the
same number of the nearest points of the dense patch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from ...errors import OptionError
from ...geometry.fps import farthest_point_sample
from ...layers.picking import gather, nearest, spacing
from ...losses.gaps import squared_gaps
from ..patch_recipe import PatchRecipe
from ..recipe import Examples

if TYPE_CHECKING:
    from ...datasets.training_set import TrainingSet


class MPURecipe(PatchRecipe):
    """The recipe of `mpu`.

    Args:
        network, ratio, points: see `PatchRecipe`, which also has the other options; `start` is not used.
        each: steps of each level; the last one takes the steps that are left.
        far: in point spacings of the ground truth; the paper says only that it is a multiple.
    """

    validation_patches: ClassVar[int] = 2

    def __init__(
        self, network: torch.nn.Module, ratio: int, points: int, each: int = 4000, far: float = 5.0, **options: Any
    ) -> None:
        super().__init__(network, ratio, points, **options)
        if each < 1 or not far > 0:
            raise OptionError(f"each must be at least 1, and far above 0; got {each} and {far}")
        self.each, self.far = each, far

    def ordered(self, dense: np.ndarray) -> np.ndarray:
        """In the order of farthest points, so that the first ones are an even patch of any density."""
        return dense[farthest_point_sample(dense, len(dense))]

    def examples(self, data: TrainingSet, step: int, seed: int, first: int, count: int) -> Examples:
        found = super().examples(data, step, seed, first, count)
        level = 1 + min(step // self.each, int(self.ratio).bit_length() - 2)
        found["dense"] = found["dense"][:, : self.points << level]
        return {**found, "level": torch.full((count,), level)}

    def loss(
        self, part: str, networks: Mapping[str, torch.nn.Module], examples: Examples, done: float
    ) -> tuple[Tensor, dict[str, Tensor]]:
        network: Any = networks[part]
        level, dense = int(examples["level"][0]), examples["dense"]
        made, center = network.train_level(examples["sparse"], level)
        loss, figures = self.supervised(made, self.around(dense, center, made.shape[1]), networks, done)
        return loss, {**figures, "level": examples["level"][0].float()}

    @staticmethod
    def around(dense: Tensor, center: Tensor, count: int) -> Tensor:
        """The `count` points (B, count, 3) of dense patches (B, m, 3) that are nearest to their centers (B, 1, 3)."""
        if count >= dense.shape[1]:
            return dense
        return gather(dense, nearest(dense, center, count)[:, 0])

    def supervised(
        self, made: Tensor, dense: Tensor, networks: Mapping[str, torch.nn.Module], done: float
    ) -> tuple[Tensor, dict[str, Tensor]]:
        limit = (self.far * spacing(dense))[:, None] ** 2
        there, back = squared_gaps(made, dense), squared_gaps(dense, made)
        loss = (there * (there < limit)).mean() + (back * (back < limit)).mean()
        return 1000 * loss, {"loss": 1000 * loss.detach()}
