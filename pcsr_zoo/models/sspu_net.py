"""`sspu-net`: upsampling that is learned without any dense ground truth.

Zhao, Hui, Xie, "SSPU-Net: self-supervised point cloud upsampling via differentiable rendering", ACM MM 2021. A
re-implementation from the paper; its code never came. New points are made between neighbours, by weights that are
learned from the local shape; what it is taught is that the dense cloud, thinned or seen from outside, is the sparse one
again. Ours is that it takes whole clouds in one piece, see `SSPUNetwork`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .base import Context, Learned, Upsampler


class SSPUNet(Learned, Upsampler):
    """New points between each point and its neighbours.

    Args:
        ratio: 2 or 4: how many times denser in one pass, by training. Larger ratios go by steps.
        copies: new points for each point, of which those that cover best are taken, as PU-GAN does; by default twice
            the ratio (ours). The paper's is the ratio.
        width, growth, blocks, neighbours, hidden, expansion, cubic: see `SSPUNetwork`.
    """

    name = "sspu-net"
    summary = "points between neighbours, learned without ground truth (SSPU-Net, re-implemented from the paper)"
    source = "Zhao et al., ACM MM 2021"
    min_points = 2
    dtypes = ("float32", "float64", "bfloat16", "float16")

    def __init__(
        self,
        ratio: int = 4,
        copies: int | None = None,
        width: int = 96,
        growth: int = 12,
        blocks: int = 4,
        neighbours: int = 12,
        hidden: int = 96,
        expansion: str = "neighbours",
        cubic: bool = True,
    ) -> None:
        from ..errors import OptionError
        from .sspu_net_network import SSPUNetwork

        if ratio not in (2, 4):
            raise OptionError(f"sspu-net is made for ratios of 2 and 4, got {ratio}; larger ones go by steps")
        copies = 2 * ratio if copies is None else copies
        if copies < ratio:
            raise OptionError(f"copies must be at least the ratio, {ratio}, got {copies}")
        self.arguments = {
            "ratio": ratio,
            "copies": copies,
            "width": width,
            "growth": growth,
            "blocks": blocks,
            "neighbours": neighbours,
            "hidden": hidden,
            "expansion": expansion,
            "cubic": cubic,
        }
        self.max_step = float(ratio)  # type: ignore[misc]
        self.network = SSPUNetwork(copies, width, growth, blocks, neighbours, hidden, expansion, cubic).eval()

    def recipe(self, **options: Any) -> Any:
        from .sspu_net_recipe import SSPUNetRecipe

        return SSPUNetRecipe(self.network, int(self.arguments["ratio"]), **options)

    def propose(self, points: np.ndarray, anchors: np.ndarray, wanted: int, context: Context) -> np.ndarray:
        import torch

        context.progress("network", 0.0)
        with torch.inference_mode():
            given = torch.from_numpy(np.ascontiguousarray(points, np.float64))[None].to(context.device)
            made = self.network.to(context.device)(given).places
        context.progress("network", 1.0)
        return made.flatten(0, 2).cpu().numpy()
