"""The training of PointLIE: forward and inverse path together (sec. 3.3).

    L = sample L_sam + emd EMD(Q', Q) + repulsion L_rep(Q') + uniform L_uni(Q') + latent L_dis
        + candidates CD(Q*, Q)

The first line is eq. 7 to 10 of the paper, the second is ours. L_sam = EMD(P_hat, FPS(Q)); Q' is recovered from P_hat
with z drawn from N(0, I). L_dis is the cross entropy of z and N(0, I); with `volume` it is the negative log-likelihood
of the flow, which adds the log-determinant. All lengths are in point spacings. The paper gives no weights: these are
ours.

Farthest point sampling selects Q' from Q*, all candidates of the inverse path, and prefers outliers. The terms of Q'
have no gradient for that selection: with these terms alone, a network improves for one or two thousand steps and then
becomes worse in these very terms. The term of Q* prevents that.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ...datasets.patches import NONE, Augmentation, draw
from ...errors import OptionError
from ...layers.picking import farthest_points, gather, nearest, spacing
from ...losses.chamfer import chamfer_loss
from ...losses.earth_mover import earth_mover_loss
from ...losses.gaussian import gaussian_cross_entropy
from ...losses.repulsion import repulsion_loss
from ...losses.uniform import uniform_loss
from ..recipe import Examples, Recipe, weighted

if TYPE_CHECKING:
    from ...datasets.training_set import TrainingSet

INPUTS = ("own", "fps", "random")
_VALIDATION_POINTS = 8192


class PointLIERecipe(Recipe):
    """Patches of evenly spread points that are sampled and recovered.

    Args:
        network: a `PointLIENetwork`.
        points: N, points of a patch; by default 1024, and 2048 for ratio 16.
        two_way: whether both paths are trained (eq. 9). With False, the inverse path alone is trained on `inputs` that
            are not the network's own: the first rows of the paper's table 3.
        inputs: input of the inverse path: the network's "own" samples, "fps" or "random" points of the patch.
        random: share of steps whose inverse path gets random points of the patch instead (ours), because upsampling is
            measured on such points.
        sample, emd, candidates, repulsion, uniform, latent: weights of the terms of the loss, see the module.
        volume: whether the latent term contains the log-determinant. With False it is eq. 10 as printed, which z can
            lower by shrinking.
        whole: share of steps that take a whole shape of N points in place of a patch (ours). A patch has few
            orientations, and its recovery always has its own count: patches alone do not teach a network to give
            surfaces of all orientations the same density.
        whole_after: number of steps at the start that take patches alone.

    Raises:
        OptionError: an option is invalid.
    """

    def __init__(
        self,
        network: torch.nn.Module,
        points: int | None = None,
        two_way: bool = True,
        inputs: str = "own",
        random: float = 0.0,
        sample: float = 0.3,
        emd: float = 0.3,
        candidates: float = 2.0,
        repulsion: float = 0.1,
        uniform: float = 0.01,
        latent: float = 0.01,
        volume: bool = True,
        whole: float = 0.5,
        whole_after: int = 0,
    ) -> None:
        net: Any = network
        self.ratio = 2 ** len(net.layers)
        points = max(1024, 128 * self.ratio) if points is None else points
        if isinstance(points, bool) or not isinstance(points, int):
            raise OptionError(f"points must be a whole number, got {points!r}")
        if inputs not in INPUTS:
            raise OptionError(f"inputs '{inputs}' is unknown; use {', '.join(INPUTS[:-1])} or {INPUTS[-1]}")
        if inputs == "own" and not two_way:
            raise OptionError("inputs 'own' are what the forward path makes: they need two_way; use fps or random")
        if points < 16 * self.ratio or points % self.ratio:
            raise OptionError(
                f"points must be a multiple of the ratio, {self.ratio}, and at least 16 of them; got {points}"
            )
        for name, share in (("random", random), ("whole", whole)):
            if not 0 <= share <= 1:
                raise OptionError(f"{name} must be a share from 0 to 1, got {share}")
        if isinstance(whole_after, bool) or not isinstance(whole_after, int) or whole_after < 0:
            raise OptionError(f"whole_after must be a number of steps, got {whole_after!r}")
        self.random = 1.0 if inputs == "random" else float(random)
        self.network, self.points, self.two_way, self.inputs = network, points, two_way, inputs
        self.weights = {"sample": sample, "latent": latent} if two_way else {}
        self.weights |= {"emd": emd, "candidates": candidates}
        self.weights |= {"repulsion": repulsion, "uniform": uniform}
        self.volume, self.whole, self.whole_after = volume, float(whole), whole_after
        self.augmentation = Augmentation(densities=(1.0, 0.0, 0.0), noise=(0.0, 0.0))

    def networks(self) -> dict[str, torch.nn.Module]:
        return {"network": self.network}

    def examples(self, data: TrainingSet, step: int, seed: int, first: int, count: int) -> Examples:
        n = self.points // self.ratio
        whole = step >= self.whole_after and np.random.default_rng([seed, step, 4]).random() < self.whole
        kind = "cloud" if whole else "patch"
        batch = draw(data, step, seed, count, kind, n, float(self.ratio), augmentation=self.augmentation, first=first)
        return self._examples(torch.from_numpy(batch.dense), step, seed, first)

    def _examples(self, dense: Tensor, step: int, seed: int, first: int) -> Examples:
        examples = {"dense": dense, "picks": farthest_points(dense, dense.shape[1] // 2), "spacing": spacing(dense)}
        if np.random.default_rng([seed, step, 3]).random() < self.random:
            n = dense.shape[1] // self.ratio
            draws = [np.random.default_rng([seed, step, first + i, 2]) for i in range(len(dense))]
            chosen = [rng.choice(dense.shape[1], n, replace=False) for rng in draws]
            examples["random"] = torch.from_numpy(np.stack(chosen))
        return examples

    def loss(
        self, part: str, networks: Mapping[str, torch.nn.Module], examples: Examples, done: float
    ) -> tuple[Tensor, dict[str, Tensor]]:
        network: Any = networks[part]
        dense, side = examples["dense"], examples["spacing"]
        size = dense.shape[1]
        n = size // self.ratio
        fps = gather(dense, examples["picks"][:, :n])
        terms: dict[str, Tensor] = {}
        if self.two_way:
            sampled = network(dense, n, examples["picks"])
            terms["sample"] = earth_mover_loss(sampled.points, fps, side * self.ratio**0.5)
            given = sampled.points
            terms["latent"] = gaussian_cross_entropy(sampled.latent)
            if self.volume:
                terms["latent"] = terms["latent"] - sampled.volume.mean()
        if "random" in examples:
            given = gather(dense, examples["random"])
        elif self.inputs == "fps":
            given = fps
        noise = torch.randn(len(dense), n, network.latent_channels, device=dense.device)
        found = network.candidates(given, network.temperature * noise)
        recovered = gather(found, farthest_points(found, size))
        terms["emd"] = earth_mover_loss(recovered, dense, side, exact=False)
        if self.weights["candidates"]:
            terms["candidates"] = chamfer_loss(found, dense, side)
        terms["repulsion"] = repulsion_loss(recovered, side)
        terms["uniform"] = uniform_loss(recovered, size * side**2)
        return weighted(self.weights, terms)

    def validate(
        self, networks: Mapping[str, torch.nn.Module], data: TrainingSet, seed: int, device: torch.device
    ) -> dict[str, float]:
        """Chamfer distances (x1000, both ways added) of whole held-out shapes that were recovered, in units of the
        shape's radius, each cloud at its own mean. The benchmark's convention also divides each cloud by its own
        radius, which a single point decides: too noisy to select weights.

        - `score`: `own`, or the mean of `own` and `random` if random points are trained for.
        - `own`: from the network's own samples (FPS samples if it is not trained on its own), `fps`: from FPS samples,
          `random`: from random points; each with one draw of z.
        - `zero`: from the same samples as `own` with z = 0, `true`: from the network's own samples with the true z.
        - `shift`: distance of the means of the shape and of `own`'s recovered cloud, in thousandths of the radius. It
          is large if the density depends on where a surface faces.
        - `moved`: mean distance of the network's own samples to the nearest points of FPS(Q), in its point spacings.
        - `mean_far`, `std_low`, `std`, `std_high`, `kurtosis`: of the channels of the true z, the mean that is farthest
          from 0, the least, median and greatest standard deviation, and the median kurtosis (3 for a Gaussian).
        """
        network: Any = networks["network"]
        sums: dict[str, list[Tensor]] = {}
        latents: list[Tensor] = []
        size = min(_VALIDATION_POINTS, int(data.about["points"])) // self.ratio * self.ratio
        n = size // self.ratio
        if n < 16:
            raise OptionError(
                f"the training file has {size} points for each shape; validation at ratio {self.ratio} "
                f"needs {16 * self.ratio}: build it with more (pcsr data build --points)"
            )
        for k, shape in enumerate(data.held_out or data.train):
            cloud = draw(data, 0, seed, 1, "cloud", n, float(self.ratio), shapes=[shape], augmentation=NONE, first=k)
            dense = torch.from_numpy(cloud.dense).to(device)
            sampled = network(dense, n)
            fps = gather(dense, sampled.picks[:, :n])
            rng = np.random.default_rng([seed, k])
            noise = torch.from_numpy(rng.standard_normal((1, n, network.latent_channels), np.float32)).to(device)
            some = torch.from_numpy(rng.choice(size, (1, n), replace=False)).to(device)
            z = noise * network.temperature
            truth = _centered(dense)
            radius = truth.norm(dim=2).amax()
            own = sampled.points if self.inputs == "own" else fps
            for name, given, latent in (
                ("own", own, z),
                ("fps", fps, z),
                ("random", gather(dense, some), z),
                ("zero", own, torch.zeros_like(noise)),
                ("true", sampled.points, sampled.latent),
            ):
                unit = sampled.unit if name == "true" else None
                recovered = network.recover(given, latent, size, unit)
                sums.setdefault(name, []).append(1000 * chamfer_loss(_centered(recovered), truth, radius))
                if name == "own":
                    shift = (recovered.mean(dim=1) - dense.mean(dim=1)).norm() / radius
                    sums.setdefault("shift", []).append(1000 * shift)
            away = sampled.points - gather(fps, nearest(fps, sampled.points, 1)[:, :, 0])
            sums.setdefault("moved", []).append(away.norm(dim=2).mean() / sampled.unit[0])
            latents.append(sampled.latent[0])
        found = {name: float(torch.stack(values).mean()) for name, values in sums.items()}
        return {
            "score": (found["own"] + found["random"]) / 2 if self.random else found["own"],
            **found,
            **_spread(latents),
        }


def _centered(points: Tensor) -> Tensor:
    return points - points.mean(dim=1, keepdim=True)


def _spread(latents: list[Tensor]) -> dict[str, float]:
    """Statistics of the channels of z over all shapes, see `PointLIERecipe.validate`."""
    z = torch.cat(latents).double()
    mean, std = z.mean(dim=0), z.std(dim=0)
    kurtosis = ((z - mean) / std).pow(4).mean(dim=0)
    low, middle, high = (float(value) for value in (std.min(), std.median(), std.max()))
    far = float(mean[mean.abs().argmax()])
    return {"mean_far": far, "std_low": low, "std": middle, "std_high": high, "kurtosis": float(kurtosis.median())}
