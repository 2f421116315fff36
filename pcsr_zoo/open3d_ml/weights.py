"""Weights of models with a network: from a checkpoint into a model that exists already."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

from ..catalog import checkpoints_of
from ..errors import FileError, OptionError
from ..models.base import Learned
from ..zoo import LoadedModel, load

_PICKLES = (".bin", ".ckpt", ".pkl", ".pt", ".pth", ".pth.tar")


def choices(zoo_class: Any) -> str:
    """What ckpt_path can be for a class, for messages."""
    return " or ".join([*(one.name for one in checkpoints_of(zoo_class)), "the folder of a checkpoint"])


def load_learned(checkpoint: Any, zoo_class: Any, arguments: dict[str, Any]) -> LoadedModel:
    """Load the checkpoint of a class.

    Args:
        checkpoint: a name, a folder, or an address on the Hub.
        zoo_class: the class that the checkpoint must have.
        arguments: constructor arguments that the checkpoint must have.

    Raises:
        OptionError: there is no such checkpoint, it has another class or other arguments, or it is a pickle.
        FileError: the file or folder is missing or broken.
    """
    if not issubclass(zoo_class, Learned):
        raise OptionError(f"'{zoo_class.name}' has no parameters and takes no checkpoint; leave ckpt_path empty")
    if str(checkpoint).endswith(_PICKLES):
        if not Path(checkpoint).exists():
            raise FileError(f"ckpt_path: {checkpoint} does not exist; give {choices(zoo_class)}")
        raise OptionError(
            f"ckpt_path: {checkpoint} is a pickle, which can run any code when it is loaded, so it is not loaded. Give "
            f"{choices(zoo_class)}. docs/open3d-ml.md shows how to convert a file that this "
            f"package's {zoo_class.__name__} wrote"
        )
    if Path(str(checkpoint)).is_file():
        raise OptionError(f"ckpt_path: {checkpoint} is a file; give {choices(zoo_class)}")
    loaded = load(checkpoint, allow_untrained=True)
    if loaded.config is None:
        raise OptionError(f"ckpt_path: '{checkpoint}' has no trained weights; give {choices(zoo_class)}")
    model = loaded.model
    if type(model) is not zoo_class:
        raise OptionError(
            f"ckpt_path: '{checkpoint}' is a checkpoint of {type(model).__name__}, not of {zoo_class.__name__}; give "
            f"{choices(zoo_class)}"
        )
    for key, value in arguments.items():
        theirs = model.arguments.get(key, value)
        if json.dumps(theirs) != json.dumps(value):  # JSON makes a list of a tuple
            raise OptionError(
                f"ckpt_path: '{checkpoint}' has {key}={theirs}, the model has {key}={value}; leave out '{key}' and "
                "give ckpt_path when you create the model"
            )
    return loaded


def fingerprint(module: Any) -> int:
    """A number that changes if a parameter changes, whatever their order and device."""
    value = 0
    for name, parameter in sorted(module.named_parameters()):
        value = zlib.crc32(name.encode() + parameter.detach().cpu().float().numpy().tobytes(), value)
    return value
