"""config.json of a checkpoint: its form, strictly. What does not have it is refused before anything is made of it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from .errors import FileError, OptionError
from .io.files import read_bytes

FORMAT = "pcsr-checkpoint-1"
CONFIG, WEIGHTS, CARD = "config.json", "model.safetensors", "README.md"
_FIELDS = {"name": str, "model": str, "arguments": dict, "parameters": int, "sha256": str, "about": dict}
_NAME, _SHA256 = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*"), re.compile(r"[0-9a-f]{64}")


def is_name(name: str) -> bool:
    """Whether a checkpoint may have it: it becomes part of paths and commands."""
    return _NAME.fullmatch(name) is not None


def parse_config(path: Path) -> dict[str, Any]:
    """What the file says.

    Raises:
        FileError: it is missing, broken, of another version, or has keys or values that none of ours has.
    """
    try:
        config = json.loads(read_bytes(path).decode("utf-8"), parse_constant=_no_number)
    except (ValueError, RecursionError) as error:  # a UnicodeDecodeError is a ValueError
        raise FileError(f"{path} is not JSON: {error}; get the checkpoint again") from None
    found = config.get("format") if isinstance(config, dict) else None
    if not isinstance(found, str) or not found.startswith("pcsr-checkpoint-"):
        raise FileError(f"{path} is not the {CONFIG} of a pcsr-zoo checkpoint: no 'format' says so")
    if found != FORMAT:
        raise FileError(f"{path} has the format '{found}', this version reads '{FORMAT}'; update pcsr-zoo")
    for field, kind in _FIELDS.items():
        if not isinstance(config.get(field), kind):
            raise FileError(f"{path}: '{field}' is missing or no {kind.__name__}; get the checkpoint again")
    if unknown := sorted(config.keys() - _FIELDS.keys() - {"format"}):
        raise FileError(f"{path} has the unknown key '{unknown[0]}'; update pcsr-zoo, or get the checkpoint again")
    if not is_name(config["name"]):
        raise FileError(f"{path}: '{config['name']}' is no name for a checkpoint; get the checkpoint again")
    if not _SHA256.fullmatch(config["sha256"]):
        raise FileError(f"{path}: 'sha256' is not the 64 hexadecimal digits of one; get the checkpoint again")
    return config


def _no_number(text: str) -> None:
    raise ValueError(f"{text} is no JSON")


def to_json(config: dict[str, Any]) -> bytes:
    """The file's content.

    Raises:
        OptionError: JSON cannot hold a part of it.
    """

    def plain(value: Any) -> Any:
        if hasattr(value, "tolist"):  # numpy's and torch's numbers and arrays
            return value.tolist()
        raise OptionError(f"{CONFIG} cannot hold {value!r} of {type(value).__name__}; give text, numbers, lists")

    try:
        return (json.dumps(config, indent=2, ensure_ascii=False, allow_nan=False, default=plain) + "\n").encode()
    except (TypeError, ValueError) as error:
        if isinstance(error, OptionError):
            raise
        raise OptionError(f"{CONFIG} cannot hold the arguments or facts: {error}") from error
