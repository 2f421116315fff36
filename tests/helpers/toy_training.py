"""A small network with a recipe that really trains, and small training files, for the tests of the engine.

As a program it is what `torchrun` and the tests that kill start: python toy_training.py DATA FOLDER JSON-SETTINGS.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import pcsr_zoo
from pcsr_zoo.datasets.patches import NONE, draw
from pcsr_zoo.datasets.training_set import pack_shape, write_training_set
from pcsr_zoo.models.base import Context, Learned, Upsampler
from pcsr_zoo.models.registry import register_model
from pcsr_zoo.training import Recipe, train

QUICK = {"batch": 4, "warmup": 2, "lr": 1e-2, "ema": 0.8, "workers": 0, "log_every": 5}


class Net(torch.nn.Module):
    """Offsets (B, n, ratio, 3) for the points of patches (B, n, 3); one layer is never used."""

    def __init__(self, width: int, ratio: int, dropout: float, norm: bool) -> None:
        super().__init__()
        self.ratio = ratio
        self.first = torch.nn.Linear(3, width)
        self.norm = torch.nn.BatchNorm1d(width) if norm else torch.nn.Identity()
        self.drop = torch.nn.Dropout(dropout)
        self.second = torch.nn.Linear(width, 3 * ratio)
        self.unused = torch.nn.Linear(2, 2)
        torch.nn.init.zeros_(self.second.bias)

    def encode(self, points: torch.Tensor) -> torch.Tensor:
        hidden = self.first(points)
        return self.norm(hidden.transpose(1, 2)).transpose(1, 2).relu()

    def forward(self, points: torch.Tensor) -> torch.Tensor:
        hidden = self.drop(self.encode(points))
        return self.second(hidden).reshape(*points.shape[:2], self.ratio, 3)


def chamfer(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    squared = torch.cdist(a, b) ** 2
    return squared.amin(dim=1).mean() + squared.amin(dim=2).mean()


class PatchRecipe(Recipe):
    def __init__(self, network: Net, points: int, jitter: float, bad: tuple[int, ...]) -> None:
        self.network, self.points, self.jitter, self.bad = network, points, jitter, bad

    def networks(self) -> dict[str, torch.nn.Module]:
        return {"network": self.network}

    def examples(self, data: Any, step: int, seed: int, first: int, count: int) -> dict[str, Any]:
        batch = draw(data, step, seed, count, "patch", self.points, self.network.ratio, first=first).torch()
        return {"sparse": batch.sparse, "dense": batch.dense, "step": torch.tensor(step)}

    def upsampled(self, network: Any, sparse: torch.Tensor) -> torch.Tensor:
        return (sparse[:, :, None] + network(sparse)).flatten(1, 2)

    def loss(self, part: str, networks: Any, examples: Any, done: float) -> Any:
        sparse = examples["sparse"] + self.jitter * torch.randn_like(examples["sparse"])
        loss = chamfer(self.upsampled(networks["network"], sparse), examples["dense"])
        if int(examples["step"]) in self.bad:
            loss = loss * float("nan")
        return loss, {"chamfer": loss}

    def validate(self, networks: Any, data: Any, seed: int, device: Any) -> dict[str, float]:
        batch = draw(data, 0, 0, 4, "patch", self.points, self.network.ratio, shapes=data.held_out, augmentation=NONE)
        batch = batch.torch(device)
        return {"chamfer": chamfer(self.upsampled(networks["network"], batch.sparse), batch.dense).item()}


class PairRecipe(PatchRecipe):
    """A network against a critic that scores points, in turns; the network's `encode` is called by itself, too."""

    parts = ("network", "critic")

    def __init__(self, network: Net, points: int, jitter: float, bad: tuple[int, ...]) -> None:
        super().__init__(network, points, jitter, bad)
        self.critic = torch.nn.Sequential(torch.nn.Linear(3, 8), torch.nn.ReLU(), torch.nn.Linear(8, 1))

    def networks(self) -> dict[str, torch.nn.Module]:
        return {"network": self.network, "critic": self.critic}

    def loss(self, part: str, networks: Any, examples: Any, done: float) -> Any:
        made = self.upsampled(networks["network"], examples["sparse"])
        extra = networks["network"].encode(examples["sparse"]).square().mean()
        critic = networks["critic"]
        if part == "critic":
            return (critic(made.detach()) ** 2).mean() + ((critic(examples["dense"]) - 1) ** 2).mean(), {}
        fooled = ((critic(made) - 1) ** 2).mean()
        return chamfer(made, examples["dense"]) + 0.01 * fooled + 1e-4 * extra, {"fooled": fooled}


