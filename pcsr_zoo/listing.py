"""What there is in the zoo: a row for each model, with its weights, where they are, and its best figure."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from .checkpoints import WEIGHTS, bundled, read_config
from .errors import FileError
from .hub.pins import described, pinned
from .measured import best_row
from .models.base import is_learned
from .registry import find_checkpoint, load, model_class, model_info, names_a_checkpoint


def describe_model(name: str) -> dict[str, Any]:
    """`registry.model_info` and, of a checkpoint of ours:

    ratio (the one that it was trained for; None for any), bytes (of the weights), licence, where ("package", "cache",
    "Hub"), repository (address on the Hub, where it is there), best (see `measured.best_row`). Nothing is fetched.

    Raises:
        OptionError: no such model.
        FileError: a configuration cannot be read.
    """
    row = model_info(name)
    folder = bundled().get(name) or described().get(name)
    if folder is None or "weights" not in row:
        learned = is_learned(model_class(name)) if not Path(name).is_dir() else False
        return {**row, "where": "untrained"} if learned else row
    config = read_config(folder)
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


def pull(name: str | PathLike[str]) -> Path:
    """The folder with a checkpoint's verified weights, fetched if they are not on this machine.

    Args:
        name: one of ours, or "hf:owner/repo[@revision]".

    Raises:
        OptionError: there is no such model, or it has no weights to pull.
        FileError: it cannot be had.
    """
    folder = find_checkpoint(name)
    if folder is None:
        model_class(str(name))  # which knows what may have been meant
        raise FileError(f"'{name}' has no weights to pull: it is made without, or no checkpoint of it is published")
    return folder


def verify(name: str | PathLike[str]) -> Mapping[str, Any]:
    """The configuration of a checkpoint that loads: every hash, key and shape is right. Of ours, nothing is fetched.

    Raises:
        OptionError, FileError: it does not, or it is not on this machine.
    """
    if isinstance(name, str) and names_a_checkpoint(name) and where(name) == "Hub":
        raise FileError(f"'{name}' is not on this machine; fetch it with: pcsr models pull {name}")
    return load(pull(name)).origin
