"""How `jetnet` is trained: places near sparse clouds, and the distance to the true surface after the move."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from scipy.spatial import cKDTree

from ..datasets.patches import Augmentation, draw
from ..datasets.training_set import TrainingSet
from ..geometry.edges import neighbour_edges
from ..geometry.knn import KNN
from ..geometry.noise import estimate_noise
from ..geometry.patches import fit_patches
from ..training.recipe import Examples, Recipe
from .jetnet_network import patches_of

VIEWS = 4
_CLEAN = 0.08


class JetNetRecipe(Recipe):
    def __init__(self, network: Any, clouds: int = 1, points: tuple[int, int] = (600, 2400), queries: int = 6144,
                 noise: tuple[float, float] = (0.0, 0.5), square: float = 4.0, excess: float = 0.5, error: float = 0.1) -> None:  # fmt: skip
        self.network, self.clouds, self.points, self.queries = network, clouds, points, queries
        self.square, self.excess, self.error = square, excess, error
        self.augmentation = Augmentation(densities=(0.6, 0.2, 0.2), noise=noise)

    def networks(self) -> dict[str, torch.nn.Module]:
        return {"network": self.network}

    def examples(self, data: TrainingSet, step: int, seed: int, first: int, count: int) -> Examples:
        parts, begin = [], 0
        for k in range(first, first + count):
            rng = np.random.default_rng([seed, step, k, 1])
            n = int(np.exp(rng.uniform(*np.log(self.points))))
            batch = draw(data, step, seed + 7919 * k, 1, "cloud", n, None, augmentation=self.augmentation)
            noisy = float(batch.noise[0]) > 0
            part = examples_of(batch.sparse[0], batch.dense[0], batch.normals[0], self.queries, rng, noisy)
            level = float(batch.noise[0]) / part["spacing"]
            part["weight"] = 0.1 / (0.1 + level)  # what nobody can know must not drown what can be learned
            for name in ("patches.index", "index"):
                part[name] = part[name] + begin
            begin += n
            parts.append(part)
        trees = [part.pop("tree") for part in parts]
        return {name: torch.cat([part[name] for part in parts]) for name in parts[0]} | {"trees": trees}

    def loss(self, part: str, networks: Mapping[str, Any], examples: Examples, done: float) -> tuple[Any, Any]:
        patches = patches_of(examples)
        network = networks[part]
        features = network.encode(patches, examples["noise"])
        move, error = network(patches, features, examples["offsets"], examples["index"])
        e = surface_distance(examples, move)
        # no farther than to the nearest sheet: places on one side of a thin part must not cover the other side
        spacing = examples["spacing"]
        excess = torch.relu(move.norm(dim=1) / spacing - examples["least"] * 1.2 - 0.1)
        target = e.detach() + 0.01
        doubt = target * torch.exp(-error) + error
        weight = examples["weight"]
        each = e + self.square * e * e + self.excess * (excess + excess * excess) + self.error * doubt
        clean = weight == 1
        figures = {"loss": (weight * each).mean(), "doubt": doubt.mean(), "excess": excess.mean()}
        if clean.all():
            figures |= {"clean": e.mean(), "clean_rms": (e * e).mean().sqrt()}
        else:
            figures |= {"noisy": e.mean()}
        return figures["loss"], {name: value.detach() for name, value in figures.items()}

    def validate(self, networks: Mapping[str, Any], data: TrainingSet, seed: int, device: torch.device) -> dict[str, float]:
        raise NotImplementedError


def examples_of(sparse: np.ndarray, dense: np.ndarray, normals: np.ndarray, queries: int, rng: np.random.Generator,
                noisy: bool) -> dict[str, Any]:  # fmt: skip
    points = sparse.astype(np.float64)
    tree = KNN(points)
    noise = estimate_noise(points, tree)
    noise = noise if noise > _CLEAN else 0.0
    patches = fit_patches(points, tree, noise)
    places = query_places(points, tree, dense, queries, rng, noisy)
    distance, index = tree.query(places, VIEWS)
    truth = cKDTree(dense)
    least = truth.query(places)[0]
    spacing = float(np.median(patches.radius.numpy())) / np.sqrt(10 / np.pi)
    out = {f"patches.{name}": getattr(patches, name) for name in patches.__dataclass_fields__}
    as_float = lambda a: torch.from_numpy(np.ascontiguousarray(a, dtype=np.float32))  # noqa: E731
    out |= {
        "noise": torch.full((len(points),), noise, dtype=torch.float32),
        "places": as_float(places),
        "offsets": as_float(places[:, None] - points[index]),
        "index": torch.from_numpy(index),
        "least": as_float(least / spacing),
        "spacing": torch.full((len(places),), spacing, dtype=torch.float32),
        "tree": (truth, normals, float(np.median(truth.query(dense[:1000], 2)[0][:, 1]))),
    }
    return out


def query_places(points: np.ndarray, tree: KNN, dense: np.ndarray, count: int, rng: np.random.Generator, noisy: bool) -> np.ndarray:
    """Places (count, 3) that inference asks for: on edges, in triangles, near the surface, and the points themselves."""
    shares = [0.45, 0.25, 0.2, 0.1] if noisy else [0.5, 0.3, 0.2, 0.0]
    a, b, c, d = rng.multinomial(count, shares)
    edges = neighbour_edges(points, 16, tree, 0.6)
    edges = edges[rng.integers(len(edges), size=a)]
    t = np.where(rng.random(a) < 0.5, 0.5, rng.uniform(0.2, 0.8, a))[:, None]
    on_edges = points[edges[:, 0]] * t + points[edges[:, 1]] * (1 - t)
    start = rng.integers(len(points), size=b)
    _, near = tree.query(points[start], 13)
    corner = np.stack([near[np.arange(b), rng.integers(1, near.shape[1], b)] for _ in range(2)], axis=1)
    w = rng.dirichlet([1, 1, 1], b)
    inside = w[:, :1] * points[start] + w[:, 1:2] * points[corner[:, 0]] + w[:, 2:] * points[corner[:, 1]]
    spacing = np.median(tree.query(points[:500], 7)[0][:, -1]) / np.sqrt(6 / np.pi)
    surface = dense[rng.integers(len(dense), size=c)] + rng.normal(size=(c, 3)) * spacing * 0.1
    places = np.concatenate([on_edges, inside, surface, points[rng.integers(len(points), size=d)]])
    jitter = rng.normal(size=places.shape) * (rng.random((len(places), 1)) < 0.3) * 0.1 * spacing
    if d:
        jitter[-d:] = 0
    return places + jitter


def surface_distance(examples: Examples, move: Any) -> Any:
    """Distances (M,) of the moved places to the true surface, in point spacings; one that gradients can use."""
    moved = examples["places"] + move
    with torch.no_grad():
        where = moved.detach().cpu().numpy()
        foot, normal, gap = [], [], []
        size = len(where) // len(examples["trees"])
        for k, (tree, normals, dense_spacing) in enumerate(examples["trees"]):
            _, index = tree.query(where[k * size : (k + 1) * size], workers=-1)
            foot.append(tree.data[index])
            normal.append(normals[index])
            gap.append(np.full(size, dense_spacing))
        as_float = lambda a: torch.from_numpy(np.concatenate(a).astype(np.float32)).to(moved.device)  # noqa: E731
        foot, normal, gap = as_float(foot), as_float(normal), as_float(gap)
    away = moved - foot
    height = (away * normal).sum(dim=1)
    aside = (away - height[:, None] * normal).norm(dim=1)
    beyond = torch.relu(aside - 1.2 * gap)
    return ((height * height + beyond * beyond + 1e-12).sqrt()) / examples["spacing"]
