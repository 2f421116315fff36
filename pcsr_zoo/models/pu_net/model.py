"""`pu-net`: the first network for upsampling point clouds (Yu et al., CVPR 2018), re-implemented from the paper."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...errors import OptionError
from ..patch_network import PatchNetwork, check_patch
from .paper import PAPER, PUBLISHED


class PUNet(PatchNetwork):
    """Makes r new points for each point of a patch, from features of four levels of set abstraction.

    Args:
        ratio: r, from 2 to 16.
        points: of a patch, 8 to 4096.
        branch: channels of the two layers of each of the r branches.
        hidden: see `PUNetwork`.
    """

    name = "pu-net"
    summary = "features of several levels, a branch for each new point (PU-Net, re-implemented from the paper)"
    source = "Yu et al., CVPR 2018"
    ratios = (4,)
    paper = PAPER
    published = PUBLISHED

    def __init__(self, ratio: int = 4, points: int = 256, branch: Sequence[int] = (256, 128), hidden: int = 64) -> None:
        from .network import PUNetwork

        if not 2 <= ratio <= 16:
            raise OptionError(f"ratio must be from 2 to 16 for pu-net, got {ratio}; larger ones take several passes")
        check_patch(points)
        if len(branch) != 2:
            raise OptionError(f"branch must be two numbers of channels, got {branch!r}")
        self.ratio, self.patch_size = ratio, points  # type: ignore[misc]
        self.arguments = {"ratio": ratio, "points": points, "branch": list(branch), "hidden": hidden}
        self.network = PUNetwork(ratio, points, (branch[0], branch[1]), hidden).eval()

    def recipe(self, **options: Any) -> Any:
        from .recipe import PUNetRecipe

        return PUNetRecipe(self.network, self.ratio, self.patch_size, **options)
