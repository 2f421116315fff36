"""What the tests of supervised patch networks share: short trainings, whole clouds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch

import pcsr_zoo
from pcsr_zoo.checkpoints.folder import save_checkpoint
from pcsr_zoo.datasets import TrainingSet
from pcsr_zoo.pipelines.resample import upsample
from pcsr_zoo.training.devices import make_fabric
from pcsr_zoo.training.engine import Engine
from pcsr_zoo.training.settings import Settings


def losses_of_training(
    recipe: Any, data: TrainingSet, steps: int, lr: float = 1e-2, batch: int = 1, same: bool = True
) -> Mapping[str, list[float]]:
    """The figures of each step of a training by the package's engine, by name; `same`: always on the same examples."""
    settings = Settings(steps=steps, batch=batch, lr=lr, warmup=0, schedule="constant", workers=0)
    engine, found = Engine(recipe, settings, make_fabric("cpu", "32")), defaultdict(list)
    for step in range(steps):
        examples = recipe.examples(data, 0, 0, 0, batch) if same else recipe.examples(data, step, 0, 0, batch)
        done = engine.step([examples], step)
        assert done.finite
        for name, value in done.figures.items():
            found[name].append(float(value))
    return found


def clouds_of_any_size(model: Any) -> None:
    """Exact counts, of points that are finite and none of the input."""
    for n in (2, 3, 16, 255):
        points = np.random.default_rng(0).normal(size=(n, 3))
        for count in (n, 4 * n, 5 * n + 1):
            made = upsample(pcsr_zoo.Cloud(points), n=count, model=model).positions
            assert made.shape == (count, 3)
            assert np.isfinite(made).all()


def survives_saving(model: Any, folder: Any) -> None:
    """The same result from the saved checkpoint, by its name's verbs; random weights are refused before."""
    cloud = np.random.default_rng(0).normal(size=(200, 3))
    with pytest.raises(pcsr_zoo.errors.OptionError, match=model.name):
        pcsr_zoo.upsample(cloud, 4, model=model)
    model.trained = True
    save_checkpoint(folder / "m", model, name="mine")
    again = pcsr_zoo.load(folder / "m")
    assert again.model.arguments == model.arguments
    expected = upsample(pcsr_zoo.Cloud(cloud), 4, model=model).positions
    np.testing.assert_allclose(again.upsample(cloud, 4), expected, atol=1e-6)
    assert torch.is_inference_mode_enabled() is False
