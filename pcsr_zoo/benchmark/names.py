"""Names of the forms `SAMPLER+MODEL`, one model samples, another recovers, and `MODEL --even`, with an even result."""

from __future__ import annotations

from ..catalog import resolve
from ..checkpoints.folder import is_checkpoint
from ..errors import OptionError

_EVEN = " --even"


def is_even(name: str) -> bool:
    """Whether a name asks for an even result: "jetnet --even"."""
    return name.endswith(_EVEN)


def split_model(name: str) -> tuple[str | None, str]:
    """Split a name: "fps+jet" to ("fps", "jet"), "jet" and "jet --even" to (None, "jet")."""
    name = name.removesuffix(_EVEN)
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
    if is_even(name):
        raise OptionError(f"'{name}' upsamples evenly, which is no recovery; leave out --even")
    sampler, model = split_model(name)
    tasks = resolve(model).tasks
    if "recover" not in tasks:
        raise OptionError(f"'{model}' cannot recover; write SAMPLER+MODEL, for example {model}+jet")
    if sampler is None:
        sampler = model if "sample" in tasks else "fps"
    elif "sample" not in resolve(sampler).tasks:
        raise OptionError(f"'{sampler}' in '{name}' cannot sample; use for example fps")
    return sampler, model
