"""Which files a command reads and writes; nothing is overwritten unasked."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from ..errors import FileError
from .app import session


def expand(inputs: Sequence[str]) -> list[Path]:
    """Each file as it is, each folder as the supported files in it, each once.

    What is missing, and a folder without such files, stays as it is: reading it makes the error.
    """
    from ..io import find_clouds

    found: dict[Path, None] = {}
    for name in inputs:
        path = Path(name)
        if path.is_dir():
            with contextlib.suppress(FileError):
                found.update(dict.fromkeys(find_clouds(path)))
                continue
        found[path] = None
    return list(found)


def for_each(paths: Sequence[Path], work: Callable[[Path], None]) -> None:
    """Do `work` on every path; a failure is reported and the rest goes on, then the exit status is 1."""
    from ..io import find_clouds

    failed = 0
    for path in paths:
        try:
            find_clouds(path)  # says what is wrong with a missing path or an empty folder
            work(path)
        except (BrokenPipeError, click.UsageError, click.exceptions.Exit):
            raise
        except Exception as error:
            session().report(error, str(path))
            failed += 1
    if failed and len(paths) > 1:
        click.echo(f"{failed} of {len(paths)} files failed, {len(paths) - failed} done.", err=True)
    if failed:
        raise click.exceptions.Exit(1)


@dataclass(frozen=True)
class Output:
    """Where results go.

    Attributes:
        given: the value of -o, or None.
        tag: what is added to the input's name, for example "x4".
        folder: -o names a folder, for one or more files.
        overwrite: existing files may be replaced.
    """

    given: str | None
    tag: str
    folder: bool
    overwrite: bool

    def path(self, source: Path) -> Path:
        """The output's path for an input; meshes and what else cannot be written become .ply."""
        from ..io import WRITE_SUFFIXES

        if self.given and not self.folder:
            return Path(self.given)
        suffix = source.suffix if source.suffix.lower() in WRITE_SUFFIXES else ".ply"
        parent = Path(self.given) if self.given else source.parent
        return parent / f"{source.stem}_{self.tag}{suffix}"

    def check(self, target: Path, sources: Sequence[Path]) -> None:
        """Refuse an input as output, always, and an existing file unless --overwrite is given."""
        check_target(target, sources, self.overwrite)


def plan_outputs(inputs: Sequence[str], given: str | None, tag: str, overwrite: bool) -> tuple[list[Path], Output]:
    """The input files and where their results go.

    Raises:
        UsageError: -o names one file for several inputs, or no known format; two results would have one name.
        FileError: the output folder cannot be made.
    """
    from ..io import WRITE_SUFFIXES

    sources = expand(inputs)
    several = len(sources) > 1 or any(Path(name).is_dir() for name in inputs)
    folder = False
    if given is not None:
        suffix = Path(given).suffix.lower()
        folder = Path(given).is_dir() or given.endswith(("/", os.sep))
        if not folder and several and suffix in WRITE_SUFFIXES:
            raise click.UsageError(f"-o {given} names one file, but there are several inputs; name a folder")
        folder = folder or several
        if not folder and suffix not in WRITE_SUFFIXES:
            raise click.BadParameter(
                f"'{given}' has no known format; end it in one of {', '.join(sorted(WRITE_SUFFIXES))}, "
                "or name an existing folder",
                param_hint="-o",
            )
    output = Output(given, tag, folder, overwrite)
    # A folder that was worked on before holds results, too: they are no inputs.
    listed = {Path(name) for name in inputs}
    results = {os.path.abspath(output.path(source)) for source in sources}
    sources = [source for source in sources if source in listed or _undrawn(source) not in results]
    taken: dict[Path, Path] = {}
    for source in sources:
        other = taken.setdefault(output.path(source), source)
        if other != source:
            raise click.UsageError(f"{other} and {source} would both become {output.path(source)}; do them one by one")
    if folder and given is not None:
        make_folder(Path(given))
    return sources, output


def _undrawn(path: Path) -> str:
    """The absolute path; of one draw of several, such as a_recovered_draw2.ply, that which a single one would have."""
    stem, mark, number = path.stem.rpartition("_draw")
    return os.path.abspath(path.with_name(stem + path.suffix) if mark and number.isdecimal() else path)


def file_size(path: Path) -> int:
    """Bytes of a file, with the recovery note beside it where there is one."""
    from ..io.side_notes import side_note_path

    beside = side_note_path(path)
    return path.stat().st_size + (beside.stat().st_size if beside.is_file() else 0)


def tell_drawn(source: Path, cloud: Any, remedy: str = "") -> None:
    """Say how many points were drawn, where the file holds a mesh."""
    if mesh := cloud.metadata.get("mesh"):
        drawn = f"{len(cloud):,} points drawn from the surface of a mesh of {mesh['vertices']:,} vertices"
        session().say(f"{source}: {drawn}{remedy}")


def make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"{path}: this folder cannot be made ({error.strerror}); name another with -o") from None


def check_target(target: Path, sources: Sequence[Path], overwrite: bool) -> None:
    """Refuse, before any work, what cannot be written, an input, and an existing file unless asked to.

    Raises:
        FileError: names the file and what to do.
    """
    if not target.parent.is_dir():
        raise FileError(f"{target}: there is no folder {target.parent}; make it, or name another with -o")
    if not os.access(target.parent, os.W_OK):
        raise FileError(f"{target}: the folder {target.parent} is not writable; name another with -o")
    if not target.exists():
        return
    for source in sources:
        if source.exists() and os.path.samefile(source, target):
            raise FileError(f"{target} is an input; it is never written over: name another output with -o")
    if not overwrite:
        raise FileError(f"{target} exists already; use --overwrite to replace it, or name another with -o")
