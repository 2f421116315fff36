"""The adversarial training of PU-GAN (Li et al., ICCV 2019, sec. 3.3). Two parts are optimized in each step:

    generator:      L = gan L_G(Q') + emd EMD(Q', Q) + uniform L_uni(Q') + repulsion L_rep(Q')
    discriminator:  L_D(Q', Q)

Q' are the new points and Q is the ground truth; L_G and L_D are the least-squares losses of `losses.adversarial`. The
weights are the printed ones, 0.5, 100, 10 and 1. All terms are means, and lengths are radii of the patch. With gan = 0
there is no discriminator.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ...layers.discriminator import Discriminator
from ...layers.picking import spacing
from ...losses.adversarial import discriminator_loss, generator_loss
from ...losses.earth_mover import earth_mover_loss
from ...losses.repulsion import repulsion_loss
from ...losses.uniform import uniform_loss
from ..patch_recipe import PatchRecipe
from ..recipe import Examples, weighted

_JUDGE = "discriminator"


class PUGANRecipe(PatchRecipe):
    """The recipe of `pu-gan`.

    Args:
        network, ratio, points: see `PatchRecipe`, which also has the other options.
        gan, emd, uniform, repulsion: weights of the loss terms.
        warmup: share of the steps in which the weight of L_uni grows linearly (ours): its
            gradients are too large as long as points lie on one another.
        width: channels of the first layer of the discriminator.
    """

    def __init__(
        self,
        network: torch.nn.Module,
        ratio: int,
        points: int,
        gan: float = 0.5,
        emd: float = 100.0,
        uniform: float = 10.0,
        repulsion: float = 1.0,
        warmup: float = 0.1,
        width: int = 32,
        **options: Any,
    ) -> None:
        super().__init__(network, ratio, points, **options)
        self.weights = {"emd": emd, "uniform": uniform, "repulsion": repulsion, "gan": gan}
        self.warmup = warmup
        self.judge = Discriminator(width) if gan else None
        self.parts = ("network", _JUDGE) if gan else ("network",)  # type: ignore[misc]

    def networks(self) -> dict[str, torch.nn.Module]:
        return {"network": self.network, **({} if self.judge is None else {_JUDGE: self.judge})}

    def loss(
        self, part: str, networks: Mapping[str, torch.nn.Module], examples: Examples, done: float
    ) -> tuple[Tensor, dict[str, Tensor]]:
        if part != _JUDGE:
            return super().loss(part, networks, examples, done)
        judge = networks[_JUDGE]
        made, true = judge(examples["made"]), judge(examples["dense"])  # made by the generator in this step
        return discriminator_loss(made, true), {"made": made.detach().mean(), "true": true.detach().mean()}

    def supervised(
        self, made: Tensor, dense: Tensor, networks: Mapping[str, torch.nn.Module], done: float
    ) -> tuple[Tensor, dict[str, Tensor]]:
        side = spacing(dense)
        gap = float(side.mean())
        grown = min(1.0, done / self.warmup) if self.warmup else 1.0
        terms = {
            "emd": earth_mover_loss(made, dense, exact=False),
            "uniform": gap * uniform_loss(made, made.shape[1] * side**2),  # `uniform_loss` is in point spacings
            "repulsion": gap * repulsion_loss(made, side),
        }
        if _JUDGE in networks:
            terms["gan"] = generator_loss(networks[_JUDGE](made))
        return weighted({**self.weights, "uniform": grown * self.weights["uniform"]}, terms)
