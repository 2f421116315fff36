"""The recovery note beside a file whose format has no room for it: FILE.pcsr.json."""

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
    """scan.xyz -> scan.xyz.pcsr.json."""
    return path.with_name(path.name + SUFFIX)


def write_side_note(path: Path, note: dict[str, Any] | None) -> None:
    """Put a note beside the file, which is there already, or take an older one away.

    The note names the sha256 of the file, so that it is never taken for another file's.
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
    """The note beside a file, if there is one and it is this file's."""
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
        _log.warning("%s belongs to another file of this name and is left aside", beside)
        return None
    return note
