"""Training of SSPU-Net on patches of sparse clouds without ground truth (sec. 3.3, eq. 5 to 7).

    L = shape sum_i |d_i - psi(d_i)|^2 + image (1 / m) sum_j |I_S,j - I_D,j|_F^2
        + hausdorff L_hd(D, S) + uniform L_un(D)

S is a patch of a sparse cloud with mean 0 and radius 1, which is also the input. D is its upsampled cloud, d_i are the
points of FPS(D), psi is the bijection to S with the smallest sum of distances, and I are images of the differentiable
rendering unit. The weights are the printed ones, 100, 30, 10 and 25, and the sums are those of the paper. L_un is that
of PU-GAN, in patch radii; it is a mean over the disks of a size.

The paper leaves open the size of the images, the number of cameras, the softness of the rendering, the size of the
triangles, and the number of disks. Three more parts are ours:

- `start`: in the first steps, each new point learns to lie on its own input point, and L is not used. From random
  weights, all new points are near one place, where assignments and disks mean nothing.
- `warmup`: the weight of L_un then grows from 0, because its gradients are a thousand times too large as long as points
  lie on one another.
- The triangles of D have the opacity 1 / r. With equal opacities, r times as many triangles make a darker image, and
  L_ic prefers clouds with holes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ...datasets.generated.shapes import random_rotation
from ...datasets.patches import surface_patch
from ...differentiable_rendering.cameras import cameras_around
from ...errors import OptionError
from ...geometry.frames import UnitFrame
from ...layers.picking import farthest_points, gather, spacing
from ...losses.earth_mover import earth_mover_loss
from ...losses.gaps import squared_gaps
from ...losses.hausdorff import hausdorff_loss
from ...losses.image import image_loss
from ...losses.uniform import uniform_loss
from ..recipe import Examples, Recipe

if TYPE_CHECKING:
    from ...datasets.training_set import TrainingSet

_VALIDATION_PATCHES = 8  # of each held-out shape
_INNER = 0.9  # share of the patch radius that counts in validation


class SSPUNetRecipe(Recipe):
    """The recipe of `sspu-net`.

    Args:
        network: an `SSPUNetwork`.
        points: input points of a patch.
        patches: patches of each training shape; as in the paper, these are the same throughout the training.
        cloud: points of the sparse clouds that patches are cut from. They are drawn at random from the shapes.
        scale: bounds of the random scale of a patch, which is also rotated at random.
        cameras, pixels: m, and the side length of the images.
        views: cameras that a step uses, drawn from the m at random; all with 0.
        triangle: size of the triangles, in point spacings of S.
        start: share of the steps that make each new point lie on its own input point.
        warmup: share of the steps after them in which the weight of L_un grows linearly.
        shape, image, hausdorff, uniform: weights of the loss terms.

    Raises:
        OptionError: an option is invalid.
    """

    def __init__(
        self,
        network: torch.nn.Module,
        points: int = 256,
        patches: int = 195,
        cloud: int = 2048,
        scale: tuple[float, float] = (0.8, 1.2),
        cameras: int = 8,
        pixels: int = 32,
        views: int = 1,
        triangle: float = 1.5,
        start: float = 0.02,
        warmup: float = 0.1,
        shape: float = 100.0,
        image: float = 30.0,
        hausdorff: float = 10.0,
        uniform: float = 25.0,
    ) -> None:
        if points < 32 or patches < 1 or cloud < points:
            raise OptionError(
                f"points must be at least 32, patches 1, cloud as many as points; got {points}, {patches}, {cloud}"
            )
        if min(shape, image, hausdorff, uniform) < 0 or shape + image + hausdorff + uniform == 0:
            raise OptionError("the weights of the loss must not be negative, and one of them must be positive")
        if not (0 <= start < 1 and 0 <= warmup <= 1 and 0 < scale[0] <= scale[1]):
            raise OptionError("start and warmup must be shares of the steps, and scale two ascending positive numbers")
        if cameras < 1 or pixels < 1 or not 0 <= views <= cameras:
            raise OptionError("cameras and pixels must be at least 1, and views at most the cameras")
        net: Any = network
        self.network, self.ratio, self.points, self.patches, self.cloud = network, net.copies, points, patches, cloud
        self.scale, self.cameras, self.pixels, self.views = scale, cameras_around(cameras, max(scale)), pixels, views
        self.triangle, self.start, self.warmup = triangle, start, warmup
        self.weights = {"shape": shape, "image": image, "hausdorff": hausdorff, "uniform": uniform}

    def networks(self) -> dict[str, torch.nn.Module]:
        return {"network": self.network}

    def for_scan(self, points: int) -> dict[str, Any]:
        """See `Recipe.for_scan`. A region is used as a sparse cloud without thinning."""
        return {"cloud": points}

    def examples(self, data: TrainingSet, step: int, seed: int, first: int, count: int) -> Examples:
        made = []
        for k in range(first, first + count):
            rng = np.random.default_rng([seed, step, k])
            shape, patch = int(rng.choice(data.train)), int(rng.integers(self.patches))
            cloud = self._sparse(data, shape, seed)
            center = int(np.random.default_rng([seed, shape, patch, 7]).integers(len(cloud)))
            points = cloud[surface_patch(cloud, center, self.points)]
            points = UnitFrame.of(points).to_unit(points) @ random_rotation(rng).T
            made.append(points * np.exp(rng.uniform(*np.log(self.scale))))
        patches = torch.from_numpy(np.stack(made).astype(np.float32))
        views = np.random.default_rng([seed, step, 8]).permutation(len(self.cameras.center))
        return {
            "cloud": patches,
            "spacing": spacing(patches),
            "views": torch.from_numpy(views[: self.views or None].copy()).expand(count, -1),
        }

    def _sparse(self, data: TrainingSet, shape: int, seed: int) -> np.ndarray:
        """The sparse cloud (N, 3) of a shape, the same in all steps."""
        points = data.points(shape).astype(np.float64)
        return points[np.random.default_rng([seed, shape, 5]).permutation(len(points))[: self.cloud]]

    def loss(
        self, part: str, networks: Mapping[str, torch.nn.Module], examples: Examples, done: float
    ) -> tuple[Tensor, dict[str, Tensor]]:
        cloud, side = examples["cloud"], examples["spacing"]
        made = networks[part](cloud)
        if not torch.isfinite(made).all():  # the trainer skips the step, and stops if this goes on
            diverged = made.sum() * torch.nan
            return diverged, {"loss": diverged.detach()}
        if done < self.start:
            loss = (made - cloud[:, :, None]).square().sum(dim=(1, 2, 3)).mean()
            return loss, {"loss": loss.detach()}
        dense, size, weights = made.flatten(1, 2), cloud.shape[1], dict(self.weights)
        if self.warmup:
            weights["uniform"] *= min(1.0, (done - self.start) / self.warmup)
        terms: dict[str, Tensor] = {}
        if weights["shape"]:
            few = gather(dense, farthest_points(dense, size))
            terms["shape"] = size * earth_mover_loss(few, cloud, squared=True, exact=False)
        if weights["image"]:
            cameras = self.cameras.to(cloud).only(examples["views"][0])
            triangle, softness = self.triangle * side, {"opacity": 1 / self.ratio}
            pixels = 2 * self.pixels**2  # of a silhouette and a shading
            terms["image"] = pixels * image_loss(dense, cloud, cameras, triangle, self.pixels, **softness)
        if weights["hausdorff"]:
            terms["hausdorff"] = hausdorff_loss(dense, cloud)
        if weights["uniform"]:
            area = size * side**2
            gap = (area / dense.shape[1]).sqrt()  # `uniform_loss` is in point spacings
            terms["uniform"] = gap.mean() * uniform_loss(dense, area)
        loss = sum((weights[name] * term for name, term in terms.items()), start=made.sum() * 0)
        return loss, {name: term.detach() for name, term in {**terms, "loss": loss}.items()}

    @torch.no_grad()
    def validate(
        self, networks: Mapping[str, torch.nn.Module], data: TrainingSet, seed: int, device: torch.device
    ) -> dict[str, float]:
        """Scores of patches of held-out shapes that were upsampled, against the true surface of the patch.

        - `score`, `cd`: `there` + `back`, a Chamfer distance.
        - `there`: mean squared distance from the new points to the surface, x1000. `back`: from the surface to the new
          points. Where they end at the border of the patch, in the outer tenth of its radius, neither counts.

        All are in squares of the patch radius. They use the ground truth, which the training does not.
        """
        sums: dict[str, list[float]] = {"there": [], "back": []}
        for k, shape in enumerate(data.held_out or data.train):
            cloud, truth = self._sparse(data, shape, seed), data.points(shape).astype(np.float64)
            for center in np.random.default_rng([seed, k]).choice(len(cloud), _VALIDATION_PATCHES, replace=False):
                patch = cloud[surface_patch(cloud, int(center), self.points)]
                frame = UnitFrame.of(patch)
                given, whole = (
                    torch.from_numpy(frame.to_unit(points))[None].to(device, torch.float32) for points in (patch, truth)
                )
                made = networks["network"](given).flatten(1, 2)
                inner, near = (points[:, points[0].norm(dim=1) < _INNER] for points in (made, whole))
                there = squared_gaps(inner, whole).mean() if inner.shape[1] else torch.inf
                sums["there"].append(1000 * float(there))
                sums["back"].append(1000 * float(squared_gaps(near, made).mean()))
        means = {name: float(np.mean(values)) for name, values in sums.items()}
        distance = means["there"] + means["back"]
        return {"score": distance, "cd": distance, **means}
