"""Names -> models. Model classes are listed here as text and imported when they are asked for."""

from __future__ import annotations

import difflib
import importlib
import logging
import os
from fnmatch import fnmatchcase
from os import PathLike
from pathlib import Path
from typing import Any

from .checkpoints import bundled, checkpoint_class, is_checkpoint, load_checkpoint, read_config, weights_digest
from .errors import OptionError
from .models.base import Learned, tasks_of

_log = logging.getLogger(__name__)

# name -> "module:Class"; `register_model` adds to it.
_MODELS: dict[str, str | type] = {
    "jet": "pcsr_zoo.models.jet:Jet",
    "jetnet": "pcsr_zoo.models.jetnet:JetNet",
    "midpoint": "pcsr_zoo.models.midpoint:Midpoint",
    "pointlie": "pcsr_zoo.models.pointlie:PointLIE",
    "sspu-net": "pcsr_zoo.models.sspu_net:SSPUNet",
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
    """The names of all models, trained or not in need of it, that match a shell pattern such as `jet*`."""
    return sorted(name for name in _MODELS.keys() | bundled() if fnmatchcase(name, pattern))


def model_class(name: str) -> type:
    """The class behind the name of a class or of a checkpoint.

    Raises:
        OptionError: no such model; the message lists close matches, or all.
    """
    if name not in _MODELS:
        if (folder := bundled().get(name)) is not None:
            return checkpoint_class(folder, read_config(folder))
        names = list_models()
        close = difflib.get_close_matches(name, names, n=3, cutoff=0.6)
        hint = f"did you mean {' or '.join(close)}?" if close else f"there are: {', '.join(names)}"
        raise OptionError(f"no model is called '{name}'; {hint}")
    entry = _MODELS[name]
    if isinstance(entry, str):
        module, _, attribute = entry.partition(":")
        return getattr(importlib.import_module(module), attribute)
    return entry


def find_checkpoint(name: str | PathLike[str]) -> Path | None:
    """The folder of the checkpoint that `load(name)` takes; None where it takes a class without weights.

    A path goes before a name, and a class registered by `register_model` before a checkpoint of the package.
    """
    if not isinstance(name, str) or is_checkpoint(name):
        return Path(name)
    if isinstance(_MODELS.get(name), type):
        return None
    if (folder := bundled().get(name)) is not None:
        return folder
    looks_like_a_path = any(mark in name for mark in "/\\") or name.startswith((".", "~")) or os.path.exists(name)
    return Path(name) if looks_like_a_path and name not in _MODELS else None


def model_info(name: str | PathLike[str]) -> dict[str, Any]:
    """What `pcsr models` shows: name, tasks (some of `sample`, `upsample`, `recover`), summary, source.

    Of a checkpoint, a path to one included, also `parameters` (how many) and `weights` (their sha256).

    Raises:
        OptionError: no such model.
        FileError: the checkpoint's configuration cannot be read.
    """
    folder = find_checkpoint(name)
    if folder is None:
        cls: Any = model_class(str(name))
        return {"name": name, "tasks": list(tasks_of(cls)), "summary": cls.summary, "source": cls.source}
    config = read_config(folder)
    cls = checkpoint_class(folder, config)
    return {
        "name": config["name"],
        "tasks": list(tasks_of(cls)),
        "summary": config["about"].get("summary") or cls.summary,
        "source": cls.source,
        "parameters": config["parameters"],
        "weights": f"sha256:{config['sha256']}",
    }


def class_named(name: str | PathLike[str]) -> type:
    """The class of the model that `load(name)` gives; its weights are not read.

    Raises:
        OptionError: no such model.
        FileError: the checkpoint's configuration cannot be read.
    """
    folder = find_checkpoint(name)
    return model_class(str(name)) if folder is None else checkpoint_class(folder, read_config(folder))


def tasks_named(name: str | PathLike[str]) -> tuple[str, ...]:
    """What the model of that name or folder does, see `models.base.tasks_of`; errors are those of `class_named`."""
    return tasks_of(class_named(name))


def identify(model: Any) -> tuple[str, str | None]:
    """What tells a model from others: its name, and "sha256:..." of its weights (None where it has none).

    Args:
        model: a name, the folder of a checkpoint, or a model object, whose weights are taken as they are now.
    """
    if isinstance(model, (str, PathLike)):
        if (folder := find_checkpoint(model)) is None:
            return str(model), None
        config = read_config(folder)
        return config["name"], f"sha256:{config['sha256']}"
    learned = isinstance(model, Learned)
    return model.name, f"sha256:{weights_digest(model)}" if learned else None


def load(name: Any) -> Any:
    """A model, ready to use: `load("jet").upsample(points, 4)`, `load("runs/mine").upsample(points, 4)`.

    A folder is a checkpoint, see `checkpoints.load_checkpoint`. A name that is a checkpoint's and its class's gives
    the pretrained one; `model_class(name)()` is the untrained one. A model object comes back as it is, a model class
    is made into one with its defaults.

    Raises:
        OptionError: no such model.
        FileError: no checkpoint at that path, or a broken one.
    """
    if not isinstance(name, (str, PathLike)):
        return name() if isinstance(name, type) else name
    if (folder := find_checkpoint(name)) is not None:
        return load_checkpoint(folder)
    cls = model_class(str(name))
    if issubclass(cls, Learned):
        _log.warning("'%s' has untrained weights: no checkpoint of that name comes with this version", name)
    return cls()
