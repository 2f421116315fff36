"""Registry of model classes by name.

- A family of this package is a folder of `pcsr_zoo/models/` with a `model.py`, which defines its model classes.
- Another package registers its classes by the entry-point group `pcsr_zoo.models`, with `name = "module:Class"`.
- `register_model` registers a class in the running process. It takes precedence over the others.
"""

from __future__ import annotations

import functools
import importlib
import logging
import pkgutil
from importlib import metadata
from typing import Any, TypeVar

from ..errors import OptionError, suggestion
from . import __path__ as _FOLDERS
from .base import Learned, PatchUpsampler, Recoverer, Sampler, ScanLineUpsampler, Upsampler, tasks_of

GROUP = "pcsr_zoo.models"

T = TypeVar("T", bound=type)

_log = logging.getLogger("pcsr_zoo")
_registered: dict[str, type] = {}


def register_model(cls: T) -> T:
    """Class decorator that registers a model class by its `name` for `load`, the pipelines and the benchmark.

    Raises:
        OptionError: the class has no name, or is not a model.
    """
    if not tasks_of(cls) or not isinstance(getattr(cls, "name", None), str):
        raise OptionError(
            f"{cls.__name__} is not a model; derive it from Upsampler, PatchUpsampler, ScanLineUpsampler or Sampler, "
            "and give it a name"
        )
    _registered[cls.name] = cls  # type: ignore[attr-defined]
    return cls


def is_registered(name: str) -> bool:
    """Whether `register_model` added a class of this name. It takes precedence over checkpoints of the name."""
    return name in _registered


def model_names() -> list[str]:
    """The names of all model classes. Classes of other packages are not imported."""
    return sorted({*_own(), *_offered(), *_registered})


def registered_class(name: str) -> type:
    """The class of this name.

    Raises:
        OptionError: there is no such class, or its package cannot be imported.
    """
    if name in _registered:
        return _registered[name]
    if name in _own():
        return _own()[name]
    if name in _offered():
        return _import(_offered()[name])
    raise OptionError(f"there is no model '{name}'; {suggestion(name, model_names())}")


def without_alias(name: str) -> str:
    """The name of a class or a checkpoint in place of one that begins with another name of the method: "mpu-x4" for
    "3pu-x4". Other names are returned as they are."""
    for cls in (*_own().values(), *_registered.values()):
        for alias in getattr(cls, "aliases", ()):
            if name == alias or name.startswith(f"{alias}-x"):
                return str(cls.name) + name[len(alias) :]  # type: ignore[attr-defined]
    return name


def model_classes() -> dict[str, Any]:
    """Name -> class of every model. A class of another package that cannot be imported is omitted with a warning."""
    found = {}
    for name in model_names():
        try:
            found[name] = registered_class(name)
        except OptionError as error:
            _log.warning("%s", error)
    return found


@functools.cache
def families() -> dict[str, list[type]]:
    """Folder of `pcsr_zoo/models/` -> the model classes of its model.py, in their order."""
    found: dict[str, list[type]] = {}
    for entry in pkgutil.iter_modules(_FOLDERS):
        if entry.ispkg:
            module = importlib.import_module(f".{entry.name}.model", __package__)
            found[entry.name] = [cls for cls in vars(module).values() if _is_model_of(cls, module.__name__)]
    return found


def _is_model_of(value: Any, module: str) -> bool:
    contract = (Upsampler, PatchUpsampler, ScanLineUpsampler, Sampler, Recoverer, Learned)
    return (
        isinstance(value, type) and issubclass(value, contract) and value.__module__ == module and "name" in vars(value)
    )


@functools.cache
def _own() -> dict[str, type]:
    return {cls.name: cls for classes in families().values() for cls in classes}  # type: ignore[attr-defined]


@functools.cache
def _offered() -> dict[str, metadata.EntryPoint]:
    return {entry.name: entry for entry in metadata.entry_points(group=GROUP)}


def _import(entry: metadata.EntryPoint) -> type:
    try:
        cls = entry.load()
    except Exception as error:  # the module may raise anything
        raise OptionError(f"the model '{entry.name}' of {entry.value} cannot be imported: {error}") from error
    if getattr(cls, "name", None) != entry.name or not tasks_of(cls):
        raise OptionError(f"{entry.value}, registered as the model '{entry.name}', is not a model class of this name")
    return cls
