"""The named checkpoints of this package: bundled ones, and pinned ones whose weights are on the Hub.

A pinned checkpoint is fixed at one commit, so that a name always means the same weights. hub_configs/hub.json maps its
name to {"repository": "pcsr-zoo/NAME", "revision": 40 hexadecimal digits}, and hub_configs/NAME/config.json has the
sha256 that the weights must have. There is no hub.json if all weights are bundled.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from ..errors import FileError, OptionError
from ..io.files import read_bytes
from .address import Address
from .config import WEIGHTS
from .folder import is_checkpoint

PINS = "hub.json"


def package_folder() -> Path | None:
    """The folder hub_configs: inside the installed package, or beside it in a checkout. None if it is missing."""
    package = Path(__file__).resolve().parents[1]
    root = package / "hub_configs"
    if not root.is_dir() and (package.parent / "pyproject.toml").is_file():
        root = package.parent / "hub_configs"
    return root if root.is_dir() else None


def bundled() -> dict[str, Path]:
    """The bundled checkpoints, which have their weights in the package: name -> folder."""
    root = package_folder()
    folders = sorted(root.iterdir()) if root else []
    return {folder.name: folder for folder in folders if is_checkpoint(folder) and (folder / WEIGHTS).is_file()}


def is_ours(folder: str | PathLike[str], config: Mapping[str, Any]) -> bool:
    """Whether a folder is the package's checkpoint of its name, so that `load(name)` finds it."""
    found = bundled().get(config["name"]) or described().get(config["name"])
    return found is not None and found.resolve() == Path(folder).resolve()


def pinned() -> dict[str, Address]:
    """The pinned checkpoints: name -> address of the weights on the Hub.

    Raises:
        FileError: hub.json is invalid.
    """
    root = package_folder()
    path = root / PINS if root else None
    if path is None or not path.is_file():
        return {}
    try:
        pins = {name: Address(**entry) for name, entry in json.loads(read_bytes(path)).items()}
        moving = [name for name, address in pins.items() if not address.fixed]
        if moving:
            raise OptionError(f"'{moving[0]}' has the revision '{pins[moving[0]].revision}', which is not a commit")
    except (ValueError, TypeError, AttributeError, RecursionError) as error:  # an OptionError is a ValueError
        raise FileError(f"{path}: {error}; install pcsr-zoo again") from None
    return pins


def described() -> dict[str, Path]:
    """The pinned checkpoints: name -> folder of the package with the config.json, with or without the weights."""
    root = package_folder()
    folders = {name: root / name for name in pinned()} if root else {}
    return {name: folder for name, folder in folders.items() if is_checkpoint(folder)}
