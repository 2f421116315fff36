"""Names -> models. Model classes are listed here as text and imported when they are asked for."""

from __future__ import annotations

import difflib
import importlib
import logging
import os
from fnmatch import fnmatchcase
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .checkpoints import bundled, checkpoint_class, is_checkpoint, load_checkpoint, read_config, weights_digest
from .errors import FileError, OptionError
from .hub.address import Address, is_address
from .hub.pins import described, pinned
from .models.base import is_learned, tasks_of
from .tensors import as_dtype

if TYPE_CHECKING:
    from .hub.fetch import Transfer

_log = logging.getLogger(__name__)

# name -> "module:Class"; `register_model` adds to it.
_MODELS: dict[str, str | type] = {
    "jet": "pcsr_zoo.models.jet:Jet",
    "jetnet": "pcsr_zoo.models.jetnet:JetNet",
    "midpoint": "pcsr_zoo.models.midpoint:Midpoint",
    "pointlie": "pcsr_zoo.models.pointlie:PointLIE",
    "pointlie-geo": "pcsr_zoo.models.pointlie_geo:PointLIEGeo",
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
    """The names of all models, trained or not in need of it, that match a shell pattern such as `pointlie*`."""
    names = {*_MODELS, *bundled(), *described()}
    return sorted(name for name in names if fnmatchcase(name, pattern))


def names_a_checkpoint(name: str) -> bool:
    """Whether `load(name)` finds weights by the name alone: they come with the package, or are ours on the Hub."""
    return name in bundled() or name in described()


def our_folder(name: str) -> Path | None:
    """The package's folder with the configuration of a checkpoint of ours, whose weights may be on the Hub.

    None where no checkpoint of ours has the name, or a class that `register_model` made known goes before it.
    """
    return None if isinstance(_MODELS.get(name), type) else bundled().get(name) or described().get(name)


def our_checkpoint(name: str, transfer: Transfer | None = None) -> Path | None:
    """The folder with the weights of a checkpoint of ours, fetched if they are not on this machine; None as above.

    Raises:
        FileError: it is on the Hub and cannot be had.
    """
    if (folder := our_folder(name)) is None or name in bundled():
        return folder
    from .hub.fetch import fetch

    return fetch(pinned()[name], transfer, expected=read_config(folder))


def registered_class(name: str) -> type:
    """The class of that name itself.

    Raises:
        OptionError: no class has it; the message lists close matches, or all.
    """
    if name not in _MODELS:
        raise _unknown(name)
    entry = _MODELS[name]
    if isinstance(entry, str):
        module, _, attribute = entry.partition(":")
        return getattr(importlib.import_module(module), attribute)
    return entry


def model_class(name: str) -> type:
    """The class behind the name of a class or of a checkpoint; no weights are read or fetched.

    Raises:
        OptionError: no such model; the message lists close matches, or all.
    """
    if name not in _MODELS and (folder := _configured(name)) is not None:
        return checkpoint_class(folder, read_config(folder))
    return registered_class(name)


def find_checkpoint(name: str | PathLike[str] | Address) -> Path | None:
    """The folder of the checkpoint that `load(name)` takes; None where it takes a class without weights.

    A path goes before a name, a class registered by `register_model` before a checkpoint of ours, and one that comes
    with the package before the cache and the Hub, from which the others are fetched.

    Raises:
        OptionError: "hf:" is followed by no address.
        FileError: it is on the Hub and cannot be had.
    """
    return _find(name, None)


def _find(name: str | PathLike[str] | Address, transfer: Transfer | None) -> Path | None:
    if is_address(name) and not (isinstance(name, str) and is_checkpoint(name)):
        from .hub.fetch import fetch

        return fetch(_parsed(name), transfer)
    if not isinstance(name, str) or is_checkpoint(name):
        return Path(name)  # type: ignore[arg-type]
    if isinstance(_MODELS.get(name), type):
        return None
    if (folder := our_checkpoint(name, transfer)) is not None:
        return folder
    looks_like_a_path = any(mark in name for mark in "/\\") or name.startswith((".", "~")) or os.path.exists(name)
    return Path(name) if looks_like_a_path and name not in _MODELS else None


def _parsed(address: Any) -> Address:
    return address if isinstance(address, Address) else Address.parse(str(address))


def _configured(name: str | PathLike[str] | Address) -> Path | None:
    """The folder with the config.json of a checkpoint; as `find_checkpoint`, but nothing is fetched for our names."""
    folder = our_folder(name) if isinstance(name, str) and not is_checkpoint(name) else None
    return folder or find_checkpoint(name)


def _unknown(name: str) -> OptionError:
    names = list_models()
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.6)
    hint = f"did you mean {' or '.join(close)}?" if close else f"there are: {', '.join(names)}"
    return OptionError(f"no model is called '{name}'; {hint}")


