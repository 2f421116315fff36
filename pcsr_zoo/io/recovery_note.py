"""The recovery note: the model and the number of points of a sampled cloud, so that `recover` needs no arguments.

It is `metadata["pcsr"]` of a Cloud. Files store it in their header, or in a second file (see `io.side_notes`):

    model     name of the model that recovers
    weights   "sha256:..." of its weights, or None if it has none
    address   "hf:owner/repo@COMMIT", if the model was loaded from the Hub by address; otherwise left out
    points    number of points of the original cloud
    sampled   number of sampled points. A part that is cut out of the sampled cloud is recovered to the same part of
              `points`.
    sampler   name of the model that sampled
    bits      bits per axis of the grid, if the positions were rounded to one

A note is untrusted text. It can select a model of this version (weights of ours that are on the Hub are downloaded, at
the commit that this version pins), or a checkpoint whose address and commit are in the cache with these weights. A note
never starts a download from an address.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping
from typing import Any

KEY = "pcsr"
MARK = "pcsr-zoo"  # marks the note in a header

_log = logging.getLogger("pcsr_zoo")
_NAME = re.compile(r"(?![.~])[^/\\\x00-\x1f]{1,200}")  # of a model, never a path: the text is untrusted
_PART = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"
_ADDRESS = re.compile(rf"(?!.*(?:\.\.|--))hf:{_PART}/{_PART}@[0-9a-f]{{40}}")  # with a commit
_WEIGHTS = re.compile(r"sha256:[0-9a-f]{64}")


def note_of(metadata: Mapping[str, Any]) -> dict[str, Any] | None:
    """The valid note in a cloud's metadata, else None."""
    note = metadata.get(KEY)
    return note if is_note(note) else None


def without_note(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """The metadata without the note and the grid, for a cloud that is not a sample."""
    return {key: value for key, value in metadata.items() if key not in (KEY, "grid")}


def is_note(value: Any) -> bool:
    """Whether a value is a valid recovery note."""
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
    """Whether it is None or an address on the Hub with a commit."""
    return value is None or (isinstance(value, str) and _ADDRESS.fullmatch(value) is not None)


def note_to_text(note: Mapping[str, Any]) -> str:
    """The note as one line of JSON, in ASCII."""
    return json.dumps(note, separators=(",", ":"), sort_keys=True)


def note_from_text(text: str, where: str) -> dict[str, Any] | None:
    """Parse a note; if it is invalid, return None and log a warning that names the file `where`."""
    try:
        note = json.loads(text)
    except (ValueError, RecursionError):
        note = None
    if is_note(note):
        return note
    _log.warning("%s: the recovery note is invalid and is ignored", where)
    return None


def split_comments(comments: list[str], where: str) -> tuple[list[str], dict[str, Any] | None]:
    """The comments of a header without notes, and the last note, if any."""
    marked = [text for text in comments if text.startswith(MARK + " {")]
    note = note_from_text(marked[-1][len(MARK) :], where) if marked else None
    return [text for text in comments if text not in marked], note
