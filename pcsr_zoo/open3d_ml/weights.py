"""Weights of learned models: from a checkpoint into a model that is there already."""

from __future__ import annotations

import json
import zlib
from typing import Any

from ..errors import OptionError
from ..models.base import Learned
from ..zoo import load


def load_learned(checkpoint: Any, zoo_class: Any, arguments: dict[str, Any]) -> Any:
    """The model of the zoo that a checkpoint holds.

    Args:
        checkpoint: a name or a folder.
        zoo_class: the class that it must be of.
        arguments: which it must have been made with, as far as they are given.

    Raises:
        OptionError: no such checkpoint, or one of another class or other arguments.
        FileError: the folder is missing or broken.
    """
    if not issubclass(zoo_class, Learned):
        raise OptionError(f"'{zoo_class.name}' has no parameters, so it takes no checkpoint; leave ckpt_path empty")
    loaded = load(checkpoint)
    if loaded.config is None:
        raise OptionError(f"'{checkpoint}' is not a checkpoint; name one, or the folder of one")
    model = loaded.model
    if type(model) is not zoo_class:
        raise OptionError(f"the checkpoint '{checkpoint}' holds a {type(model).__name__}, not a {zoo_class.__name__}")
    for key, value in arguments.items():
        theirs = model.arguments.get(key, value)
        if json.dumps(theirs) != json.dumps(value):  # a tuple comes back as a list
            raise OptionError(
                f"the checkpoint '{checkpoint}' was made with {key}={theirs}, the model with {key}={value}; "
                "leave that argument to the checkpoint: give ckpt_path when you make the model"
            )
    return model


def fill(model: Any, source: Any) -> None:
    """Copy the parameters and buffers of `source` into `model`, where they are."""
    model.network.load_state_dict(source.network.state_dict(), strict=True)


def fingerprint(module: Any) -> int:
    """A number that changes when a parameter does, wherever they are and in whichever order they were made."""
    value = 0
    for name, parameter in sorted(module.named_parameters()):
        value = zlib.crc32(name.encode() + parameter.detach().cpu().float().numpy().tobytes(), value)
    return value
