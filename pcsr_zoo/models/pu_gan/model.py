"""`pu-gan`: the network of Li et al., ICCV 2019, re-implemented from the paper, and `pu-gan-nodisc`, which is
trained without the discriminator.
"""

from __future__ import annotations

from typing import Any

from ...errors import OptionError
from ..patch_network import PatchNetwork, check_patch
from .paper import PAPER, PUBLISHED, PUBLISHED_WITHOUT


class PUGAN(PatchNetwork):
    """Makes r + 2 new points for each point of a patch, and keeps as many as asked for by farthest point sampling.

    Args:
        ratio: r, from 2 to 16. Larger ratios take several passes.
        points: of a patch, 8 to 4096.
        growth, blocks, neighbors, width, hidden: see `Generator`.
    """

    name = "pu-gan"
    summary = "the up-down-up unit, trained against a discriminator (PU-GAN, re-implemented from the paper)"
    source = "Li et al., ICCV 2019"
    ratios = (4,)
    paper = PAPER
    published = PUBLISHED

    def __init__(
        self,
        ratio: int = 4,
        points: int = 256,
        growth: int = 24,
        blocks: int = 4,
        neighbors: int = 16,
        width: int = 128,
        hidden: int = 64,
    ) -> None:
        from .network import Generator

        if not 2 <= ratio <= 16:
            raise OptionError(
                f"ratio must be from 2 to 16 for {self.name}, got {ratio}; larger ones take several passes"
            )
        check_patch(points)
        options = {"growth": growth, "blocks": blocks, "neighbors": neighbors, "width": width, "hidden": hidden}
        self.ratio, self.patch_size = ratio, points  # type: ignore[misc]
        self.arguments = {"ratio": ratio, "points": points, **options}
        self.network = Generator(ratio + 2, **options).eval()

    def recipe(self, **options: Any) -> Any:
        from .recipe import PUGANRecipe

        return PUGANRecipe(self.network, self.ratio, self.patch_size, **options)


class PUGANWithoutDiscriminator(PUGAN):
    """The row "PU-GAN (-)" of PointLIE's table 2: the generator, trained by the other terms of the loss alone."""

    name = "pu-gan-nodisc"
    summary = "PU-GAN's generator, trained without the discriminator (re-implemented from the paper)"
    published = PUBLISHED_WITHOUT

    def recipe(self, **options: Any) -> Any:
        return super().recipe(**{"gan": 0.0, **options})
