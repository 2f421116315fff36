"""Training of `jetnet`: positions near sparse clouds are moved, and compared with the true surface.

The loss of a position is e + 4 e^2, where e is its distance to the surface after the move, in point spacings. (The
first term matches P2F, the second one the Chamfer and Hausdorff distances.) Moves that are longer than the distance to
the nearest sheet are penalized. A coverage term asks for a moved position near each sample of the true surface. A
separate head predicts e (Laplace likelihood). Noisy clouds have a smaller weight.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ...datasets.patches import NONE, Augmentation, Batch, draw
from ...errors import OptionError
from ...geometry.knn import KNN, knn
from ...geometry.noise import CLEAN, estimate_noise
from ...geometry.patches import NEAR, Patches, fit_patches
from ..recipe import Examples, Recipe
from .candidates import training_positions
from .surface import VIEWS

if TYPE_CHECKING:
    from ...datasets.training_set import TrainingSet

_SITES = 4096  # samples of the true surface in the coverage term
_VALIDATION_NOISE = 0.25  # in point spacings
_PATCHES = "patches."
_TRUTH = ("truth", "truth_normals", "truth_gap")


class JetNetRecipe(Recipe):
    """The recipe of `jetnet`: whole clouds of random size, density and noise, with query positions like at inference.

    Args:
        network: a `JetNetwork`.
        points: the smallest and the largest number of points of a cloud.
        queries: number of query positions of each cloud.
        noise: range of the noise in point spacings, for half of the clouds.
        densities: shares of even, random and varying clouds, see `Augmentation`.
        square, excess, cover, error: weights of the loss terms e^2, excess length, coverage and predicted error.
        again: share of the positions that are displaced a little after their move and moved again, as in relaxation.
            This teaches the network not to move points that are on the surface.
        cover_again: weight of the coverage term of the second moves.
    """

    def __init__(
        self,
        network: torch.nn.Module,
        points: Sequence[int] = (300, 2400),
        queries: int = 6144,
        noise: Sequence[float] = (0.0, 0.5),
        densities: Sequence[float] = (0.7, 0.15, 0.15),
        square: float = 4.0,
        excess: float = 0.5,
        cover: float = 4.0,
        error: float = 0.1,
        again: float = 0.0,
        cover_again: float = 0.0,
    ) -> None:
        points = list(points) if isinstance(points, Sequence) else [points]
        if not (len(points) == 2 and 48 <= points[0] <= points[1]):
            raise OptionError(f"points must be two sizes of clouds, the first at least 48, got {points}")
        if queries < 16 or not 0 <= again <= 1:
            raise OptionError(f"queries must be at least 16 and again from 0 to 1, got {queries} and {again}")
        self.network, self.points, self.queries = network, tuple(points), queries
        self.augmentation = Augmentation(densities=tuple(densities), noise=tuple(noise))  # type: ignore[arg-type]
        self.square, self.excess, self.cover, self.error = square, excess, cover, error
        self.again, self.cover_again = again, cover_again

    def networks(self) -> dict[str, torch.nn.Module]:
        return {"network": self.network}

    def examples(self, data: TrainingSet, step: int, seed: int, first: int, count: int) -> Examples:
        parts = []
        for k in range(first, first + count):
            rng = np.random.default_rng([seed, step, k, 1])
            most = int(data.about["points"]) // 2  # a user's scans may be small
            n = int(np.exp(rng.uniform(*np.log(np.minimum(self.points, most)))))
            cloud = draw(data, step, seed, 1, "cloud", n, None, augmentation=self.augmentation, first=k)
            parts.append(_example(cloud, self.queries, rng))
        return _joined(parts)

    def loss(
        self, part: str, networks: Mapping[str, torch.nn.Module], examples: Examples, done: float
    ) -> tuple[Tensor, dict[str, Tensor]]:
        network: Any = networks[part]
        table = network.encode(_patches(examples), examples["noise"])
        move, log_error = network.decode(table, examples["offsets"], examples["index"])
        moved = examples["positions"] + move
        weight = examples["weight"]
        e = distance_to_surface(examples, moved) / examples["spacing"]
        gap = torch.log1p(
            uncovered(examples, moved) / examples["site_spacing"] ** 2
        )  # the logarithm limits the effect of holes in the input
        each = self._position_loss(examples, move, e) + self.error * (
            (e.detach() + 0.01) * torch.exp(-log_error) + log_error
        )
        loss = (weight * each).mean() + self.cover * (examples["site_weight"] * gap).mean()
        again = e
        if self.again:
            some = _displaced(examples, moved.detach(), self.again)
            move, _ = network.decode(table, some["offsets"], some["index"])
            again = distance_to_surface(some, some["positions"] + move) / some["spacing"]
            gap_again = torch.log1p(uncovered(some, some["positions"] + move) / some["site_spacing"] ** 2)
            loss = loss + (some["weight"] * self._position_loss(some, move, again)).mean()
            loss = loss + self.cover_again * (some["site_weight"] * gap_again).mean()
        with torch.no_grad():
            clean = (weight == 1).float()
            share = clean.mean().clamp(min=1e-9)
            figures = {
                "loss": loss,
                "distance_clean": (clean * e).mean() / share,
                "square_clean": (clean * e**2).mean() / share,
                "uncovered": gap.mean(),
                "again": again.mean(),
            }
        return loss, {name: value.detach() for name, value in figures.items()}

    def _position_loss(self, examples: Examples, move: Tensor, e: Tensor) -> Tensor:
        """The loss (M,) of moves (M, 3) that end at the distances e (M,) from the surface."""
        # on a thin part, positions on one side must not move to the other side
        excess = torch.relu(move.norm(dim=1) / examples["spacing"] - 1.2 * examples["least"] - 0.1)
        return e + self.square * e**2 + self.excess * (excess + excess**2)

    def validate(
        self, networks: Mapping[str, torch.nn.Module], data: TrainingSet, seed: int, device: torch.device
    ) -> dict[str, float]:
        """Scores of an even cloud of each held-out shape, clean and noisy, after two moves.

        `score` is distance + 4 square + 4 uncovered of the clean clouds, the means of e, e^2 and the squared distance
        from the surface to the nearest moved position, in point spacings.
        """
        shapes = data.held_out or data.train
        sums: dict[str, list[float]] = {}
        n = min(1024, int(data.about["points"]) // 2)
        for name, level in (("", 0.0), ("noisy_", _VALIDATION_NOISE)):
            for k, shape in enumerate(shapes):
                rng = np.random.default_rng([seed, k])
                cloud = draw(data, 0, seed, 1, "cloud", n, None, shapes=[shape], augmentation=NONE, first=k)
                if level:
                    cloud = _with_noise(cloud, level * np.sqrt(data.shapes[shape].area / n), rng)
                examples = {key: value.to(device) for key, value in _joined([_example(cloud, 4096, rng)]).items()}
                network: Any = networks["network"]
                table = network.encode(_patches(examples), examples["noise"])
                moved = examples["positions"] + network.decode(table, examples["offsets"], examples["index"])[0]
                offsets, index = _views(examples["points"], moved)
                moved = moved + network.decode(table, offsets, index)[0]
                e = distance_to_surface(examples, moved) / examples["spacing"]
                gap = uncovered(examples, moved) / examples["site_spacing"] ** 2
                sums.setdefault(name + "distance", []).append(float(e.mean()))
                sums.setdefault(name + "square", []).append(float((e**2).mean()))
                sums.setdefault(name + "uncovered", []).append(float(gap.mean()))
        means = {name: float(np.mean(values)) for name, values in sums.items()}
        return {"score": means["distance"] + self.square * means["square"] + self.cover * means["uncovered"], **means}


def _with_noise(cloud: Batch, level: float, rng: np.random.Generator) -> Batch:
    """The same example with Gaussian noise of this standard deviation on the sparse points."""
    noise = level * rng.normal(size=cloud.sparse.shape)
    return replace(cloud, sparse=(cloud.sparse + noise).astype(np.float32), noise=np.full(1, level, np.float32))


def _example(cloud: Any, queries: int, rng: np.random.Generator) -> dict[str, Tensor]:
    """The tensors of one cloud; `_joined` concatenates several."""
    points, dense = cloud.sparse[0].astype(np.float64), cloud.dense[0]
    tree = KNN(points)
    noise = estimate_noise(points, tree)
    noise = noise if noise > CLEAN else 0.0
    patches = fit_patches(points, tree, noise)
    spacing = float(patches.radius.median()) / np.sqrt(NEAR / np.pi)
    positions, covering = training_positions(points, tree, dense, queries, rng, with_points=float(cloud.noise[0]) > 0)
    _, index = tree.query(positions, VIEWS)
    truth = KNN(dense)
    sites = rng.choice(len(dense), min(_SITES, len(dense)), replace=False)
    weight = 0.1 / (0.1 + float(cloud.noise[0]) / spacing)
    gap = float(np.median(truth.query(dense[:1024], 2)[0][:, 1]))

    def tensor(values: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(values, np.float32))

    def full(count: int, value: float) -> Tensor:
        return torch.full((count,), value, dtype=torch.float32)

    return {
        **{_PATCHES + name: getattr(patches, name) for name in Patches.__dataclass_fields__},
        "noise": full(len(points), noise),
        "points": tensor(points),
        "positions": tensor(positions),
        "covering": torch.from_numpy(covering),
        "offsets": tensor(positions[:, None] - points[index]),
        "index": torch.from_numpy(index),
        "least": tensor(truth.query(positions, 1)[0][:, 0] / spacing),
        "spacing": full(len(positions), spacing),
        "weight": full(len(positions), weight),
        "sites": tensor(dense[sites]),
        "site_spacing": full(len(sites), spacing),
        "site_weight": full(len(sites), weight),
        "truth": tensor(dense),
        "truth_normals": tensor(cloud.normals[0]),
        "truth_gap": full(len(dense), gap),
    }


def _views(points: Tensor, positions: Tensor) -> tuple[Tensor, Tensor]:
    """Offsets (M, m, 3) from the m nearest points to positions (M, 3) in one cloud, and the points' indices (M, m)."""
    _, index = knn(points, positions, VIEWS)
    return positions[:, None] - points[index], index


