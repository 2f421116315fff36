"""The training of PU-Net (Yu et al., CVPR 2018, sec. 3.4):  L = emd EMD(Q', Q) + repulsion L_rep(Q').

Q' are the new points and Q is the ground truth. The weights are the printed ones, 100 and 1. Both terms are means, in
radii of the patch. The range h of L_rep is the point spacing of the ground truth, about the paper's 0.03 in its patches
of 4096 points.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ...losses.earth_mover import earth_mover_loss
from ...losses.repulsion import repulsion_loss
from ..patch_recipe import PatchRecipe
from ..recipe import weighted


class PUNetRecipe(PatchRecipe):
    """The recipe of `pu-net`.

    Args:
        network, ratio, points: see `PatchRecipe`, which also has the other options.
        emd, repulsion: weights of the loss terms.
    """

    def __init__(
        self,
        network: torch.nn.Module,
        ratio: int,
        points: int,
        emd: float = 100.0,
        repulsion: float = 1.0,
        **options: Any,
    ) -> None:
        super().__init__(network, ratio, points, **options)
        self.weights = {"emd": emd, "repulsion": repulsion}

    def supervised(
        self, made: Tensor, dense: Tensor, networks: Mapping[str, torch.nn.Module], done: float
    ) -> tuple[Tensor, dict[str, Tensor]]:
        gap = (torch.pi / dense.shape[1]) ** 0.5  # the point spacing of a disk of radius 1
        terms = {
            "emd": earth_mover_loss(made, dense, exact=False),
            "repulsion": gap * repulsion_loss(made, gap),
        }
        return weighted(self.weights, terms)
