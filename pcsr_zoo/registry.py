"""Names -> models. Model classes are listed here as text and imported when they are asked for."""

from __future__ import annotations

import difflib
import importlib
from fnmatch import fnmatchcase
from typing import Any

from .errors import OptionError

# name -> "module:Class"; `register_model` adds to it.
_MODELS: dict[str, str | type] = {
    "jet": "pcsr_zoo.models.jet:Jet",
    "midpoint": "pcsr_zoo.models.midpoint:Midpoint",
    "fps": "pcsr_zoo.models.samplers:FPS",
    "random": "pcsr_zoo.models.samplers:Random",
    "poisson": "pcsr_zoo.models.samplers:PoissonDisk",
    "voxel": "pcsr_zoo.models.samplers:Voxel",
}


def register_model(cls: type) -> type:
    """Class decorator: makes a model of yours known by its `name` to `load`, the pipelines and the benchmark."""
    _MODELS[cls.name] = cls  # type: ignore[attr-defined]
    return cls


def list_models(pattern: str = "*") -> list[str]:
    """The names of all models that match a shell pattern such as `jet*`."""
    return sorted(name for name in _MODELS if fnmatchcase(name, pattern))


def model_class(name: str) -> type:
    """The class behind a name.

    Raises:
        OptionError: no such model; the message lists close matches, or all.
    """
    if name not in _MODELS:
        close = difflib.get_close_matches(name, _MODELS, n=3, cutoff=0.6)
        hint = f"did you mean {' or '.join(close)}?" if close else f"there are: {', '.join(list_models())}"
        raise OptionError(f"no model is called '{name}'; {hint}")
    entry = _MODELS[name]
    if isinstance(entry, str):
        module, _, attribute = entry.partition(":")
        return getattr(importlib.import_module(module), attribute)
    return entry


def model_info(name: str) -> dict[str, str]:
    """What `pcsr models` shows: name, task (`upsample` or `sample`), summary, source."""
    cls: Any = model_class(name)
    return {"name": name, "task": cls.task, "summary": cls.summary, "source": cls.source}


def load(name: Any) -> Any:
    """A model, ready to use, by name: `load("jet").upsample(points, 4)`.

    A model object comes back as it is, a model class is made into one with its defaults.

    Raises:
        OptionError: no such model.
    """
    if not isinstance(name, str):
        return name() if isinstance(name, type) else name
    return model_class(name)()
