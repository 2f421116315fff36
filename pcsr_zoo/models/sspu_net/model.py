"""`sspu-net`: upsampling that is trained without dense ground truth.

SSPU-Net (Zhao et al., ACM MM 2021, see `paper`), re-implemented from the paper, whose authors published no code. New
points are mixed from the features of a point and its neighbors. The losses ask that the dense cloud, when it is thinned
or rendered, equals the sparse one. The network processes patches of 256 points.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ..base import MERGES
from ..patch_network import PatchNetwork
from .paper import PAPER, PUBLISHED


class SSPUNet(PatchNetwork):
    """Makes r new points for each point of a patch.

    Args:
        ratio: r, 2 or 4.
        merge: how patches are merged, "fps" or "owner", see `pipelines.patches.merging`; the paper does not say.
        width, growth, blocks, neighbors, hidden, expansion: see `SSPUNetwork`.
    """

    name = "sspu-net"
    summary = "new points of patches, trained without ground truth (SSPU-Net, re-implemented from the paper)"
    source = "Zhao et al., ACM MM 2021"
    ratios = (4,)
    paper = PAPER
    published = PUBLISHED
    figures: ClassVar[Mapping[str, str]] = {
        "score": "cd",
        "cd": "there + back",
        "there": "mean squared distance from the new points of held-out patches to the true surface, x1000, radius 1",
        "back": "the same from the true surface to the new points",
    }

    def __init__(
        self,
        ratio: int = 4,
        merge: str = "fps",
        width: int = 64,
        growth: int = 12,
        blocks: int = 4,
        neighbors: int = 16,
        hidden: int = 64,
        expansion: str = "neighbors",
    ) -> None:
        from ...errors import OptionError
        from .network import SSPUNetwork

        if ratio not in (2, 4):
            raise OptionError(f"ratio must be 2 or 4 for sspu-net, got {ratio}; larger ratios take several passes")
        if merge not in MERGES:
            raise OptionError(f"merge '{merge}' is unknown; use {' or '.join(MERGES)}")
        options: dict[str, Any] = {
            "width": width,
            "growth": growth,
            "blocks": blocks,
            "neighbors": neighbors,
            "hidden": hidden,
            "expansion": expansion,
        }
        self.ratio, self.merge = ratio, merge  # type: ignore[misc]
        self.arguments = {"ratio": ratio, "merge": merge, **options}
        self.network = SSPUNetwork(ratio, **options).eval()

    def recipe(self, **options: Any) -> Any:
        from .recipe import SSPUNetRecipe

        return SSPUNetRecipe(self.network, **options)
