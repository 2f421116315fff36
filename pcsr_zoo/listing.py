"""What there is in the zoo: a row for each model, with its weights, where they are, and its best figure."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from .checkpoints import WEIGHTS, bundled, is_checkpoint, read_config
from .errors import FileError
from .hub.address import is_address
from .hub.pins import pinned
from .measured import best_row
from .models.base import is_learned, tasks_of
from .registry import (
    find_checkpoint,
    load,
    model_class,
    model_info,
    names_a_checkpoint,
    our_checkpoint,
    our_folder,
    registered_class,
)


def describe_model(name: str) -> dict[str, Any]:
    """`registry.model_info` of the name, whatever folders there are, and, of a checkpoint of ours:

    ratio (the one that it was trained for; None for any), bytes (of the weights), licence, where ("package", "cache",
    "Hub"), repository (address on the Hub, where it is there), best (see `measured.best_row`). Nothing is fetched.

    Raises:
        OptionError: no such model.
        FileError: a configuration cannot be read.
    """
    folder = our_folder(name)
    if folder is None:
        cls: Any = registered_class(name)
        row = {"name": name, "tasks": list(tasks_of(cls)), "summary": cls.summary, "source": cls.source}
        return {**row, "where": "untrained"} if is_learned(cls) else row
    row, config = model_info(folder), read_config(folder)
    weights, address = folder / WEIGHTS, pinned().get(name)
    row |= {
        "ratio": config["arguments"].get("ratio"),
        "bytes": weights.stat().st_size if weights.is_file() else 4 * config["parameters"],
        "licence": config["about"].get("licence"),
        "where": where(name),
        "best": best_row(config["about"].get("measured") or [], config["name"]),
    }
    return row | ({"repository": str(address)} if address else {})


def where(name: str) -> str:
    """Where the weights of a checkpoint of ours are: "package", "cache" or "Hub"."""
    if name in bundled():
        return "package"
    from .hub.fetch import cached

    return "cache" if cached(pinned()[name]) else "Hub"


def pull(name: str) -> Path:
    """The folder with a checkpoint's verified weights, fetched if they are not on this machine.

    Args:
        name: one of ours, whatever folders there are, or "hf:owner/repo[@revision]".

    Raises:
        OptionError: there is no such model.
        FileError: it has no weights to pull, or cannot be had.
    """
    if (folder := our_checkpoint(name)) is not None:
        return folder
    if not is_address(name):
        if is_checkpoint(name):
            raise FileError(f"'{name}' is a folder on this machine already; name a model, or hf:owner/repo")
        model_class(name)  # which knows what may have been meant
        raise FileError(f"'{name}' has no weights to pull: it is made without, or no checkpoint of it is published")
    return _found(name)


def verify(name: str | PathLike[str], ours: bool = False) -> Mapping[str, Any]:
    """The configuration of a checkpoint that loads: every hash, key and shape is right. Of ours, nothing is fetched.

    Args:
        name: what `load` takes.
        ours: it is the name of one of ours, whatever folders there are.

    Raises:
        OptionError, FileError: it does not, or it is not on this machine.
    """
    by_name = ours or not is_checkpoint(name)
    if by_name and isinstance(name, str) and names_a_checkpoint(name) and where(name) == "Hub":
        raise FileError(f"'{name}' is not on this machine; fetch it with: pcsr models pull {name}")
    folder = our_checkpoint(str(name)) if ours else None
    return load(folder if folder is not None else _found(name)).origin


def _found(name: str | PathLike[str]) -> Path:
    folder = find_checkpoint(name)
    if folder is None:
        model_class(str(name))
        raise FileError(f"'{name}' has no weights: it is made without, or no checkpoint of it is published")
    return folder
