"""`pointlie`: sampling, recovery and upsampling with one invertible network.

PointLIE (Zhao et al., IJCAI 2021, see `paper`), re-implemented from the paper, which came without code. The network
halves a cloud s times; what a halving loses, the offsets from the points that stay to their discarded neighbors, goes
into the latent variable z through invertible blocks that train z to be noise. So z need not be kept: noise drawn anew,
through the blocks backwards, makes a sampled cloud dense again. Ours is that it takes whole clouds in one piece, see
`PointLIENetwork`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ...geometry.fps import farthest_point_sample
from ..base import Context, Learned, Recoverer, Sampler, Upsampler
from .paper import PAPER, PUBLISHED

if TYPE_CHECKING:
    import torch

_MORE = 1.5  # so many times the trained ratio at most in one pass: the candidates do not cover more evenly


class PointLIE(Learned, Recoverer, Sampler, Upsampler):
    """Places fewer points that can be recovered, and recovers them.

    Args:
        ratio: 2, 4, 8 or 16: how many times thinner and denser by training.
        blocks: M, point invertible blocks of each rescale layer; by default the paper's: 8 up to ratio 4, else 4.
        passes: how often z is drawn for one recovery; what all inverse passes give is there to choose from (ours).
        k, form, space, vectors, hidden, growth, dense, neighbors, prior, prior_hidden, prior_dense, temperature: see
            `PointLIENetwork`.

    Millions of parameters of ratios 4, 8, 16: 0.3, 0.3, 0.7 by default, for training on a CPU; 0.3, 0.3, 0.6 with
    vectors=True, prior="geometry"; 5.8, 4.7, 7.8 with hidden=216, growth=24, dense=4, whose mean is the paper's 6.1.
    """

    name = "pointlie"
    summary = "invertible network: samples, recovers and upsamples (PointLIE, re-implemented from the paper)"
    source = "Zhao et al., IJCAI 2021"
    kind = "whole cloud"
    ratios = (4, 8, 16)
    paper = PAPER
    published = PUBLISHED
    moves = True
    min_points = 2
    max_step = 4.0
    dtypes = ("float32", "float64")

    def __init__(
        self,
        ratio: int = 8,
        blocks: int | None = None,
        k: int = 3,
        form: str = "additive",
        space: str = "positions",
        hidden: int = 48,
        growth: int = 12,
        dense: int = 1,
        neighbors: int = 12,
        prior: str = "standard",
        prior_hidden: int = 64,
        prior_dense: int = 3,
        temperature: float = 0.05,
        vectors: bool = False,
        passes: int = 1,
    ) -> None:
        from ...errors import OptionError
        from .network import PointLIENetwork

        if ratio not in (2, 4, 8, 16):
            raise OptionError(f"pointlie is made for ratios of 2, 4, 8 and 16, got {ratio}")
        for option, value, most in (("k", k, 64), ("passes", passes, 1000)):  # a checkpoint from anywhere names them
            if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
                raise OptionError(f"{option} must be a whole number of at least 1 and at most {most}, got {value!r}")
        blocks = blocks if blocks is not None else 8 if ratio <= 4 else 4
        self.arguments = {
            "ratio": ratio,
            "blocks": blocks,
            "k": k,
            "form": form,
            "space": space,
            "hidden": hidden,
            "growth": growth,
            "dense": dense,
            "neighbors": neighbors,
            "prior": prior,
            "prior_hidden": prior_hidden,
            "prior_dense": prior_dense,
            "temperature": temperature,
            "vectors": vectors,
        }
        self.ratio, self.passes = float(ratio), passes
        options = {name: value for name, value in self.arguments.items() if name != "ratio"}
        self.arguments["passes"] = passes
        self.network = PointLIENetwork(int(ratio).bit_length() - 1, **options).eval()

    def recipe(self, **options: Any) -> Any:
        from .recipe import PointLIERecipe

        return PointLIERecipe(self.network, **options)

    def sampled_points(self, points: np.ndarray, n: int, context: Context) -> np.ndarray:
        """The sampled points P_hat of the forward pass.

        A cloud more than `ratio` times larger than n is thinned to that by farthest point sampling first; from a
        smaller one each layer keeps the same share.
        """
        import torch

        if n == len(points):
            return points
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
        found = [points] if self.passes > 1 else []
        with torch.inference_mode():
            sampled = self._tensor(points, context)
            for done in range(self.passes):
                noise[0, order] = context.temperature * draw.standard_normal(noise.shape[1:], np.float32)
                latent = network.draw(sampled, torch.from_numpy(noise).to(sampled))
                found.append(self._array(network.candidates(sampled, latent)))
                context.progress("recovery", (done + 1) / (self.passes + 1))
        return np.concatenate(found)

    def _on(self, context: Context) -> Any:
        return self.network.to(context.device)

    def _tensor(self, points: np.ndarray, context: Context) -> torch.Tensor:
        import torch

        return torch.from_numpy(points)[None].to(context.device, next(self.network.parameters()).dtype)

    @staticmethod
    def _array(points: torch.Tensor) -> np.ndarray:
        return points[0].cpu().numpy().astype(np.float64)