def _displaced(examples: Examples, moved: Tensor, share: float) -> Examples:
    """Examples of a second move: a share of the moved positions of each cloud, displaced by a tenth of the spacing."""
    whole = {name: examples[name] for name in ("sites", "site_spacing", "site_weight", *_TRUTH)}
    columns = (("points", 0), ("spacing", 1), ("weight", 1), ("covering", 1), ("truth", 3))
    parts, begin = [], 0
    splits = moved.split(examples["counts"][:, 1].tolist())
    for here, (points, spacing, weight, covering, truth) in zip(splits, _each(examples, *columns), strict=True):
        chosen = torch.randperm(len(here), device=here.device)[: max(1, int(share * len(here)))]
        positions = here[chosen] + 0.1 * spacing[chosen, None] * torch.randn_like(here[chosen])
        offsets, index = _views(points, positions)
        parts.append(
            {
                **{"positions": positions, "offsets": offsets, "index": index + begin},
                **{"spacing": spacing[chosen], "weight": weight[chosen], "covering": covering[chosen]},
                "least": knn(truth, positions, 1)[0][:, 0] / spacing[chosen],
            }
        )
        begin += len(points)
    counts = examples["counts"].clone()
    counts[:, 1] = torch.tensor([len(part["positions"]) for part in parts])
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]} | whole | {"counts": counts}