@register_model
class ToyPatches(Learned, Upsampler):
    """Points moved by a network of their positions."""

    name = "toy-patches"
    summary = "a toy that trains"
    source = "nobody, 2000"

    def __init__(self, width: int = 16, ratio: int = 2, dropout: float = 0.1, norm: bool = True) -> None:
        self.arguments: dict[str, Any] = {"width": width, "ratio": ratio, "dropout": dropout, "norm": norm}
        self.network = Net(width, ratio, dropout, norm)

    def recipe(
        self, points: int = 32, jitter: float = 0.01, pair: bool = False, bad: tuple[int, ...] = (), **options: Any
    ) -> Recipe:
        kind = PairRecipe if pair else PatchRecipe
        return kind(self.network, points, jitter, tuple(bad), **options)

    def candidates(self, points: np.ndarray, support: np.ndarray, count: int, context: Context) -> np.ndarray:
        with torch.no_grad():
            step = self.network(torch.from_numpy(points).float()[None])[0].double().numpy()
        return (points[:, None] + 0.1 * step).reshape(-1, 3)


@pytest.fixture(autouse=True)
def one_thread():
    """For modules that import it: the same sums in the same order."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def write_toy_data(path: Path, shapes: int = 4, points: int = 512, held_out: int = 1) -> Path:
    """Ellipsoids of random axes; the last ones are held out."""
    rng = np.random.default_rng(0)
    packed = []
    for k in range(shapes):
        directions = rng.normal(size=(points, 3))
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        axes = rng.uniform(0.5, 1, 3)
        normals = directions / axes
        normals /= np.linalg.norm(normals, axis=1, keepdims=True)
        facts = {"license": "MIT" if k % 2 else "CC0-1.0", "license_class": "permissive", "source": "here"}
        packed.append(
            pack_shape(
                directions * axes,
                normals,
                area=4 * np.pi * float(np.mean(axes**2)),
                name=f"e{k}",
                vertices=0,
                faces=0,
                normals="outward",
                held_out=k >= shapes - held_out,
                **facts,
            )
        )
    return write_training_set(path, packed, {"points": points, "seed": 0, "held_out": 0.2})


def main() -> None:
    torch.set_num_threads(1)
    data, folder, text = sys.argv[1:4]
    options = json.loads(text)
    rank = os.environ.get("RANK", "0")

    def progress(stage: str, fraction: float) -> None:
        print(stage, flush=True)

    train(
        "toy-patches",
        data,
        folder,
        **options,
        device="cpu",
        report=lambda line: print(line, flush=True),
        progress=progress if rank == "0" else None,
    )


def weights(folder):
    return {name: value.clone() for name, value in pcsr_zoo.load(folder).model.network.state_dict().items()}


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def sphere(n, seed=0, radius=3.0, center=(500_000.0, 4_600_000.0, 100.0)):
    """Points at UTM coordinates, with the normals of a sphere."""
    normals = np.random.default_rng(seed).normal(size=(n, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    return radius * normals + np.array(center), normals


def cube(path):
    """Twelve triangles."""
    corners = [(x, y, z) for x in (0, 1) for y in (0, 1) for z in (0, 1)]
    faces = "1 2 4 3, 5 7 8 6, 1 5 6 2, 3 4 8 7, 1 3 7 5, 2 6 8 4"
    lines = [f"v {x} {y} {z}" for x, y, z in corners] + [f"f {face}" for face in faces.split(", ")]
    path.write_text("\n".join(lines) + "\n")
    return path


if __name__ == "__main__":
    main()
