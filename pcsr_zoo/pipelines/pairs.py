"""`SAMPLER+MODEL`: who samples, and who recovers."""

from __future__ import annotations

from ..checkpoints import is_checkpoint
from ..errors import OptionError
from ..registry import tasks_named


def split_model(name: str) -> tuple[str | None, str]:
    """("fps", "jet") of "fps+jet"; (None, "jet") of "jet"."""
    if is_checkpoint(name):
        return None, name
    sampler, plus, model = name.rpartition("+")
    if plus and not (sampler and model):
        raise OptionError(f"'{name}' is not a model name; write MODEL or SAMPLER+MODEL, for example fps+jet")
    return sampler or None, model


def own_sampler(model: str) -> str:
    """Who samples for a model where nobody is named: it does so itself where it can, else "fps"."""
    return model if "sample" in tasks_named(model) else "fps"


def sampler_and_recoverer(name: str) -> tuple[str, str]:
    """("random", "jet") of "random+jet". A plain name samples itself where it can, else "fps" does.

    Raises:
        OptionError: no such model, or one that does not do its part.
    """
    sampler, model = split_model(name)
    if "recover" not in tasks_named(model):
        raise OptionError(f"'{model}' does not recover; write SAMPLER+MODEL, for example {model}+jet")
    if sampler is None:
        sampler = own_sampler(model)
    elif "sample" not in tasks_named(sampler):
        raise OptionError(f"'{sampler}' in '{name}' does not sample; take fps, for example")
    return sampler, model
