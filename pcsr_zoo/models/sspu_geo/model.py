"""`sspu-geo`: upsampling that is trained without dense ground truth.

New points lie between neighbors, at positions that the network predicts from the local shape. The losses ask that the
dense cloud, when it is thinned or rendered, equals the sparse one. It is ours, and starts from SSPU-Net (Zhao et al.,
ACM MM 2021): local frames and whole clouds in one pass take the place of patches, see `SSPUGeoNetwork`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from ..base import Context, Learned, Upsampler
from ..sspu_net.paper import PAPER, PUBLISHED


class SSPUGeo(Learned, Upsampler):
    """New points between each point and its neighbors.

    Args:
        ratio: 2 or 4, the ratio of one pass. Larger ratios take several passes.
        copies: candidates for each point, from which farthest point sampling selects, as in PU-GAN; by default twice
            the ratio (ours). In the paper, it is the ratio.
        width, growth, blocks, neighbors, hidden, expansion, cubic: see `SSPUGeoNetwork`.
    """

    name = "sspu-geo"
    summary = "points between neighbors in local frames, trained without ground truth (SSPU-Net's losses)"
    source = "ours, after Zhao et al., ACM MM 2021"
    kind = "whole cloud"
    ratios = (4,)
    paper = PAPER
    published = PUBLISHED
    figures: ClassVar[Mapping[str, str]] = {
        "score": "4 height + gap",
        "height": "mean height of new points over the surface that the input samples, in point spacings",
        "gap": "mean distance from a withheld input point to the dense cloud, in point spacings",
        "truth_distance": "mean distance of the new points to the true surface, times 1000, in the unit frame",
    }
    min_points = 2
    dtypes = ("float32", "float64", "bfloat16", "float16")

    def __init__(
        self,
        ratio: int = 4,
        copies: int | None = None,
        width: int = 96,
        growth: int = 12,
        blocks: int = 4,
        neighbors: int = 12,
        hidden: int = 96,
        expansion: str = "neighbors",
        cubic: bool = True,
    ) -> None:
        from ...errors import OptionError
        from .network import SSPUGeoNetwork

        if ratio not in (2, 4):
            raise OptionError(f"ratio must be 2 or 4 for sspu-geo, got {ratio}; larger ratios take several passes")
        copies = 2 * ratio if copies is None else copies
        if copies < ratio:
            raise OptionError(f"copies must be at least the ratio, {ratio}, got {copies}")
        self.arguments = {
            "ratio": ratio,
            "copies": copies,
            "width": width,
            "growth": growth,
            "blocks": blocks,
            "neighbors": neighbors,
            "hidden": hidden,
            "expansion": expansion,
            "cubic": cubic,
        }
        self.max_step = float(ratio)  # type: ignore[misc]
        self.network = SSPUGeoNetwork(copies, width, growth, blocks, neighbors, hidden, expansion, cubic).eval()

    def recipe(self, **options: Any) -> Any:
        from .recipe import SSPUGeoRecipe

        return SSPUGeoRecipe(self.network, int(self.arguments["ratio"]), **options)

    def candidates(self, points: np.ndarray, support: np.ndarray, count: int, context: Context) -> np.ndarray:
        import torch

        context.progress("network", 0.0)
        network = self.network.to(context.device)  # outside of inference mode, or its parameters could not be trained
        with torch.inference_mode():
            given = torch.from_numpy(np.ascontiguousarray(points, np.float64))[None].to(context.device)
            made = network(given).positions
        context.progress("network", 1.0)
        return made.flatten(0, 2).cpu().numpy()