def _joined(parts: list[dict[str, Tensor]]) -> Examples:
    """Several clouds as one. `counts` has the numbers of points, positions, sites and true points of each."""
    begin = 0
    for part in parts:
        part["index"] = part["index"] + begin
        part[_PATCHES + "index"] = part[_PATCHES + "index"] + begin
        begin += len(part["noise"])
    counts = [[len(part[name]) for name in ("noise", "positions", "sites", "truth")] for part in parts]
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]} | {"counts": torch.tensor(counts)}


def _patches(examples: Examples) -> Patches:
    return Patches(**{name: examples[_PATCHES + name] for name in Patches.__dataclass_fields__})


def _each(examples: Examples, *columns: tuple[str, int]) -> Any:
    """For each cloud, its part of the tensors. `columns` has pairs (tensor, its column of `counts`)."""
    counts = examples["counts"].tolist()
    splits = [examples[name].split([row[column] for row in counts]) for name, column in columns]
    return zip(*splits, strict=True)


def distance_to_surface(examples: Examples, moved: Tensor) -> Tensor:
    """Distances (M,) from positions to a disk in the tangent plane of the nearest true point."""
    out = []
    columns = tuple((name, 3) for name in _TRUTH)
    splits = moved.split(examples["counts"][:, 1].tolist())
    for here, (truth, normals, gap) in zip(splits, _each(examples, *columns), strict=True):
        with torch.no_grad():
            nearest = knn(truth, here.detach(), 1)[1][:, 0]
        away = here - truth[nearest]
        height = (away * normals[nearest]).sum(dim=1)
        aside = (away - height[:, None] * normals[nearest]).norm(dim=1)
        beyond = torch.relu(aside - 1.2 * gap[nearest])
        out.append((height**2 + beyond**2 + 1e-12).sqrt())
    return torch.cat(out)


def uncovered(examples: Examples, moved: Tensor) -> Tensor:
    """Squared distances (S,) from the sites to the nearest of the moved positions drawn without the ground truth."""
    out = []
    splits = moved.split(examples["counts"][:, 1].tolist())
    for here, (covering, sites) in zip(splits, _each(examples, ("covering", 1), ("sites", 2)), strict=True):
        some = here[covering]
        with torch.no_grad():
            nearest = knn(some.detach(), sites, 1)[1][:, 0]
        out.append((some[nearest] - sites).square().sum(dim=1))
    return torch.cat(out)
