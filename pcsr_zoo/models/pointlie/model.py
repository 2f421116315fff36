"""`pointlie`: sampling, recovery and upsampling with one invertible network.

PointLIE (Zhao et al., IJCAI 2021, see `paper`), re-implemented from the paper, whose authors published no code. The
network halves a cloud s times. Invertible blocks turn what a halving loses, the offsets from kept points to their
discarded neighbors, into a latent variable z, and training makes z Gaussian. Therefore z need not be stored: a sampled
cloud is recovered by drawing z from N(0, I) and running the blocks backwards. Ours is that the network sees positions
as differences only and takes whole clouds in one pass, see `PointLIENetwork`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ...geometry.fps import farthest_point_sample
from ..base import Context, Learned, Recoverer, Sampler, Upsampler
from .paper import PAPER, PUBLISHED

if TYPE_CHECKING:
    import torch

_FEW = 16  # fewer samples are no surface to the network, whose graph has 16 neighbors
_MORE = 1.5  # largest ratio of one pass, in trained ratios: with more, the candidates do not cover evenly


class PointLIE(Learned, Recoverer, Sampler, Upsampler):
    """Samples points that the same network recovers.

    Args:
        ratio: the trained ratio of sampling and recovery: 2, 4, 8 or 16.
        blocks: M, point invertible blocks of each rescale layer; by default the paper's: 8 up to ratio 4, else 4.
        k, form, space, graph, hidden, growth, dense, neighbors, temperature: see `PointLIENetwork`.

    Millions of parameters at ratios 4, 8 and 16: 0.4, 0.4, 1.1 by default, for training on a CPU; 5.5, 4.6, 8.3 with
    hidden=288, whose mean is the 24.6 MB (6.1 million) that the paper states.
    """

    name = "pointlie"
    summary = "invertible network: samples, recovers and upsamples (PointLIE, re-implemented from the paper)"
    source = "Zhao et al., IJCAI 2021"
    kind = "whole cloud"
    ratios = (4, 8, 16)
    paper = PAPER
    published = PUBLISHED
    moves = True
    figures: ClassVar[Mapping[str, str]] = {
        "score": "own; the mean of own and random where random points are part of the training",
        "own": "CD x1000, clouds at their own means, of a shape recovered from the network's samples and one draw of z",
        "fps": "the same from farthest points",
        "random": "the same from random points",
        "zero": "the same as own, with z = 0",
        "true": "the same as own, with the true z",
        "shift": "distance of the means of the shape and of own, in thousandths of the radius",
        "moved": "mean distance from a sample to the nearest of the farthest points, in spacings of these",
        "mean_far": "the mean of a channel of the true z: the one that is farthest from 0",
        "std_low": "the standard deviation of a channel of the true z: the least",
        "std": "the same: the median of the channels",
        "std_high": "the same: the greatest",
        "kurtosis": "the kurtosis of a channel of the true z: the median; a Gaussian has 3",
    }
    min_points = 2
    turns = False
    dtypes = ("float32", "float64")

    def __init__(
        self,
        ratio: int = 8,
        blocks: int | None = None,
        k: int = 3,
        form: str = "additive",
        space: str = "features",
        graph: str = "features",
        hidden: int = 64,
        growth: int = 12,
        dense: int = 1,
        neighbors: int = 16,
        temperature: float = 1.0,
    ) -> None:
        from ...errors import OptionError
        from .network import PointLIENetwork

        if ratio not in (2, 4, 8, 16):
            raise OptionError(f"ratio must be 2, 4, 8 or 16, got {ratio}")
        if isinstance(k, bool) or not isinstance(k, int) or not 1 <= k <= 64:  # an untrusted checkpoint may say so
            raise OptionError(f"k must be a whole number from 1 to 64, got {k!r}")
        options: dict[str, Any] = {
            "blocks": blocks if blocks is not None else 8 if ratio <= 4 else 4,
            "k": k,
            "form": form,
            "space": space,
            "graph": graph,
            "hidden": hidden,
            "growth": growth,
            "dense": dense,
            "neighbors": neighbors,
            "temperature": temperature,
        }
        self.ratio = self.max_step = float(ratio)  # type: ignore[misc]  # one inverse pass makes that many times more points
        self.arguments = {"ratio": ratio, **options}
        self.network = PointLIENetwork(int(ratio).bit_length() - 1, **options).eval()

    def recipe(self, **options: Any) -> Any:
        from .recipe import PointLIERecipe

        return PointLIERecipe(self.network, **options)

    def sampled_points(self, points: np.ndarray, n: int, context: Context) -> np.ndarray:
        """The sampled points P_hat of the forward pass.

        A cloud with more than `ratio` n points is first thinned to `ratio` n points by farthest point sampling. For a
        smaller one, each layer keeps the same share. Where the network moves points too far, because it never saw such
        clouds, the farthest points themselves are the result: above twice the trained share, and for few points.
        """
        import torch

        if n == len(points):
            return points
        if n < _FEW or 2 * len(points) < self.ratio * n:
            return points[farthest_point_sample(points, n)]
        context.progress("sampling", 0.0)
        if len(points) > n * self.ratio:
            points = points[farthest_point_sample(points, int(n * self.ratio))]
        network = self._on(context)  # outside of inference mode, or its parameters could not be trained
        with torch.inference_mode():
            sampled = network(self._tensor(points, context), n)
        context.progress("sampling", 1.0)
        return self._array(sampled.points)

    def select(self, points: np.ndarray, n: int, context: Context) -> np.ndarray:
        """The nearest points of the cloud to those of `sampled_points`, each only once."""
        from .snapping import nearest_distinct

        return nearest_distinct(points, self.sampled_points(points, n, context))

    def reconstruct(self, points: np.ndarray, n: int, context: Context) -> np.ndarray:
        """The inverse pass with drawn z; for more than 1.5 times the trained ratio, passes one after another."""
        context.progress("recovery", 0.0)
        most = min(_MORE * self.ratio, self.network.growth)
        while n > most * len(points):
            found = self._candidates(points, context)
            points = found[farthest_point_sample(found, int(self.ratio * len(points)))]
        found = self._candidates(points, context)
        context.progress("recovery", 1.0)
        return found[farthest_point_sample(found, n)]

    def candidates(self, points: np.ndarray, support: np.ndarray, count: int, context: Context) -> np.ndarray:
        return self._candidates(points, context)

    def _candidates(self, points: np.ndarray, context: Context) -> np.ndarray:
        """All candidates of one recovery; of several passes, the points themselves too.

        Noise is drawn in the order of the distances from the center: it does not depend on the order of the points.
        """
        import torch

        network = self._on(context)
        draw = np.random.default_rng(context.seed)
        noise = np.empty((1, len(points), network.latent_channels), np.float32)
        order = np.argsort(((points - points.mean(axis=0)) ** 2).sum(axis=1), kind="stable")
        noise[0, order] = context.temperature * draw.standard_normal(noise.shape[1:], np.float32)
        with torch.inference_mode():
            sampled = self._tensor(points, context)
            latent = network.temperature * torch.from_numpy(noise).to(sampled)
            found = self._array(network.candidates(sampled, latent))
        context.progress("recovery", 0.5)
        return found

    def _on(self, context: Context) -> Any:
        return self.network.to(context.device)

    def _tensor(self, points: np.ndarray, context: Context) -> torch.Tensor:
        import torch

        return torch.from_numpy(points)[None].to(context.device, next(self.network.parameters()).dtype)

    @staticmethod
    def _array(points: torch.Tensor) -> np.ndarray:
        return points[0].cpu().numpy().astype(np.float64)
