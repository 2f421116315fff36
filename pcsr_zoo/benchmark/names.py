"""`SAMPLER+MODEL`: who samples, and who recovers."""

from __future__ import annotations

from ..catalog import resolve
from ..checkpoints.folder import is_checkpoint
from ..errors import OptionError


def split_model(name: str) -> tuple[str | None, str]:
    """("fps", "jet") of "fps+jet"; (None, "jet") of "jet"."""
    if is_checkpoint(name):
        return None, name
    sampler, plus, model = name.rpartition("+")
    if plus and not (sampler and model):
        raise OptionError(f"'{name}' is not a model name; write MODEL or SAMPLER+MODEL, for example fps+jet")
    return sampler or None, model


def sampler_and_recoverer(name: str) -> tuple[str, str]:
    """("random", "jet") of "random+jet". A plain name samples itself where it can, else "fps" does.

    Raises:
        OptionError: no such model, or one that does not do its part.
    """
    sampler, model = split_model(name)
    tasks = resolve(model).tasks
    if "recover" not in tasks:
        raise OptionError(f"'{model}' does not recover; write SAMPLER+MODEL, for example {model}+jet")
    if sampler is None:
        sampler = model if "sample" in tasks else "fps"
    elif "sample" not in resolve(sampler).tasks:
        raise OptionError(f"'{sampler}' in '{name}' does not sample; use fps, for example")
    return sampler, model
