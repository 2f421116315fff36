"""What the training of supervised patch networks shares: pairs of patches, the first steps, the validation.

An example is a dense patch of a training shape, the ground truth, and a sparse subset of it, the input. Both are in the
frame of the pipeline: the input has mean 0 and radius 1. The augmentation is PU-GAN's (Li et al., ICCV 2019, sec. 4.1):
random rotation, scale from 0.8 to 1.2, Gaussian noise on the input of 0.01 of the radius, clipped at 0.03.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from ..datasets.generated.shapes import random_rotation
from ..datasets.patches import even_subset, surface_patch
from ..errors import OptionError
from ..geometry.fps import farthest_point_sample
from ..layers.picking import thinned
from ..losses.chamfer import chamfer_loss
from .recipe import Examples, Recipe

if TYPE_CHECKING:
    from ..datasets.training_set import TrainingSet

NOISE, CLIP = 0.01, 3.0  # in radii of the patch, and in standard deviations
SCALE = (0.8, 1.2)
INPUTS = ("even", "random")


class PatchRecipe(Recipe):
    """The recipe of a network of patches, without its loss.

    Args:
        network: maps (B, n, 3) to (B, n, c, 3), from which the result is selected by `thin`.
        ratio: r; the ground truth has r n points.
        points: n, input points of a patch.
        patches: patches of each training shape; as in the papers, these are the same throughout the training. They are
            kept in memory.
        span: range of the points of the training file that a patch covers, in multiples of r n.
        random: share of the examples whose input is a random subset of the dense patch. The others have its farthest
            points.
        noise: standard deviation of the noise on the input, in radii of the patch; it is clipped at three times that.
        start: as long as the new points are farther from their own input points than this, on average and in radii of
            the patch, the loss only asks that they lie on these (ours). From random weights, all new points are near
            one place, where assignments mean nothing and take seconds.

    Raises:
        OptionError: an option is invalid.
    """

    validation_patches: ClassVar[int] = 4  # of each held-out shape

    def __init__(
        self,
        network: torch.nn.Module,
        ratio: int,
        points: int,
        patches: int = 50,
        span: Sequence[float] = (2.0, 8.0),
        random: float = 0.5,
        noise: float = NOISE,
        start: float = 0.25,
    ) -> None:
        if len(span) != 2 or not 1 <= span[0] <= span[1]:
            raise OptionError(f"span must be two ascending numbers of at least 1, got {span!r}")
        if points < 8 or patches < 1 or min(noise, start) < 0 or not 0 <= random <= 1:
            raise OptionError(
                "points must be at least 8, patches at least 1, noise and start at least 0, random a share"
            )
        self.network, self.ratio, self.points = network, ratio, points
        self.patches, self.span, self.random = patches, (float(span[0]), float(span[1])), random
        self.noise, self.start = noise, start
        self._known: dict[tuple[int, int, int], np.ndarray] = {}

    def networks(self) -> dict[str, torch.nn.Module]:
        return {"network": self.network}

    # -- examples ---------------------------------------------------------------------------------------------------

    def examples(self, data: TrainingSet, step: int, seed: int, first: int, count: int) -> Examples:
        """`sparse` (B, n, 3) and `dense` (B, r n, 3)."""
        made = []
        for k in range(first, first + count):
            rng = np.random.default_rng([seed, step, k])
            dense = self.dense_patch(data, int(rng.choice(data.train)), int(rng.integers(self.patches)), seed)
            sparse = self.subset(dense, INPUTS[int(rng.random() < self.random)], rng)
            size = random_rotation(rng).T * np.exp(rng.uniform(*np.log(SCALE)))
            noise = self.noise * np.clip(rng.normal(size=sparse.shape), -CLIP, CLIP)
            sparse, dense = in_patch_frame(sparse, dense)
            made.append(((sparse + noise) @ size, dense @ size))
        return {name: _stacked(part) for name, part in zip(("sparse", "dense"), zip(*made, strict=True), strict=True)}

    def dense_patch(self, data: TrainingSet, shape: int, number: int, seed: int) -> np.ndarray:
        """A dense patch (r n, 3) of a shape: an even subset of a neighborhood along the surface. It is made once."""
        key = shape, number, seed
        if key not in self._known:
            rng = np.random.default_rng([seed, shape, number, 6])
            points, wanted = data.points(shape).astype(np.float64), self.ratio * self.points
            if len(points) < wanted:
                raise OptionError(
                    f"a patch has {wanted} dense points, but the shapes of the training file have {len(points)}; "
                    "build the file with more (pcsr data build --points)"
                )
            covered = min(len(points), round(wanted * np.exp(rng.uniform(*np.log(self.span)))))
            region = points[surface_patch(points, int(rng.integers(len(points))), covered)]
            area = data.shapes[shape].area * covered / len(points)
            self._known[key] = self.ordered(region[even_subset(region, wanted, area, rng)]).astype(np.float32)
        return self._known[key].astype(np.float64)

    def ordered(self, dense: np.ndarray) -> np.ndarray:
        """A dense patch, when it is made, in the order in which it is kept."""
        return dense

    def subset(self, dense: np.ndarray, kind: str, rng: np.random.Generator) -> np.ndarray:
        """The input (n, 3) of a dense patch: an "even" or a "random" subset."""
        if kind == "random":
            return dense[rng.choice(len(dense), self.points, replace=False)]
        return dense[farthest_point_sample(dense, self.points, start=int(rng.integers(len(dense))))]

    # -- loss -------------------------------------------------------------------------------------------------------

    def loss(
        self, part: str, networks: Mapping[str, torch.nn.Module], examples: Examples, done: float
    ) -> tuple[Tensor, dict[str, Tensor]]:
        made = networks[part](examples["sparse"])
        if not torch.isfinite(made).all():  # the trainer skips the step, and stops if this goes on
            diverged = made.sum() * torch.nan
            examples["made"] = made.detach()[:, :, : self.ratio].flatten(1, 2)
            return diverged, {"loss": diverged.detach()}
        result = self.thin(made)
        examples["made"] = result.detach()  # for other parts of the same step
        squares = (made - examples["sparse"][:, :, None]).square().sum(dim=3)
        if squares.detach().sqrt().mean() > self.start:
            return squares.mean(), {"loss": squares.detach().mean()}
        return self.supervised(result, examples["dense"], networks, done)

    @abstractmethod
    def supervised(
        self, made: Tensor, dense: Tensor, networks: Mapping[str, torch.nn.Module], done: float
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of new points (B, r n, 3) with the ground truth (B, r n, 3); other arguments as of `loss`."""

    def thin(self, made: Tensor) -> Tensor:
        """The result (B, r n, 3) of what the network makes (B, n, c, 3): all of it, or its farthest points if c > r."""
        return thinned(made, self.ratio).flatten(1, 2)

    # -- validation -------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def validate(
        self, networks: Mapping[str, torch.nn.Module], data: TrainingSet, seed: int, device: torch.device
    ) -> dict[str, float]:
        """Chamfer distances (x1000, both ways added) of patches of held-out shapes, in units of the patch's radius.

        - `score`: the mean of `even` and `random`.
        - `even`, `random`: from farthest points, and from random points, of the dense patch.
        """
        found: dict[str, list[float]] = {kind: [] for kind in INPUTS}
        for shape in data.held_out or data.train:
            truth = [self.dense_patch(data, shape, number, seed) for number in range(self.validation_patches)]
            for kind, values in found.items():
                rng = np.random.default_rng([seed, shape])
                pairs = [in_patch_frame(self.subset(dense, kind, rng), dense) for dense in truth]
                sparse, dense = (_stacked(part).to(device) for part in zip(*pairs, strict=True))
                values.append(1000 * float(chamfer_loss(self.result(networks["network"], sparse), dense)))
        means = {kind: float(np.mean(values)) for kind, values in found.items()}
        return {"score": sum(means.values()) / len(means), **means}

    def result(self, network: Any, sparse: Tensor) -> Tensor:
        """The upsampled patches (B, r n, 3) of patches (B, n, 3), for the validation."""
        return self.thin(network(sparse))


def in_patch_frame(sparse: np.ndarray, dense: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both (n, 3) and (m, 3) in the frame of the first: mean 0 and radius 1."""
    center = sparse.mean(axis=0)
    radius = np.linalg.norm(sparse - center, axis=1).max()
    return (sparse - center) / radius, (dense - center) / radius


def _stacked(arrays: Sequence[np.ndarray]) -> Tensor:
    return torch.from_numpy(np.stack(arrays).astype(np.float32))
