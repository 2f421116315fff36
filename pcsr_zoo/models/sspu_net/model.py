"""`sspu-net`: upsampling that is learned without any dense ground truth.

Zhao, Hui, Xie, "SSPU-Net: self-supervised point cloud upsampling via differentiable rendering", ACM MM 2021. A
re-implementation from the paper; its code never came. New points are made between neighbors, by weights that are
learned from the local shape; what it is taught is that the dense cloud, thinned or seen from outside, is the sparse one
again. Ours is that it takes whole clouds in one piece, see `SSPUNetwork`.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from ..base import Context, Learned, Paper, PublishedRow, Upsampler


class SSPUNet(Learned, Upsampler):
    """New points between each point and its neighbors.

    Args:
        ratio: 2 or 4: how many times denser in one pass, by training. Larger ratios go by steps.
        copies: new points for each point, of which those that cover best are taken, as PU-GAN does; by default twice
            the ratio (ours). The paper's is the ratio.
        width, growth, blocks, neighbors, hidden, expansion, cubic: see `SSPUNetwork`.
    """

    name = "sspu-net"
    summary = "points between neighbors, learned without ground truth (SSPU-Net, re-implemented from the paper)"
    source = "Zhao et al., ACM MM 2021"
    kind = "whole cloud"
    ratios = (4,)
    paper = Paper(
        method="SSPU-Net",
        venue="ACM MM 2021",
        bibtex="""@inproceedings{zhao2021sspunet,
  title     = {{SSPU-Net}: Self-Supervised Point Cloud Upsampling via Differentiable Rendering},
  author    = {Zhao, Yifan and Hui, Le and Xie, Jin},
  booktitle = {Proceedings of the 29th ACM International Conference on Multimedia},
  year      = {2021},
  note      = {arXiv:2108.00454}
}""",
    )
    published: ClassVar[dict[str, PublishedRow]] = {
        "up4": PublishedRow("SSPU-Net", 0.37, 3.47, 4.43, "SSPU-Net (ACM MM 2021), table 2")
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
        from .network import SSPUNetwork

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
            "neighbors": neighbors,
            "hidden": hidden,
            "expansion": expansion,
            "cubic": cubic,
        }
        self.max_step = float(ratio)  # type: ignore[misc]
        self.network = SSPUNetwork(copies, width, growth, blocks, neighbors, hidden, expansion, cubic).eval()

    def recipe(self, **options: Any) -> Any:
        from .recipe import SSPUNetRecipe

        return SSPUNetRecipe(self.network, int(self.arguments["ratio"]), **options)

    def candidates(self, points: np.ndarray, support: np.ndarray, count: int, context: Context) -> np.ndarray:
        import torch

        context.progress("network", 0.0)
        with torch.inference_mode():
            given = torch.from_numpy(np.ascontiguousarray(points, np.float64))[None].to(context.device)
            made = self.network.to(context.device)(given).places
        context.progress("network", 1.0)
        return made.flatten(0, 2).cpu().numpy()
