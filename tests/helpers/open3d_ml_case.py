"""What the tests of Open3D-ML share: it is the real one or they are skipped; and a small model that can be trained."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pcsr_zoo import Cloud, read, write
from pcsr_zoo.datasets.patches import NONE, draw
from pcsr_zoo.datasets.training_set import pack_shape, write_training_set
from pcsr_zoo.errors import DependencyError
from pcsr_zoo.models import registry
from pcsr_zoo.models.base import Context, Learned, Upsampler
from pcsr_zoo.models.recipe import Examples, Recipe
from pcsr_zoo.open3d_ml import register


def require_open3d_ml() -> Any:
    """`open3d.ml` with the zoo registered."""
    try:
        register()
        import open3d.ml as ml3d

        _ = ml3d.utils
    except (DependencyError, ImportError) as error:
        pytest.skip(str(error), allow_module_level=True)
    return ml3d


class ShiftRecipe(Recipe):
    def __init__(self, network: torch.nn.Module, points: int = 32) -> None:
        self.network, self.points = network, points

    def networks(self) -> dict[str, torch.nn.Module]:
        return {"network": self.network}

    def examples(self, data: Any, step: int, seed: int, first: int, count: int) -> Examples:
        batches = [
            draw(data, step, seed + 1000 * k, 1, "cloud", self.points, None, augmentation=NONE)
            for k in range(first, first + count)
        ]
        return {"sparse": torch.cat([torch.from_numpy(batch.sparse) for batch in batches])}

    def loss(self, part: str, networks: Mapping[str, Any], examples: Examples, done: float) -> Any:
        """The mean squared distance between the shift and (1, 2, 3)."""
        shift = networks[part](examples["sparse"]) - examples["sparse"]
        loss = (shift - torch.tensor([1.0, 2.0, 3.0])).square().mean()
        return loss, {"distance": loss.detach()}

    def validate(self, networks: Mapping[str, Any], data: Any, seed: int, device: Any) -> dict[str, float]:
        points = torch.from_numpy(data.points(data.held_out[0])[:64])
        shift = networks["network"](points) - points
        return {"shift": float((shift - torch.tensor([1.0, 2.0, 3.0])).square().mean())}


class ShiftNetwork(torch.nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.shift = torch.nn.Parameter(torch.randn(width, 3))

    def forward(self, points: torch.Tensor) -> torch.Tensor:
        return points + self.shift.mean(dim=0)


class Shift(Learned, Upsampler):
    """Each point again and again, moved by one learned vector."""

    name = "shift"
    summary = "a learned shift"
    source = "nobody, 2000"

    def __init__(self, width: int = 2) -> None:
        self.arguments = {"width": width}
        self.network = ShiftNetwork(width)

    def candidates(self, points: np.ndarray, support: np.ndarray, count: int, context: Context) -> np.ndarray:
        with torch.no_grad():
            moved = self.network(torch.from_numpy(points).float()).double().numpy()
        return np.concatenate([points + factor * (moved - points) for factor in (1, 2, 3)])

    def recipe(self, **options: Any) -> Recipe:
        return ShiftRecipe(self.network, **options)


@pytest.fixture
def shift(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The class of Open3D-ML's kind of `Shift`, registered for the length of a test."""
    from pcsr_zoo.open3d_ml import bases, open3d_class

    monkeypatch.setattr("pcsr_zoo.models.registry._registered", dict(registry._registered))
    known = dict(bases.MODEL.module_dict["torch"])
    monkeypatch.setitem(bases.MODEL.module_dict, "torch", known)
    registry.register_model(Shift)
    register()
    return open3d_class("shift")


def sphere(n: int, seed: int = 0) -> np.ndarray:
    """(n, 3) points on the unit sphere."""
    points = np.random.default_rng(seed).normal(size=(n, 3))
    return points / np.linalg.norm(points, axis=1, keepdims=True)


def write_spheres(path: Any, points: int = 1024) -> Any:
    """A training file of two spheres, the second held out."""
    about = {"license": "CC0", "license_class": "permissive", "source": "here", "vertices": 0, "faces": 0}
    shapes = [
        pack_shape(
            sphere(points, k), sphere(points, k), 4 * np.pi, name=name, normals="outward", held_out=k == 1, **about
        )
        for k, name in enumerate(("a/ball", "b/ball"))
    ]
    return write_training_set(path, shapes, {"points": points, "seed": 0, "held_out": 0.5})


def get(kind: str, cls: str, /, *args: Any, **options: Any) -> Any:
    """What Open3D-ML's registry has under that name, made with these arguments."""
    from open3d.ml.utils import get_module

    return get_module(kind, cls, None if kind == "dataset" else "torch")(*args, **options)


@pytest.fixture
def make(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes a pipeline by name, of a model or its name, that logs below tmp_path."""
    monkeypatch.chdir(tmp_path)  # results of data sets go to ./test by default

    def pipeline(name: str, model: Any = "Jet", dataset: Any = None, **options: Any) -> Any:
        model = get("model", model) if isinstance(model, str) else model
        return get("pipeline", name, model, dataset, main_log_dir=str(tmp_path / "logs"), device="cpu", **options)

    return pipeline


@pytest.fixture
def clouds(tmp_path: Any) -> Any:
    """A folder with two clouds, one of them with colors."""
    folder = tmp_path / "clouds"
    folder.mkdir()
    colors = np.random.default_rng(0).integers(0, 256, (400, 3)).astype(np.uint8)
    write(Cloud(sphere(400) * 3 + 1e5, {"colors": colors}), folder / "ball.ply")
    write(Cloud(sphere(300, 1) * [1, 2, 3]), folder / "egg.xyz")
    return folder


def results(data: Any, name: str, suffix: str = "ply") -> Cloud:
    return read(Path(data.cfg.test_result_folder, data.name, f"{name}.{suffix}"))
