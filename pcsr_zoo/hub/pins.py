"""Names of ours whose weights are on the Hub: each at one commit, so that a name means the same weights for ever.

hub_configs/hub.json maps a name to {"repository": "pcsr-zoo/NAME", "revision": 40 hexadecimal digits}. The package has
the config.json of each in hub_configs/NAME/, too: it says what the weights must be, whatever the Hub delivers.
Where all weights come with the package there is no hub.json.
"""

from __future__ import annotations

import json
from pathlib import Path

from .. import checkpoints
from ..errors import FileError, OptionError
from ..io.files import read_bytes
from .address import Address

PINS = "hub.json"


def pinned() -> dict[str, Address]:
    """Name -> where its weights are on the Hub.

    Raises:
        FileError: hub.json is broken.
    """
    root = checkpoints.package_folder()
    path = root / PINS if root else None
    if path is None or not path.is_file():
        return {}
    try:
        pins = {name: Address(**entry) for name, entry in json.loads(read_bytes(path)).items()}
        moving = [name for name, address in pins.items() if not address.fixed]
        if moving:
            raise OptionError(f"'{moving[0]}' has the revision '{pins[moving[0]].revision}', which is no commit")
    except (ValueError, TypeError, AttributeError, RecursionError) as error:  # an OptionError is a ValueError
        raise FileError(f"{path}: {error}; install pcsr-zoo again") from None
    return pins


def described() -> dict[str, Path]:
    """Pinned names -> the folder of the package with their config.json, whether it has the weights or not."""
    root = checkpoints.package_folder()
    folders = {name: root / name for name in pinned()} if root else {}
    return {name: folder for name, folder in folders.items() if checkpoints.is_checkpoint(folder)}
