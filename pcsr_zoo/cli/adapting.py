"""`pcsr upsample --adapt`: its options, and what it says."""

from __future__ import annotations

from typing import Any

import click

from .app import session
from .choices import check_model
from .progress import Progress

_MODEL = "sspu-net-x4"


def model_to_adapt(model: str, adapt: bool) -> str:
    """With --adapt and no --model, the one that can be adapted."""
    source = click.get_current_context().get_parameter_source("model")
    return _MODEL if adapt and source is click.core.ParameterSource.DEFAULT else model


def check_adapt(adapt: bool, steps: int | None, seconds: float | None, model: str) -> None:
    """The options go together, and the model can be adapted."""
    from ..errors import OptionError

    if not adapt:
        for name, value in (("--adapt-steps", steps), ("--adapt-seconds", seconds)):
            if value is not None:
                raise click.UsageError(f"{name} is for --adapt, which was not given")
        return
    from ..registry import load
    from ..training.adapt import scan_recipe

    check_model(model, "upsample")
    try:
        scan_recipe(load(model), model)
    except OptionError as error:
        raise click.BadParameter(str(error), param_hint="--adapt") from None


def adapted(
    cloud: Any,
    model: str,
    seed: int,
    device: str | None,
    steps: int | None,
    seconds: float | None,
    progress: Progress | None,
) -> Any:
    """The model adapted to the cloud, or as it is if that is better; says which, and what was measured."""
    from ..training.adapt import SECONDS, adapt

    limit = SECONDS if seconds is None else seconds or None
    found = adapt(
        model, cloud, steps=steps, seconds=limit, seed=seed, device=device, report=session().note, progress=progress
    )
    lines = str(found).splitlines()
    if progress is None:
        for line in lines:
            session().say(f"  {line}")
        return found.model
    from tqdm import tqdm

    with tqdm.external_write_mode():
        for line in lines:
            session().say(f"  {line}")
    return found.model
