"""Input and output files of a command. Existing files are only replaced with --overwrite."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from ..errors import FileError
from .app import echo, session


def expand(inputs: Sequence[str]) -> list[Path]:
    """List each file as itself and each folder as the supported files in it, without duplicates.

    A missing path and a folder without such files are kept, so that reading them raises the error.
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
    """Do `work` on every path. An error is printed and the other paths are processed; the exit status is then 1."""
    from ..io import find_clouds

    failed = 0
    for path in paths:
        try:
            find_clouds(path)  # raises the error of a missing path or an empty folder
            work(path)
        except (BrokenPipeError, KeyboardInterrupt, SystemExit, click.ClickException, click.exceptions.Exit):
            raise
        except BaseException as error:  # panics of Rust libraries are no Exception
            session().report(error, str(path))
            failed += 1
    if failed and len(paths) > 1:
        echo(f"{failed} of {len(paths)} files failed; {len(paths) - failed} succeeded.", err=True)
    if failed:
        raise click.exceptions.Exit(1)


@dataclass(frozen=True)
class Output:
    """The paths of the outputs.

    Attributes:
        given: the value of -o, or None.
        tag: the ending that is added to an input's name, for example "x4".
        folder: whether -o names a folder.
        overwrite: whether existing files may be replaced.
        suffixes: the formats that can be written.
    """

    given: str | None
    tag: str
    folder: bool
    overwrite: bool
    suffixes: tuple[str, ...]

    def path(self, source: Path) -> Path:
        """The path of an input's output. Formats that cannot be written become .ply."""
        if self.given and not self.folder:
            return Path(self.given)
        suffix = source.suffix if source.suffix.lower() in self.suffixes else ".ply"
        parent = Path(self.given) if self.given else source.parent
        return parent / f"{source.stem}_{self.tag}{suffix}"

    def check(self, target: Path, sources: Sequence[Path]) -> None:
        """Check an output, and the file of its recovery note; see `check_target`."""
        check_target(target, sources, self.overwrite)


def plan_outputs(
    inputs: Sequence[str], given: str | None, tag: str, overwrite: bool, suffixes: tuple[str, ...] | None = None
) -> tuple[list[Path], Output]:
    """Plan the input files and the paths of their outputs, which are clouds unless `suffixes` lists other formats.

    Raises:
        UsageError: -o names one file for several inputs or has an unknown format; or two outputs have the same path.
        FileError: the output folder cannot be created.
    """
    from ..io import WRITE_SUFFIXES, results_among

    suffixes = suffixes or WRITE_SUFFIXES
    sources = expand(inputs)
    several = len(sources) > 1 or any(Path(name).is_dir() for name in inputs)
    folder = False
    if given is not None:
        suffix = Path(given).suffix.lower()
        folder = Path(given).is_dir() or given.endswith(("/", os.sep))
        if not folder and several and suffix in suffixes:
            raise click.UsageError(f"-o {given} is one file, but there are several inputs; name a folder")
        folder = folder or several
        if not folder and suffix not in suffixes:
            raise click.BadParameter(
                f"'{given}' has an unknown format; use one of the suffixes {', '.join(sorted(suffixes))}, "
                "or name an existing folder",
                param_hint="-o",
            )
    output = Output(given, tag, folder, overwrite, suffixes)
    listed = {Path(name) for name in inputs}
    results = results_among(sources) - listed
    if tag.startswith("recovered"):  # samples are the results that it takes
        results = {path for path in results if "_sampled_" not in path.stem}
    if results:
        more = f" and {len(results) - 1} more" if len(results) > 1 else ""
        session().say(f"left out {min(results)}{more}: results of other files here; name a file to use it")
        sources = [source for source in sources if source not in results]
    taken: dict[Path, Path] = {}
    for source in sources:
        other = taken.setdefault(output.path(source), source)
        if other != source:
            raise click.UsageError(
                f"{other} and {source} would both be written to {output.path(source)}; process them one by one"
            )
    if folder and given is not None:
        make_folder(Path(given))
    return sources, output


def file_size(path: Path) -> int:
    """Bytes of a file, including the file of its recovery note, if any."""
    from ..io.side_notes import side_note_path

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
