"""`samplenet` and `samplenet-pu-net`: learned sampling (Lang et al., CVPR 2020), re-implemented from the paper, and
trained together with PU-GAN or PU-Net, which recover.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from ...errors import OptionError
from ...geometry.knn import KNN
from ...geometry.overlapping_patches import cut
from ..base import Context, PublishedRow, Sampler
from ..patch_network import PatchNetwork
from ..pu_gan.model import PUGAN
from ..pu_net.model import PUNet
from .paper import PAPER, WITH_PU_GAN, WITH_PU_NET

_BATCH = 16  # dense patches at a time


class SampleNet(PatchNetwork, Sampler):
    """Proposes points for each patch of a dense cloud and takes the nearest points of the cloud.

    The task network, which was trained on such samples, recovers the cloud, and also upsamples others.

    Args:
        ratio: of the sampling: 4, 8 or 16.
        points: of a dense patch; the samples of a patch are `ratio` times fewer, at least 8.
        bottleneck: see `SampleNetwork`.
        task: further arguments of the task network's class.
    """

    name = "samplenet"
    summary = "a network proposes the samples, PU-GAN recovers; trained together (SampleNet, re-implemented)"
    source = "Lang et al., CVPR 2020"
    ratios = (4, 8, 16)
    paper = PAPER
    published: ClassVar[Mapping[str, PublishedRow]] = WITH_PU_GAN
    task_model: ClassVar[Any] = PUGAN

    def __init__(
        self, ratio: int = 4, points: int = 1024, bottleneck: int = 128, task: Mapping[str, Any] | None = None
    ) -> None:
        from .network import SampleNetwork

        if ratio not in (4, 8, 16):
            raise OptionError(f"ratio must be 4, 8 or 16 for {self.name}, got {ratio}")
        if points % ratio or not 8 * ratio <= points <= 4096:
            raise OptionError(f"points must be a multiple of the ratio, from {8 * ratio} to 4096, got {points}")
        count = points // ratio
        self.task = self.task_model(ratio=ratio, points=count, **(task or {}))
        self.ratio, self.dense_size, self.patch_size = ratio, points, count  # type: ignore[misc]
        self.arguments = {"ratio": ratio, "points": points, "bottleneck": bottleneck, "task": dict(task or {})}
        self.network = SampleNetwork(count, self.task.network, bottleneck).eval()

    def recipe(self, task: Mapping[str, Any] | None = None, **options: Any) -> Any:
        """`task` has the options of the task network's recipe; the others are those of `SampleNetRecipe`."""
        from .recipe import SampleNetRecipe

        return SampleNetRecipe(self.network, self.dense_size, self.ratio, self.task.recipe(**(task or {})), **options)

    def select(self, points: np.ndarray, count: int, context: Context) -> np.ndarray:
        import torch

        from .sampling import completed

        index = cut(points, self.dense_size, 1.0)
        network, tree = self.network.to(context.device), KNN(points)
        kind = next(network.parameters()).dtype
        found = []
        for begin in range(0, len(index), _BATCH):
            context.progress("sampling", begin / len(index))
            patches = points[index[begin : begin + _BATCH]]
            center = patches.mean(axis=1, keepdims=True)
            radius = np.linalg.norm(patches - center, axis=2).max(axis=1)[:, None, None]
            radius[radius == 0] = 1.0
            with torch.inference_mode():
                given = torch.from_numpy((patches - center) / radius).to(context.device, kind)
                proposed = network.propose(given).double().cpu().numpy()
            found.append(tree.query((proposed * radius + center).reshape(-1, 3), 1)[1].ravel())
        return completed(points, np.concatenate(found), count)


class SampleNetPUNet(SampleNet):
    """SampleNet with PU-Net as the task network."""

    name = "samplenet-pu-net"
    summary = "a network proposes the samples, PU-Net recovers; trained together (SampleNet, re-implemented)"
    published = WITH_PU_NET
    task_model = PUNet
