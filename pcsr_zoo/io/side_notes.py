"""The recovery note of a file whose format cannot store it, as a second file FILE.pcsr.json."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
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


@contextlib.contextmanager
def with_side_note(path: Path, note: dict[str, Any] | None, overwrite: bool = True) -> Iterator[None]:
    """Write the note of the file that the block writes: both are written, or none of them.

    The note has the sha256 of the file, so that it is not used for another file of the same name. Without a note, an
    older note is removed if `overwrite`.

    Raises:
        FileError: the note cannot be written, or another one exists and `overwrite` is False.
    """
    beside = side_note_path(path)
    if note is None:
        yield
        if overwrite:
            with contextlib.suppress(OSError):
                beside.unlink(missing_ok=True)
        return
    if beside.exists() and not overwrite:
        raise FileError(f"{beside} exists; use --overwrite to replace it, or name another output with -o")
    is_new, written = not path.exists(), False
    try:
        with atomic_path(beside, overwrite) as temporary:
            yield
            written = True
            digest = file_sha256(path)
            temporary.write_text(note_to_text({**note, "file": f"sha256:{digest}"}) + "\n", encoding="ascii")
    except BaseException:
        if written and is_new:
            path.unlink(missing_ok=True)
        raise


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