def model_info(name: str | PathLike[str] | Address) -> dict[str, Any]:
    """What `pcsr models` shows: name, tasks (some of `sample`, `upsample`, `recover`), summary, source.

    Of a checkpoint, a path or an address included, also `parameters` (how many) and `weights` (their sha256).

    Raises:
        OptionError: no such model.
        FileError: the checkpoint's configuration cannot be read.
    """
    folder = _configured(name)
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
    folder = _configured(name)
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
        if (folder := _configured(model)) is None:
            return str(model), None
        config = read_config(folder)
        return config["name"], f"sha256:{config['sha256']}"
    learned = is_learned(model)
    return model.name, f"sha256:{weights_digest(model)}" if learned else None


def load(name: Any, *, device: Any = None, dtype: Any = None, transfer: Transfer | None = None) -> Any:
    """A model, ready to use: `load("jet").upsample(points, 4)`, `load("runs/mine").upsample(points, 4)`.

    A name that is a checkpoint's and its class's gives the pretrained one; `model_class(name)()` is the untrained one.
    A model object comes back as it is, a model class is made into one with its defaults.

    Args:
        name: in this order: the folder of a checkpoint; the name of one that comes with the package; the name of
            another of ours, from the Hugging Face cache or from the Hub, always at the same commit; or
            "hf:owner/repo" or "hf:owner/repo@revision", anybody's checkpoint on the Hub.
        device: where it computes, such as "cuda"; a run may say otherwise. By default the CPU.
        dtype: of a network's floats, one of its class's `dtypes`; by default float32.
        transfer: how files are got from the Hub, see `hub.fetch`; by default as everywhere.

    Weights are checked against their sha256 each time. Nothing that is loaded is executed: only config.json and
    model.safetensors are read.

    Raises:
        OptionError: no such model, device or dtype.
        FileError: no checkpoint at that path or address, or a broken one; the message says what to do.
    """
    if not isinstance(name, (str, PathLike, Address)):
        model = name() if isinstance(name, type) and tasks_of(name) else name
        if not tasks_of(model):
            raise OptionError(f"{model!r} is no model; give a name, a checkpoint's folder, or a model object")
        return _placed(model, device, dtype)
    if (folder := _find(name, transfer)) is not None:
        try:
            model = load_checkpoint(folder, dtype=dtype)
        except FileError as error:
            if is_address(name):  # the folder is somewhere in a cache
                raise FileError(f"{name}: {error}") from None
            raise
        if is_address(name) and not is_checkpoint(str(name)):
            model.address = str(_parsed(name).at(folder.name))
        return _placed(model, device)
    cls = model_class(str(name))
    if is_learned(cls):
        _log.warning("'%s' has untrained weights: no checkpoint of that name comes with this version", name)
    return _placed(cls(), device, dtype)


def _placed(model: Any, device: Any, dtype: Any = None) -> Any:
    """The model where it is to compute, and in which floats."""
    if dtype is not None:
        if not is_learned(model):
            raise OptionError(f"dtype: '{model.name}' has no network, so no dtype can be chosen; leave it out")
        model.network.to(as_dtype(dtype, type(model)))
    if device is not None:
        from .pipelines.arguments import as_device

        model.device = as_device(device)
        if is_learned(model):
            model.network.to(model.device)
    return model
