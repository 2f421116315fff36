"""Names of the form `SAMPLER+MODEL`: one model samples, another recovers."""

from __future__ import annotations

from ..catalog import resolve
from ..checkpoints.folder import is_checkpoint
from ..errors import OptionError


def split_model(name: str) -> tuple[str | None, str]:
    """Split a name: "fps+jet" to ("fps", "jet"), "jet" to (None, "jet")."""
    if is_checkpoint(name):
        return None, name
    sampler, plus, model = name.rpartition("+")
    if plus and not (sampler and model):
        raise OptionError(f"'{name}' is not a model name; write MODEL or SAMPLER+MODEL, for example fps+jet")
    return sampler or None, model


def sampler_and_recoverer(name: str) -> tuple[str, str]:
    """The sampler and the recovering model of a name. For a plain name the model itself samples if it can, else "fps".

    Raises:
        OptionError: a model is unknown, or cannot sample or recover.
    """
    sampler, model = split_model(name)
    tasks = resolve(model).tasks
    if "recover" not in tasks:
        raise OptionError(f"'{model}' cannot recover; write SAMPLER+MODEL, for example {model}+jet")
    if sampler is None:
        sampler = model if "sample" in tasks else "fps"
    elif "sample" not in resolve(sampler).tasks:
        raise OptionError(f"'{sampler}' in '{name}' cannot sample; use for example fps")
    return sampler, model
