"""The schema of a checkpoint's config.json. A file that does not match it is refused before it is used."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import FileError, OptionError
from ..io.files import read_bytes
from .untrusted_text import one_line, quoted

FORMAT = "pcsr-checkpoint-1"
CONFIG, WEIGHTS, CARD = "config.json", "model.safetensors", "README.md"
LONGEST = 16 * 2**20  # bytes; a config.json of pcsr-zoo has less than a hundredth of this
AGAIN, UPDATE = "get the checkpoint again", "update pcsr-zoo"  # advice at the end of messages
_FIELDS = {"name": str, "model": str, "arguments": dict, "parameters": int, "sha256": str, "about": dict}
# Keys of "about" that cards and listings use, and their types. Each may be missing or null.
_FACTS: dict[str, type] = {
    **dict.fromkeys(("license", "summary", "parent", "ours", "paper"), str),
    **dict.fromkeys(("settings", "recipe"), dict),
    **dict.fromkeys(("measured", "ablations", "failures"), list),
}
_ROW = ("task", "model", "convention", "command")
_ROWS = {"measured": _ROW, "ablations": ("what", *_ROW)}
_NUMBERS = ("cd", "hd", "p2f", "p2f_std", "shapes", "p2f_shapes", "seconds")
_NAME, _SHA256 = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}"), re.compile(r"[0-9a-f]{64}")


def is_name(name: str) -> bool:
    """Whether a text is a valid checkpoint name. Names become parts of paths and commands."""
    return _NAME.fullmatch(name) is not None


def most_bytes(config: Mapping[str, Any]) -> int:
    """The largest size of the weights of a checkpoint: 8 bytes for each parameter, and room for buffers and names."""
    return 8 * int(config["parameters"]) + 2**22


def parse_config(path: Path) -> dict[str, Any]:
    """Read a config.json and check it.

    Returns:
        Its content.

    Raises:
        FileError: the file is missing, broken, of another format version, or has invalid keys or values.
    """
    config = _parse_json(path)
    found = config.get("format") if isinstance(config, dict) else None
    if not isinstance(found, str) or not found.startswith("pcsr-checkpoint-"):
        raise FileError(f"{path} is not the {CONFIG} of a pcsr-zoo checkpoint: it has no 'format'; {AGAIN}")
    if found != FORMAT:
        raise FileError(f"{path} has the format {quoted(found)}, but this version reads '{FORMAT}'; {UPDATE}")
    for field, kind in _FIELDS.items():
        if not _is_a(config.get(field), kind):
            raise FileError(f"{path}: '{field}' is missing or is not a {kind.__name__}; {AGAIN}")
    if unknown := sorted(config.keys() - _FIELDS.keys() - {"format"}):
        raise FileError(f"{path} has the unknown key {quoted(unknown[0])}, perhaps of a newer version; {UPDATE}")
    if not is_name(config["name"]):
        raise FileError(f"{path}: {quoted(config['name'])} is not a valid checkpoint name; {AGAIN}")
    if len(config["model"]) > 200 or not config["model"].isprintable():  # it is printed
        raise FileError(f"{path}: {quoted(config['model'])} is not a valid model name; {AGAIN}")
    if not _SHA256.fullmatch(config["sha256"]):
        raise FileError(f"{path}: 'sha256' must have 64 hexadecimal digits; {AGAIN}")
    if not 0 <= config["parameters"] < 10**15:
        raise FileError(f"{path}: 'parameters' must be from 0 to 1e15, got {quoted(config['parameters'])}; {AGAIN}")
    if fault := _fault(config["about"]):
        raise FileError(f"{path}: {fault}; correct it there, or {AGAIN}")
    return config


def _parse_json(path: Path) -> Any:
    content = read_bytes(path)
    if len(content) > LONGEST:
        raise FileError(f"{path} has {len(content):,} bytes; a {CONFIG} has at most {LONGEST:,}; {AGAIN}")
    try:
        config = json.loads(
            content.decode("utf-8"), parse_constant=_no_number, parse_float=_finite, object_pairs_hook=_each_once
        )
        json.dumps(config, ensure_ascii=False).encode()  # lone surrogates cannot be encoded
    except (ValueError, RecursionError) as error:  # a UnicodeDecodeError is a ValueError
        raise FileError(f"{path} is not JSON: {one_line(str(error))}; {AGAIN}") from None
    return config


def _fault(about: Mapping[str, Any]) -> str:
    """Describe the first invalid entry of "about", which is untrusted text; empty if all entries are valid."""
    for fact, kind in _FACTS.items():
        if about.get(fact) is not None and not _is_a(about[fact], kind):
            return f"'{fact}' under 'about' is not a {kind.__name__}"
    if not all(isinstance(text, str) for text in about.get("failures") or []):
        return "'failures' under 'about' is not a list of texts"
    for fact, texts in _ROWS.items():
        if not all(_is_row(row, texts) for row in about.get(fact) or []):
            return f"'{fact}' under 'about' is not a list of benchmark rows"
    return ""


def _is_row(row: Any, texts: tuple[str, ...]) -> bool:
    return (
        isinstance(row, dict)
        and all(isinstance(row.get(key), str) for key in texts)
        and all(row.get(key) is None or (_is_a(row[key], float) and abs(row[key]) < 1e30) for key in _NUMBERS)
        and isinstance(row.get("weights") or "", str)
        and isinstance(row.get("machine") or {}, dict)
    )


def _is_a(value: Any, kind: type) -> bool:
    """`isinstance`, except that a bool is not a number and an int is also a float."""
    return isinstance(value, (int, float) if kind is float else kind) and not isinstance(value, bool)


def _no_number(text: str) -> None:
    raise ValueError(f"{text} is not valid JSON")


def _finite(text: str) -> float:
    if not math.isfinite(value := float(text)):
        raise ValueError(f"the number {quoted(text)} is too large")
    return value


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):  # JSON parsers differ in which value they keep
        ((key, _),) = Counter(key for key, _ in pairs).most_common(1)
        raise ValueError(f"it has the key {quoted(key)} twice")
    return found


def to_json(config: dict[str, Any]) -> bytes:
    """The bytes of config.json for a configuration.

    Raises:
        OptionError: a value cannot be written as JSON, or could not be read again.
    """

    def plain(value: Any) -> Any:
        if hasattr(value, "tolist"):  # numbers and arrays of numpy and torch
            return value.tolist()
        raise OptionError(f"{CONFIG} cannot hold {value!r} of {type(value).__name__}; give text, numbers, lists")

    try:
        text = (json.dumps(config, indent=2, ensure_ascii=False, allow_nan=False, default=plain) + "\n").encode()
    except (TypeError, ValueError, RecursionError) as error:
        if isinstance(error, OptionError):
            raise
        raise OptionError(f"{CONFIG} cannot hold these arguments or facts: {error}") from error
    if fault := _fault(json.loads(text)["about"]):
        raise OptionError(f"{CONFIG} could not be read again: {fault}")
    return text
