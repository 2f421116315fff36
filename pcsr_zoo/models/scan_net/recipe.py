"""The training of `scan-net`: some rings of a scan are withheld, and the rays of others are to be predicted.

    L = -log p(range) + return BCE(returns)

p is the mixture of Laplace distributions that the network gives for the logarithm of range.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from ...datasets.scan_set import ScanSet
from ...errors import OptionError
from ...geometry.spinning.hypotheses import hypotheses
from ..recipe import Examples, Recipe
from .features import image_features, ray_features
from .mixture import best_guess, log_likelihood
from .network import Mixture

_MOST_LOSS = 8.0  # of a ray; a few outliers would rule the gradient


class ScanNetRecipe(Recipe):
    """Every k-th ring of a scan is the input, and one withheld ring in each gap is the truth. No other truth is needed.

    Args:
        network: a `ScanNetwork`.
        columns: of a window.
        rings: the most rings of a window that are kept.
        spacings: the choices of k.
        returns: weight of the term of returns.
        losses: choices of the share of input points that are dropped.

    Raises:
        OptionError: an option is invalid.
    """

    data_class = ScanSet

    def __init__(
        self,
        network: torch.nn.Module,
        columns: int = 256,
        rings: int = 24,
        spacings: tuple[int, ...] | list[int] = (2, 3, 4, 8),
        returns: float = 1.0,
        losses: tuple[float, ...] | list[float] = (0.0, 0.02, 0.08),
    ) -> None:
        if not spacings or any(not isinstance(k, int) or k < 2 for k in spacings):
            raise OptionError(f"spacings must be whole numbers of at least 2, got {list(spacings)}")
        if columns < 16 or rings < 3:
            raise OptionError(f"columns must be at least 16 and rings at least 3, got {columns} and {rings}")
        self.network, self.columns, self.rings = network, columns, rings
        self.spacings, self.returns, self.losses = tuple(spacings), returns, tuple(losses)

    def networks(self) -> dict[str, torch.nn.Module]:
        return {"network": self.network}

    def examples(self, data: Any, step: int, seed: int, first: int, count: int) -> Examples:
        rng = np.random.default_rng([seed, step, first])
        pool = data.train or list(range(len(data)))
        scan = pool[int(rng.integers(len(pool)))]
        rows = len(data.scans[scan].elevations)
        fitting = [k for k in self.spacings if rows >= 2 * k + 1] or [2]
        spacing = fitting[int(rng.integers(len(fitting)))]
        kept = np.arange(int(rng.integers(spacing)), rows, spacing)
        if len(kept) > self.rings:
            start = int(rng.integers(len(kept) - self.rings + 1))
            kept = kept[start : start + self.rings]
        alike = data.alike(scan)
        chosen = [scan, *rng.choice(alike, count - 1)]
        windows = [self._window(data, int(index), kept, spacing, rng) for index in chosen]
        return {name: torch.from_numpy(np.stack([window[name] for window in windows])) for name in windows[0]}

    def _window(
        self, data: Any, index: int, kept: NDArray[np.int64], spacing: int, rng: np.random.Generator
    ) -> dict[str, NDArray[Any]]:
        scan = data.scans[index]
        width = min(self.columns, scan.ranges.shape[1])
        start = int(rng.integers(scan.ranges.shape[1] - width + 1))
        ranges = scan.ranges[:, start : start + width].astype(np.float64)
        lost = rng.random((len(kept), width)) < self.losses[int(rng.integers(len(self.losses)))]
        target = kept[:-1] + rng.integers(1, spacing, len(kept) - 1)
        return window(scan.elevations[kept], np.where(lost, 0, ranges[kept]), scan.elevations[target], ranges[target])

    def loss(
        self, part: str, networks: Mapping[str, torch.nn.Module], examples: Examples, done: float
    ) -> tuple[Tensor, dict[str, Tensor]]:
        terms = self._terms(examples, _run(networks[part], examples, turn=False))
        loss = terms["likelihood"] + self.returns * terms["returns"]
        return loss, {**{name: term.detach() for name, term in terms.items()}, "loss": loss.detach()}

    @staticmethod
    def _terms(examples: Examples, said: Mixture) -> dict[str, Tensor]:
        weights, shifts, scales, returned = said
        truth, some = examples["range"], examples["possible"].any(dim=-1)
        hit = some & (truth > 0)
        unlikely = -log_likelihood(truth.clamp(min=0.1).log(), examples["log"] + shifts, weights, scales)
        missed = F.binary_cross_entropy_with_logits(returned, (truth > 0).to(returned), reduction="none")
        return {
            "likelihood": (unlikely.clamp(max=_MOST_LOSS) * hit).sum() / hit.sum().clamp(min=1),
            "returns": (missed * some).sum() / some.sum().clamp(min=1),
        }

    def validate(
        self, networks: Mapping[str, torch.nn.Module], data: Any, seed: int, device: torch.device
    ) -> dict[str, float]:
        """Every second and every fourth ring of the held-out scans is kept.

        - `score`: the loss.
        - `near2`, `near4`: of the withheld rays that return, without the fifth of least confidence, the share within
          .1 m; with every second and every fourth ring kept.
        - `false2`, `false4`: of all withheld rays, without the fifth of least confidence, the share that returns
          nothing or that is farther off than .5 m.
        """
        found: dict[str, float] = {}
        losses: list[float] = []
        for spacing in (2, 4):
            errors, sure, truths = [], [], []
            for index in data.held_out or data.train:
                scan = data.scans[index]
                rows = len(scan.elevations)
                if rows < spacing + 1:
                    continue
                kept = np.arange(0, rows, spacing)
                target = kept[:-1] + 1 + np.arange(len(kept) - 1) % (spacing - 1)
                ranges = scan.ranges.astype(np.float64)
                made = window(scan.elevations[kept], ranges[kept], scan.elevations[target], ranges[target])
                examples = {name: torch.from_numpy(value)[None].to(device) for name, value in made.items()}
                said = _run(networks["network"], examples, scan.turn)
                terms = self._terms(examples, said)
                losses.append(float((terms["likelihood"] + self.returns * terms["returns"]).detach()))
                ranged, confidence = best_guess(examples["log"], examples["possible"], *said)
                some = examples["possible"].any(dim=-1)
                errors.append((ranged - examples["range"]).abs()[some].cpu())
                sure.append(confidence[some].cpu())
                truths.append(examples["range"][some].cpu())
            error, confidence, truth = torch.cat(errors), torch.cat(sure), torch.cat(truths)
            hit = truth > 0
            dared = confidence >= torch.quantile(confidence[hit][:1_000_000], 0.2)
            found[f"near{spacing}"] = float((error < 0.1)[hit & dared].float().mean())
            found[f"false{spacing}"] = float((~hit | (error > 0.5))[dared].float().mean())
        return {"score": float(np.mean(losses)), **found}


def _run(network: Any, examples: Examples, turn: bool) -> Mixture:
    found: Mixture = network(examples["image"], examples["ray"], examples["possible"], turn)
    return found


def window(
    rings: NDArray[np.float64],
    ranges: NDArray[np.float64],
    between: NDArray[np.float64],
    truth: NDArray[np.float64],
) -> dict[str, NDArray[Any]]:
    """What the network gets for kept rings, and the truth of rays in the gaps.

    Args:
        rings: (R,), elevations of kept rings.
        ranges: (R, W), 0 where nothing returned.
        between: (R - 1,), elevations of rays in the gaps.
        truth: (R - 1, W), their ranges, 0 where nothing returned.
    """
    found = ranges > 0
    inverse = np.where(found, 1 / np.maximum(ranges, 0.1), 1.0)
    count, width = ranges.shape
    elevations = np.broadcast_to(rings[:, None], ranges.shape)

    def around(values: NDArray[Any], fill: float) -> NDArray[Any]:
        padded = np.pad(values, ((1, 1), (0, 0)), constant_values=fill)
        return np.stack([padded[k : k + count - 1] for k in range(4)], axis=-1).reshape(-1, 4)

    rays = np.repeat(between, width)
    beside, there = around(elevations, 0.0), around(found, False)
    guesses = hypotheses(rays, beside, around(inverse, 1.0), there)
    shape = (count - 1, width, -1)
    return {
        "image": image_features(inverse, elevations, found),
        "ray": ray_features(rays, beside, guesses, there).reshape(shape),
        "possible": guesses.possible.reshape(shape),
        "log": -np.log(guesses.inverse).astype(np.float32).reshape(shape),
        "range": truth.astype(np.float32),
    }
