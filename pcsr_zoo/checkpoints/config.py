"""config.json of a checkpoint: its form, strictly. What does not have it is refused before anything is made of it."""

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
LONGEST = 16 * 2**20  # bytes of a config.json; ours have less than a hundredth of it
AGAIN, UPDATE = "get the checkpoint again", "update pcsr-zoo"  # remedies
_FIELDS = {"name": str, "model": str, "arguments": dict, "parameters": int, "sha256": str, "about": dict}
# Facts of "about" that cards and listings make something of; all of them may be missing or null.
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
    """Whether a checkpoint may have it: it becomes part of paths and commands."""
    return _NAME.fullmatch(name) is not None


def parse_config(path: Path) -> dict[str, Any]:
    """What the file says.

    Raises:
        FileError: it is missing, broken, of another version, or has keys or values that none of ours has.
    """
    config = _parse_json(path)
    found = config.get("format") if isinstance(config, dict) else None
    if not isinstance(found, str) or not found.startswith("pcsr-checkpoint-"):
        raise FileError(f"{path} is not the {CONFIG} of a pcsr-zoo checkpoint: no 'format' says so")
    if found != FORMAT:
        raise FileError(f"{path} has the format {quoted(found)}, this version reads '{FORMAT}'; {UPDATE}")
    for field, kind in _FIELDS.items():
        if not _is_a(config.get(field), kind):
            raise FileError(f"{path}: '{field}' is missing or no {kind.__name__}; {AGAIN}")
    if unknown := sorted(config.keys() - _FIELDS.keys() - {"format"}):
        raise FileError(f"{path} has the unknown key {quoted(unknown[0])}, which may be a newer version's; {UPDATE}")
    if not is_name(config["name"]):
        raise FileError(f"{path}: {quoted(config['name'])} is no name for a checkpoint; {AGAIN}")
    if len(config["model"]) > 200 or not config["model"].isprintable():  # it is looked for, and shown
        raise FileError(f"{path}: {quoted(config['model'])} is no name of a model class; {AGAIN}")
    if not _SHA256.fullmatch(config["sha256"]):
        raise FileError(f"{path}: 'sha256' is not the 64 hexadecimal digits of one; {AGAIN}")
    if not 0 <= config["parameters"] < 10**15:
        raise FileError(f"{path}: 'parameters' is {quoted(config['parameters'])}, which no network has; {AGAIN}")
    if fault := _fault(config["about"]):
        raise FileError(f"{path}: {fault}; mend it there, or {AGAIN}")
    return config


def _parse_json(path: Path) -> Any:
    content = read_bytes(path)
    if len(content) > LONGEST:
        raise FileError(f"{path} has {len(content):,} bytes, so it is no {CONFIG} of ours; {AGAIN}")
    try:
        config = json.loads(
            content.decode("utf-8"), parse_constant=_no_number, parse_float=_finite, object_pairs_hook=_each_once
        )
        json.dumps(config, ensure_ascii=False).encode()  # no halves of surrogate pairs, which nobody could write
    except (ValueError, RecursionError) as error:  # a UnicodeDecodeError is a ValueError
        raise FileError(f"{path} is not JSON: {one_line(str(error))}; {AGAIN}") from None
    return config


def _fault(about: Mapping[str, Any]) -> str:
    """What is wrong with "about", which people edit, and strangers; empty if what is made something of can be."""
    for fact, kind in _FACTS.items():
        if about.get(fact) is not None and not _is_a(about[fact], kind):
            return f"'{fact}' under 'about' is no {kind.__name__}"
    if not all(isinstance(text, str) for text in about.get("failures") or []):
        return "'failures' under 'about' is no list of texts"
    for fact, texts in _ROWS.items():
        if not all(_is_row(row, texts) for row in about.get(fact) or []):
            return f"'{fact}' under 'about' is no list of rows of the benchmark"
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
    """A truth value is no number; a whole number is one with a fraction, too."""
    return isinstance(value, (int, float) if kind is float else kind) and not isinstance(value, bool)


def _no_number(text: str) -> None:
    raise ValueError(f"{text} is no JSON")


def _finite(text: str) -> float:
    if not math.isfinite(value := float(text)):
        raise ValueError(f"{quoted(text)} is too large a number")
    return value


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):  # readers differ in which of them they take
        ((key, _),) = Counter(key for key, _ in pairs).most_common(1)
        raise ValueError(f"it has the key {quoted(key)} twice")
    return found


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
        text = (json.dumps(config, indent=2, ensure_ascii=False, allow_nan=False, default=plain) + "\n").encode()
    except (TypeError, ValueError, RecursionError) as error:
        if isinstance(error, OptionError):
            raise
        raise OptionError(f"{CONFIG} cannot hold the arguments or facts: {error}") from error
    if fault := _fault(json.loads(text)["about"]):
        raise OptionError(f"{CONFIG} could not be read again: {fault}")
    return text
