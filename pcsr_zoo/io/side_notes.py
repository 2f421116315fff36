"""The recovery note of a file whose format cannot store it, as a second file FILE.pcsr.json."""

from __future__ import annotations

import contextlib
import logging
from pathlib import Path
from typing import Any

from ..errors import FileError
from .atomic import atomic_path
from .files import file_sha256, read_bytes
from .recovery_note import note_from_text, note_to_text

SUFFIX = ".pcsr.json"

_log = logging.getLogger("pcsr_zoo")


def side_note_path(path: Path) -> Path:
    """The path of the note: scan.xyz -> scan.xyz.pcsr.json."""
    return path.with_name(path.name + SUFFIX)


def write_side_note(path: Path, note: dict[str, Any] | None) -> None:
    """Write the note of an existing file, or remove an older note if `note` is None.

    The note has the sha256 of the file, so that it is not used for another file of the same name.
    """
    beside = side_note_path(path)
    if note is None:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)
        return
    digest = file_sha256(path)
    with atomic_path(beside) as temporary:
        temporary.write_text(note_to_text({**note, "file": f"sha256:{digest}"}) + "\n", encoding="ascii")


def read_side_note(path: Path) -> dict[str, Any] | None:
    """The note of a file, if it exists and has the sha256 of this file, else None."""
    beside = side_note_path(path)
    if not beside.is_file():
        return None
    try:
        text = read_bytes(beside).decode("utf-8", "replace")
        note = note_from_text(text, str(beside))
        digest = file_sha256(path)
    except FileError as error:
        _log.warning("%s", error)
        return None
    if note is not None and note.pop("file", None) != f"sha256:{digest}":
        _log.warning("%s belongs to another version of the file and is ignored", beside)
        return None
    return note
