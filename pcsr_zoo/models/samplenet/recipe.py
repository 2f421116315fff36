"""The joint training of SampleNet and its task network (Lang et al., CVPR 2020, sec. 3.3).

    L = L_task + alpha (mean_g d(g, P)^2 + max_g d(g, P)^2 + mean_p d(p, G)^2)

P is a dense patch and G are the points that the sampling network proposes. The task network gets G, projected softly
onto P, and L_task is that of its own recipe, with P as the ground truth. The temperature of the projection falls from
1 to 0.01 radii of the patch; the paper learns it, with a loss that makes it fall.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from ...errors import OptionError
from ...layers.picking import farthest_points, gather, nearest
from ...losses.gaps import squared_gaps
from ..patch_recipe import PatchRecipe
from ..recipe import Examples
from .network import SampleNetwork, soft_projection

_HOT, _COLD = 1.0, 0.01  # temperatures, in radii of the patch
_SETTLED = 0.8  # share of the steps after which the temperature stays
_SPREAD = 2.0  # spacings of G that a patch may reach beyond it, on average, when the task network begins


class SampleNetRecipe(PatchRecipe):
    """The recipe of `samplenet`.

    Args:
        network: a `SampleNetwork`.
        points: of a dense patch; see `PatchRecipe`, which also has the other options; `random` is not used.
        ratio: of the sampling.
        task: the recipe of the task network.
        alpha: weight of the terms of G.
        group: points onto which a proposed point is projected.
    """

    validation_patches: ClassVar[int] = 4

    def __init__(
        self,
        network: SampleNetwork,
        points: int,
        ratio: int,
        task: PatchRecipe,
        alpha: float = 30.0,
        group: int = 8,
        **options: Any,
    ) -> None:
        super().__init__(network, 1, points, **{"noise": 0.0, **options})
        if alpha < 0 or group < 1:
            raise OptionError(f"alpha must be at least 0, and group at least 1; got {alpha} and {group}")
        self.task, self.rate, self.alpha, self.group = task, ratio, alpha, group
        self.parts = task.parts  # type: ignore[misc]

    def networks(self) -> dict[str, torch.nn.Module]:
        return {**self.task.networks(), "network": self.network}

    def subset(self, dense: np.ndarray, kind: str, rng: np.random.Generator) -> np.ndarray:
        return dense

    def loss(
        self, part: str, networks: Mapping[str, torch.nn.Module], examples: Examples, done: float
    ) -> tuple[Tensor, dict[str, Tensor]]:
        if part != "network":
            return self.task.loss(part, networks, examples["task"], done)
        network: Any = networks[part]
        dense = examples["dense"]
        proposed = network.propose(dense)
        there, back = squared_gaps(proposed, dense), squared_gaps(dense, proposed)
        simplify = there.mean() + there.amax(dim=1).mean() + back.mean()
        loss, figures = self.alpha * simplify, {"simplify": simplify.detach()}
        count = proposed.shape[1]
        spread = _SPREAD * (torch.pi / count) ** 0.5
        ready = bool(back.detach().sqrt().mean() < spread) and bool(torch.isfinite(proposed).all())
        if ready:
            given = soft_projection(proposed, dense, self.temperature(done), self.group)
        else:  # the sampling network has to learn first where the patch is; the task network gets farthest points
            given = gather(dense, farthest_points(dense, count))
        sparse, truth = in_frame_of(given, dense)
        examples["task"] = {"sparse": sparse, "dense": truth}
        value, more = self.task.loss(part, networks, examples["task"], done)
        examples["task"] = {name: one.detach() for name, one in examples["task"].items()}  # for other parts
        return loss + value, {**figures, **more, "loss": (loss + value).detach()}

    def supervised(
        self, made: Tensor, dense: Tensor, networks: Mapping[str, torch.nn.Module], done: float
    ) -> tuple[Tensor, dict[str, Tensor]]:
        return self.task.supervised(made, dense, networks, done)

    @staticmethod
    def temperature(done: float) -> float:
        """The temperature after a share `done` of the steps: a geometric fall."""
        return float(_HOT * (_COLD / _HOT) ** min(1.0, done / _SETTLED))

    def result(self, network: Any, sparse: Tensor) -> Tensor:
        """Dense patches (B, N, 3), sampled as in use (the nearest points, duplicates replaced) and recovered."""
        count = sparse.shape[1] // self.rate
        near = nearest(sparse, network.propose(sparse), 1)[:, :, 0]
        given = torch.stack([_distinct(one, index, count) for one, index in zip(sparse, near, strict=True)])
        center = given.mean(dim=1, keepdim=True)
        radius = (given - center).norm(dim=2).amax(dim=1)[:, None, None]
        return self.task.thin(network((given - center) / radius)) * radius + center


def in_frame_of(given: Tensor, dense: Tensor) -> tuple[Tensor, Tensor]:
    """Both (B, n, 3) and (B, m, 3) in the frame of the first: mean 0 and radius 1."""
    center = given.mean(dim=1, keepdim=True)
    radius = (given - center).norm(dim=2).amax(dim=1)[:, None, None].clamp(min=1e-6)
    return (given - center) / radius, (dense - center) / radius


def _distinct(points: Tensor, index: Tensor, count: int) -> Tensor:
    """`count` distinct points (count, 3) of (N, 3): those of `index`, completed by farthest points."""
    from .sampling import completed

    found = completed(points.cpu().numpy().astype(np.float64), index.cpu().numpy(), count)
    return points[torch.from_numpy(found).to(points.device)]
