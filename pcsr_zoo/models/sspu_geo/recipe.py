"""Training of `sspu-geo` on sparse clouds without ground truth, after SSPU-Net (Zhao et al., ACM MM 2021, sec. 3.3).

    L = shape EMD(FPS(D), S) + image L_ic(D, S) + hausdorff L_hd(D, S) + uniform L_un(D)
        + surface L_su(D, S) + cover L_co(D, S)

S is a patch of a sparse cloud, and D is its upsampled cloud. The first row is eq. 7 with the published weights 100, 30,
10 and 25. Lengths are in patch radii. The paper does not say which terms are sums and which are means; here all are
means. Two parts are ours:

- The network gets half of S (`given`), and D must cover all of S. With all of S as input, as in the paper, nothing
  defines the surface between the points; the withheld half does. The result does not depend on the density, because
  the network's lengths are in point spacings.
- L_su is the height of D over the surface that S samples, see `losses.surface`; L_co is the mean squared distance from
  S to the nearest point of D.

The loss uses only the sparse points of a patch, from a few fixed sparse clouds of each shape. Validation uses withheld
sparse points of the held-out shapes. Scores whose names begin with `truth` use the dense ground truth; they are only
reported.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ...datasets.generated.shapes import random_rotation
from ...datasets.patches import NONE, Augmentation, draw, surface_patch
from ...differentiable_rendering.cameras import cameras_around
from ...errors import OptionError
from ...geometry.elimination import eliminate
from ...geometry.fps import farthest_point_sample
from ...layers.picking import farthest_points, gather, nearest, spacing
from ...losses.earth_mover import earth_mover_loss
from ...losses.gaps import squared_gaps
from ...losses.hausdorff import hausdorff_loss
from ...losses.image import image_loss
from ...losses.surface import cloud_normals, heights, surface_loss
from ...losses.uniform import FRACTIONS, uniform_loss
from ..recipe import Examples, Recipe, weighted

if TYPE_CHECKING:
    from ...datasets.training_set import TrainingSet

_TRIANGLE = 0.75  # triangle size of the rendering unit in point spacings of S: the triangles just close the surface
_VERSIONS = 4  # sparse clouds of each shape
_VALIDATION_POINTS, _VALIDATION_SHAPES = 2048, 12


class SSPUGeoRecipe(Recipe):
    """The recipe of `sspu-geo`, which trains on patches of sparse clouds.

    Args:
        network: an `SSPUGeoNetwork`.
        ratio: r, the ratio of the points of D to the input points.
        points: input points of a patch.
        given: the share of S that is the input, at least 1 / r; 1 in the paper.
        keep: D contains the input points and new points selected among them, as at inference; False in the paper.
        clouds: the smallest and the largest size of the sparse clouds from which patches are cut.
        densities: shares of even, random and varying clouds, see `Augmentation`.
        views, pixels: number of cameras and side length of their images; the cameras are rotated at random in each
            step.
        shape, image, hausdorff, uniform, surface, cover: weights of the loss terms above.
    """

    def __init__(
        self,
        network: torch.nn.Module,
        ratio: int = 4,
        points: int = 256,
        given: float = 0.5,
        keep: bool = True,
        clouds: Sequence[int] = (1024, 4096),
        densities: Sequence[float] = (0.7, 0.15, 0.15),
        views: int = 2,
        pixels: int = 32,
        shape: float = 100.0,
        image: float = 30.0,
        hausdorff: float = 10.0,
        uniform: float = 25.0,
        surface: float = 200.0,
        cover: float = 500.0,
    ) -> None:
        clouds = list(clouds) if isinstance(clouds, Sequence) else [clouds, clouds]
        if not 1 / ratio <= given <= 1:
            raise OptionError(f"given must be from 1 / ratio, {1 / ratio:g}, to 1, got {given}")
        if points < 32 or len(clouds) != 2 or not 1 <= clouds[0] <= clouds[1]:
            raise OptionError(f"points must be at least 32, and clouds two ascending sizes, got {points} and {clouds}")
        if min(shape, image, hausdorff, uniform, surface, cover) < 0 or views < 1 or pixels < 1:
            raise OptionError("weights must not be negative; views and pixels must be at least 1")
        self.network, self.ratio, self.points, self.clouds = network, ratio, points, tuple(clouds)
        self.given, self.size = given, round(points / given)
        shares: Any = tuple(densities)
        self.augmentation = Augmentation(shares, noise=(0.0, 0.0), rotate=False, scale=(1.0, 1.0))
        self.cameras, self.pixels, self.keep = cameras_around(views), pixels, keep
        weights = {"shape": shape, "image": image, "hausdorff": hausdorff, "uniform": uniform, "surface": surface}
        weights |= {"cover": cover}
        self.weights = {name: value for name, value in weights.items() if value}
        if not self.weights:
            raise OptionError("at least one weight of the loss must be positive")
        self._known: tuple[Any, dict[tuple[int, int, int], np.ndarray]] = (None, {})

    def for_scan(self, points: int) -> dict[str, Any]:
        """See `Recipe.for_scan`.

        A region is used as a sparse cloud without thinning, so that its density is that of the scan. Only the loss
        terms that define the surface are used; the selection of new points makes them even. This is four times faster.
        """
        return {"clouds": [points, points], "shape": 0.0, "image": 0.0, "uniform": 0.0}

    def networks(self) -> dict[str, torch.nn.Module]:
        return {"network": self.network}

    def examples(self, data: TrainingSet, step: int, seed: int, first: int, count: int) -> Examples:
        patches = []
        for k in range(first, first + count):
            rng = np.random.default_rng([seed, step, k])
            cloud = self._sparse(data, int(rng.choice(data.train)), int(rng.integers(_VERSIONS)), seed)
            patches.append(cloud[surface_patch(cloud, int(rng.integers(len(cloud))), self._size(data))])
        return self._examples(np.stack(patches), step, seed, first)

    def _size(self, data: TrainingSet) -> int:
        return min(self.size, int(data.about["points"]))

    def _sparse(self, data: TrainingSet, shape: int, version: int, seed: int) -> np.ndarray:
        """Sparse cloud (N, 3) number `version` of a shape. The few clouds of a shape are the same in all steps."""
        if self._known[0] is not data:
            self._known = (data, {})
        found = self._known[1].get((shape, version, seed))
        if found is None:
            number = shape * _VERSIONS + version
            size = int(np.exp(np.random.default_rng([seed, number, 5]).uniform(*np.log(self.clouds))))
            size = min(max(size, self._size(data)), int(data.about["points"]))
            use = self.augmentation
            batch = draw(data, 0, seed, 1, "cloud", size, None, shapes=[shape], augmentation=use, first=number)
            found = self._known[1][shape, version, seed] = batch.sparse[0].astype(np.float64)
        return found

    def _examples(self, sparse: np.ndarray, step: int, seed: int, first: int) -> Examples:
        """The tensors of patches S (B, size, 3). Training uses nothing else."""
        cloud = torch.from_numpy(np.ascontiguousarray(sparse, np.float32))
        middle = (cloud.amin(dim=1, keepdim=True) + cloud.amax(dim=1, keepdim=True)) / 2
        cloud = cloud - middle
        cloud = cloud / cloud.norm(dim=2).amax(dim=1)[:, None, None].clamp(min=1e-9)
        side = spacing(cloud)
        number = round(self.given * cloud.shape[1])
        kept, shares = [], self.augmentation.densities
        for i, (one, gap) in enumerate(zip(cloud.double().numpy(), side.tolist(), strict=True)):
            rng = np.random.default_rng([seed, step, first + i, 3])
            order = rng.permutation(len(one))
            even = rng.random() < shares[0] / sum(shares)
            kept.append(order[eliminate(one[order], number, len(one) * gap**2)] if even else order[:number])
        turn = torch.from_numpy(random_rotation(np.random.default_rng([seed, step, 4])).astype(np.float32))
        return {
            "cloud": cloud,
            "normals": cloud_normals(cloud),
            "given": gather(cloud, torch.from_numpy(np.stack(kept))),
            "spacing": side,
            "turn": turn.expand(len(cloud), 3, 3).contiguous(),
        }

    def loss(
        self, part: str, networks: Mapping[str, torch.nn.Module], examples: Examples, done: float
    ) -> tuple[Tensor, dict[str, Tensor]]:
        cloud, side = examples["cloud"], examples["spacing"]
        given = examples["given"]
        places, rises = (values.flatten(1, 2) for values in networks[part](given))
        if not torch.isfinite(places).all():  # the trainer skips the step, and stops if this goes on
            diverged = places.sum() * torch.nan
            return diverged, {"loss": diverged.detach()}
        # L_su determines the heights of points, more exactly than the other terms, which determine their positions
        still = places - rises + rises.detach() if "surface" in self.weights else places
        dense = self._dense(still, given)
        area = cloud.shape[1] * side**2
        terms: dict[str, Tensor] = {}
        if "shape" in self.weights:
            few = gather(dense, farthest_points(dense, cloud.shape[1]))
            terms["shape"] = earth_mover_loss(few, cloud, squared=True, exact=False)
        if "image" in self.weights:
            cameras = self.cameras.to(cloud).turned(examples["turn"][0])
            terms["image"] = image_loss(dense, cloud, cameras, _TRIANGLE * side, self.pixels)
        if "hausdorff" in self.weights:
            terms["hausdorff"] = hausdorff_loss(dense, cloud)
        if "uniform" in self.weights:  # a sum over disks, in point spacings
            gap = (area / dense.shape[1]).sqrt().mean()
            terms["uniform"] = gap * uniform_loss(dense, area) / (sum(FRACTIONS) * dense.shape[1])
        if "surface" in self.weights:
            # its gradient is limited to the normal offsets, or all points would move to the given points
            terms["surface"] = surface_loss((places - rises).detach() + rises, cloud, examples["normals"])
        if "cover" in self.weights:
            terms["cover"] = squared_gaps(cloud, dense).mean()
        return weighted(self.weights, terms)

    @torch.no_grad()
    def validate(
        self, networks: Mapping[str, torch.nn.Module], data: TrainingSet, seed: int, device: torch.device
    ) -> dict[str, float]:
        """Scores of the upsampled clouds on withheld sparse points.

        `height`: mean height of the new points near the withheld quarter over the surface that the whole sparse cloud
        samples. `gap`: mean distance from a withheld point to the dense cloud. Both are in point spacings; `score` is
        4 height + gap. `truth_distance`: mean distance of the new points of a whole sparse cloud to the true surface,
        times 1000, in the unit frame. All are infinite if the network's output is.
        """
        network: Any = networks["network"]
        sums: dict[str, list[float]] = {"height": [], "gap": [], "truth_distance": []}
        size = min(_VALIDATION_POINTS, int(data.about["points"]))
        for k, shape in enumerate((data.held_out or data.train)[:_VALIDATION_SHAPES]):
            batch = draw(data, 0, seed, 1, "cloud", size, 1.0, shapes=[shape], augmentation=NONE, first=k)
            cloud = torch.from_numpy(batch.sparse).to(device)
            order = torch.from_numpy(np.random.default_rng([seed, k]).permutation(size)).to(device)
            left, given = cloud[:, order[: size // 4]], cloud[:, order[size // 4 :]]
            made, whole = network(given).positions.flatten(1, 2), network(cloud).positions.flatten(1, 2)
            if not (torch.isfinite(made).all() and torch.isfinite(whole).all()):
                return dict.fromkeys(("score", *sums), math.inf)  # the training has diverged
            new = self._new(made, given)
            normals, unit = cloud_normals(cloud), spacing(given)
            near = gather(new, nearest(new, left, 1)[:, :, 0])
            sums["height"].append(float((heights(near, cloud, normals) / unit).mean()))
            dense = torch.cat([given, new], dim=1)
            sums["gap"].append(float((squared_gaps(left, dense).sqrt() / unit).mean()))
            sums["truth_distance"].append(1000 * _to_truth(self._new(whole, cloud), data, shape))
        means = {name: float(np.mean(values)) for name, values in sums.items()}
        return {"score": 4 * means["height"] + means["gap"], **means}

    def _dense(self, made: Tensor, given: Tensor) -> Tensor:
        """D (B, at most r N, 3) from candidates (B, M, 3) and given points (B, N, 3), by farthest point sampling."""
        size = self.ratio * given.shape[1]
        if not self.keep:
            return gather(made, farthest_points(made, min(size, made.shape[1])))
        return torch.cat([given, self._new(made, given)], dim=1)

    def _new(self, made: Tensor, given: Tensor) -> Tensor:
        """New points (B, (r - 1) N, 3) selected from candidates (B, M, 3) among given points, as at inference."""
        count = min((self.ratio - 1) * given.shape[1], made.shape[1])
        there = made.detach()
        picks = [farthest_point_sample(some, count, selected=one) for some, one in zip(there, given, strict=True)]
        return gather(made, torch.stack(picks))


def _to_truth(points: Tensor, data: TrainingSet, shape: int) -> float:
    """Mean distance of points (1, N, 3) to the tangent planes of the nearest dense points of a shape."""
    truth = torch.from_numpy(data.points(shape))[None].to(points)
    normals = torch.from_numpy(data.normals(shape))[None].to(points)
    index = nearest(truth, points, 1)[:, :, 0]
    return float(((points - gather(truth, index)) * gather(normals, index)).sum(dim=2).abs().mean())
