"""The function `validate`, which `pcsr validate` calls."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from ..models.base import ignore
from .api import Report, check_split, recipe_of, trained
from .devices import make_fabric
from .engine import step_seed
from .options import make_recipe
from .seeding import seeded


def validate(
    checkpoint: str | PathLike[str],
    data: str | PathLike[str],
    *,
    seed: int = 0,
    device: str | None = None,
    report: Report | None = None,
) -> dict[str, float]:
    """The figures of a checkpoint on the held-out shapes of a training file.

    With the file and the seed of its training, these are the figures that the training reported for these weights.

    Args:
        checkpoint: name, folder or address of a checkpoint.
        data: a training file, see `pcsr data build`. Without held-out shapes, its training shapes are used.
        seed: seed of the clouds and of what the model draws.
        device: such as "cuda"; by default cuda if it is available.
        report: receives messages.

    Returns:
        The figures by name, see `validate` of the model's recipe. The first one is the score, of which less is better.

    Raises:
        OptionError: the checkpoint has no network, or the name stands for several, or the device does not exist.
        FileError: a file cannot be read.
    """
    import torch

    learned, folder, config = trained(checkpoint)
    recipe = make_recipe(learned, recipe_of(folder, config))
    shapes = recipe.data_class.load(data)
    check_split(shapes, Path(data), report or ignore)
    fabric = make_fabric(device, "32")
    with seeded(fabric, step_seed(seed, 0, 0)), torch.no_grad():
        networks = {part: module.to(fabric.device).eval() for part, module in recipe.networks().items()}
        found = recipe.validate(networks, shapes, seed, fabric.device)
    return {name: float(value) for name, value in found.items()}
