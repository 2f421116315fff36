"""Input and output files of a command. Existing files are only replaced with --overwrite."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from ..errors import FileError
from .app import echo, session


@dataclass
class Listed:
    """The files that were named, or lie in folders that were named; and what was left out there.

    Attributes:
        files: the files, without duplicates.
        roots: file -> the folder that was named.
        others: folders and files of other formats in these folders.
    """

    files: list[Path] = field(default_factory=list)
    roots: dict[Path, Path] = field(default_factory=dict)
    others: list[Path] = field(default_factory=list)


def expand(inputs: Sequence[str], recursive: bool = False) -> Listed:
    """List each file as itself and each folder as the supported files in it.

    A missing path and a folder without such files are kept, so that reading them raises the error.
    """
    from ..io import list_folder

    listed = Listed()
    found: dict[Path, None] = {}
    for name in inputs:
        path = Path(name)
        inside: list[Path] = []
        if path.is_dir():
            with contextlib.suppress(FileError):
                inside, others = list_folder(path, recursive)
                listed.others += others
                listed.roots.update(dict.fromkeys(inside, path))
        found.update(dict.fromkeys(inside or [path]))
    listed.files = list(found)
    return listed


def for_each(paths: Sequence[Path], work: Callable[[Path], None], left_out: Sequence[str] | None = None) -> None:
    """Do `work` on every path. An error is printed and the other paths are processed; the exit status is then 1.

    Args:
        paths: the inputs.
        work: a function of one of them.
        left_out: what was not processed, in words. It is printed at the end, with the number of files done; None: no
            such line is printed.
    """
    from ..io import find_clouds, is_stream

    failed = 0
    for path in paths:
        try:
            find_clouds(path)  # raises the error of a missing path or an empty folder
            work(path)
        except (BrokenPipeError, KeyboardInterrupt, SystemExit, click.ClickException, click.exceptions.Exit):
            raise
        except BaseException as error:  # panics of Rust libraries are no Exception
            session().report(error, "" if is_stream(path) else str(path))
            failed += 1
    if left_out or (left_out is not None and len(paths) > 1):
        text = f"{len(paths) - failed} of {len(paths)} files are done"
        session().say(text + (f"; left out: {', '.join(left_out)}" if left_out else ""))
    if failed and len(paths) > 1:
        echo(f"{failed} of {len(paths)} files failed; {len(paths) - failed} succeeded.", err=True)
    if failed:
        raise click.exceptions.Exit(1)


def is_las(path: Path) -> bool:
    """Whether a file is LAS or LAZ by its name, and so has flags of points."""
    from ..io import split_name

    return split_name(path)[1].lower().removesuffix(".gz") in (".las", ".laz")


def file_size(path: Path) -> int:
    """Bytes of a file, including the file of its recovery note, if any; 0 for a stream."""
    from ..io import is_stream
    from ..io.side_notes import side_note_path

    if is_stream(path):
        return 0
    beside = side_note_path(path)
    return path.stat().st_size + (beside.stat().st_size if beside.is_file() else 0)


def tell_drawn(source: Path, cloud: Any, remedy: str = "") -> None:
    """Print the number of points that were drawn, if the file has a mesh."""
    if mesh := cloud.metadata.get("mesh"):
        drawn = f"{len(cloud):,} points were drawn from the surface of a mesh of {mesh['vertices']:,} vertices"
        session().say(f"{source}: {drawn}{remedy}")


def make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"{path}: this folder cannot be created ({error.strerror}); name another with -o") from None


def check_target(target: Path, sources: Sequence[Path], overwrite: bool) -> None:
    """Check an output before any work.

    Raises:
        FileError: its folder does not exist or is not writable, it is an input, or it exists and `overwrite` is False.
    """
    from ..io import is_stream

    if is_stream(target):
        return
    if not target.parent.is_dir():
        raise FileError(f"{target}: the folder {target.parent} does not exist; create it, or name another with -o")
    if not os.access(target.parent, os.W_OK):
        raise FileError(f"{target}: the folder {target.parent} is not writable; name another with -o")
    if not target.exists():
        return
    for source in sources:
        if source.exists() and os.path.samefile(source, target):
            raise FileError(f"{target} is an input and is never replaced; name another output with -o")
    if not overwrite:
        raise FileError(f"{target} exists; use --overwrite to replace it, or name another output with -o")
