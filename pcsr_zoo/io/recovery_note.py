"""The recovery note: what a sampled cloud remembers, so that `recover` needs no options.

It is `metadata["pcsr"]` of a Cloud, and travels in the header of the file or beside it, see `io.side_notes`:

    model     name of the model that recovers
    weights   "sha256:..." of its weights, or None where it has none
    address   "hf:owner/repo@COMMIT", if it was loaded from the Hub by an address; otherwise left out
    points    how many points the cloud had
    sampled   how many are left; a part of them, cut out later, stands for as large a part of `points`
    sampler   name of the model that sampled
    bits      of the grid that the positions were put on, if they were

Files come from strangers, so what a note names is used only if the user has it already: a model of this version (those
of ours that are on the Hub are fetched, at the commit that this version knows), or the checkpoint of the address where
the cache has that commit with these weights. Nobody's files make a machine fetch from an address.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping
from typing import Any

KEY = "pcsr"
MARK = "pcsr-zoo"  # what the note begins with, or is filed under, in a header

_log = logging.getLogger("pcsr_zoo")
_NAME = re.compile(r"(?![.~])[^/\\\x00-\x1f]{1,200}")  # of a model: a path in a file from elsewhere is not followed
_PART = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"
_ADDRESS = re.compile(rf"(?!.*(?:\.\.|--))hf:{_PART}/{_PART}@[0-9a-f]{{40}}")  # on the Hub, at a commit
_WEIGHTS = re.compile(r"sha256:[0-9a-f]{64}")


def note_of(metadata: Mapping[str, Any]) -> dict[str, Any] | None:
    """The note in a cloud's metadata, if there is a good one."""
    note = metadata.get(KEY)
    return note if is_note(note) else None


def without_note(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """The metadata for a cloud that is no sample any more."""
    return {key: value for key, value in metadata.items() if key not in (KEY, "grid")}


def is_note(value: Any) -> bool:
    """Whether all that recovery needs is there and makes sense."""
    if not isinstance(value, dict):
        return False
    points, sampled, weights = (value.get(key) for key in ("points", "sampled", "weights"))
    names = [value.get(key) for key in ("model", "sampler")]
    return (
        _is_address(value.get("address"))
        and isinstance(points, int)
        and isinstance(sampled, int)
        and 1 <= sampled <= points
        and all(isinstance(name, str) and _NAME.fullmatch(name) is not None for name in names)
        and (weights is None or (isinstance(weights, str) and _WEIGHTS.fullmatch(weights) is not None))
    )


def _is_address(value: Any) -> bool:
    """Whether it is an address on the Hub with a commit; or none at all."""
    return value is None or (isinstance(value, str) and _ADDRESS.fullmatch(value) is not None)


def note_to_text(note: Mapping[str, Any]) -> str:
    """One line of JSON, in ASCII."""
    return json.dumps(note, separators=(",", ":"), sort_keys=True)


def note_from_text(text: str, where: str) -> dict[str, Any] | None:
    """The note, or None, with a warning that names `where`, if it is damaged."""
    try:
        note = json.loads(text)
    except (ValueError, RecursionError):
        note = None
    if is_note(note):
        return note
    _log.warning("%s: its note on recovery is damaged and left aside", where)
    return None


def split_comments(comments: list[str], where: str) -> tuple[list[str], dict[str, Any] | None]:
    """The comments of a header without the note, and the note (the last one, should there be several)."""
    marked = [text for text in comments if text.startswith(MARK + " {")]
    note = note_from_text(marked[-1][len(MARK) :], where) if marked else None
    return [text for text in comments if text not in marked], note
