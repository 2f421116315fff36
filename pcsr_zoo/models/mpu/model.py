"""`mpu`, also called 3PU: progressive upsampling by levels (Wang et al., CVPR 2019), re-implemented from the paper."""

from __future__ import annotations

from typing import Any, ClassVar

from ...errors import OptionError
from ..patch_network import PatchNetwork, check_patch
from .paper import PAPER, PUBLISHED


class MPU(PatchNetwork):
    """Doubles a patch level by level, each with a network of its own that sees ever smaller pieces.

    Args:
        ratio: 2, 4, 8 or 16.
        points: of a patch and of the pieces of the levels, 8 to 4096.
        growth, blocks, neighbors, hidden: see `Level`.
    """

    name = "mpu"
    aliases: ClassVar[tuple[str, ...]] = ("3pu",)
    summary = "levels of x2, each on smaller pieces (MPU, also called 3PU, re-implemented from the paper)"
    source = "Wang et al., CVPR 2019"
    ratios = (4, 16)
    paper = PAPER
    published = PUBLISHED

    def __init__(
        self,
        ratio: int = 4,
        points: int = 312,
        growth: int = 12,
        blocks: int = 4,
        neighbors: int = 16,
        hidden: int = 128,
    ) -> None:
        from .network import MPUNetwork

        if ratio not in (2, 4, 8, 16):
            raise OptionError(f"ratio must be 2, 4, 8 or 16 for mpu, got {ratio}")
        check_patch(points)
        self.ratio, self.patch_size = ratio, points  # type: ignore[misc]
        options = {"growth": growth, "blocks": blocks, "neighbors": neighbors, "hidden": hidden}
        self.arguments = {"ratio": ratio, "points": points, **options}
        self.network = MPUNetwork(int(ratio).bit_length() - 1, points, **options).eval()

    def recipe(self, **options: Any) -> Any:
        from .recipe import MPURecipe

        return MPURecipe(self.network, self.ratio, self.patch_size, **options)
