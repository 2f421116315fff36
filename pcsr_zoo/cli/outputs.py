"""The outputs of a command: their paths, names by a template, folders, and standard output."""

from __future__ import annotations

import os
import string
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from ..errors import FileError
from .app import session
from .files import check_target, expand, make_folder


@dataclass(frozen=True)
class Output:
    """The paths of the outputs.

    Attributes:
        given: the value of -o, or None.
        tag: the ending that is added to an input's name, for example "x4".
        folder: whether -o names a folder.
        overwrite: whether existing files may be replaced.
        suffixes: the formats that can be written.
        name: the template of --name, or None.
        values: what the template's names other than stem and suffix stand for.
        roots: input -> the folder on the command line that it lies in; its subfolders are made in an output folder.
        left_out: what was not processed, for `for_each`.
    """

    given: str | None
    tag: str
    folder: bool
    overwrite: bool
    suffixes: tuple[str, ...]
    name: str | None = None
    values: dict[str, str] = field(default_factory=dict)
    roots: dict[Path, Path] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)

    def path(self, source: Path) -> Path:
        """The path of an input's output. Formats that cannot be written become .ply."""
        from ..io import is_stream, split_name

        if self.given and not self.folder:
            return Path(self.given)
        if is_stream(source) and not self.given:
            return source
        stem, suffix = split_name(source)
        stem = "stdin" if is_stream(source) else stem
        suffix = suffix if _is_format(source, self.suffixes) else ".ply"
        name = f"{stem}_{self.tag}{suffix}"
        if self.name is not None:
            name = self.name.format(stem=stem, suffix=suffix, tag=self.tag, **self.values)
        if not self.given:
            return source.parent / name
        root = self.roots.get(source, source.parent)
        return Path(self.given) / source.parent.relative_to(root) / name

    def check(self, target: Path, sources: Sequence[Path]) -> None:
        """Check an output, and make its folder in an output folder; see `check_target`."""
        if self.folder and target.parent != Path(str(self.given)):
            make_folder(target.parent)
        check_target(target, sources, self.overwrite)


def _is_format(path: Path, suffixes: tuple[str, ...]) -> bool:
    """Whether the name is one of a file that can be written in one of these formats."""
    from ..io import WRITE_SUFFIXES, split_name

    suffix = split_name(path)[1].lower()
    if suffixes is WRITE_SUFFIXES:
        suffix = suffix.removesuffix(".gz")
    return (Path(suffix).suffix or suffix) in suffixes


def plan_outputs(
    inputs: Sequence[str],
    given: str | None,
    tag: str,
    overwrite: bool,
    suffixes: tuple[str, ...] | None = None,
    *,
    recursive: bool = False,
    name: str | None = None,
    values: dict[str, str] | None = None,
) -> tuple[list[Path], Output]:
    """Plan the input files and the paths of their outputs, which are clouds unless `suffixes` lists other formats.

    Raises:
        UsageError: -o names one file for several inputs or has an unknown format; --name is no name of a file; or two
            outputs have the same path.
        FileError: the output folder cannot be created.
    """
    from ..io import WRITE_SUFFIXES, is_stream

    suffixes = suffixes or WRITE_SUFFIXES
    listed = expand(inputs, recursive)
    sources = listed.files
    several = len(sources) > 1 or any(Path(path).is_dir() for path in inputs)
    folder = False
    if given is not None and not is_stream(Path(given)):
        known = _is_format(Path(given), suffixes)
        fresh = not Path(given).suffix and not Path(given).exists()
        folder = Path(given).is_dir() or given.endswith(("/", os.sep)) or fresh
        if not folder and several and known:
            raise click.UsageError(f"-o {given} is one file, but there are several inputs; name a folder")
        folder = folder or several
        if not folder and not known:
            raise click.BadParameter(
                f"'{given}' has an unknown format; use one of the suffixes {', '.join(sorted(suffixes))}, "
                "or name a folder",
                param_hint="-o",
            )
        if name is not None and not folder:
            raise click.UsageError("-o names a file and --name another; name a folder, or leave one out")
    elif given is not None and several:
        raise click.UsageError(f"-o {given} is one stream, but there are several inputs; name a folder")
    stream = is_stream(Path(given or "x"))
    if stream and Path(str(given)) != Path("-") and not _is_format(Path(str(given)), suffixes):
        raise click.BadParameter(f"'{given}' has an unknown format; use - or -.ply", param_hint="-o")
    data_out = stream or (given is None and any(map(is_stream, sources)))
    if data_out and suffixes is not WRITE_SUFFIXES:
        raise click.UsageError("this is not written to standard output; name a file with -o")
    if data_out:
        session().data_on_output = True  # so results are told on standard error
    output = Output(given, tag, folder, overwrite, suffixes, name, dict(values or {}), listed.roots, [])
    _check_template(output)
    sources = _without_results(sources, {Path(path) for path in inputs}, output)
    taken: dict[Path, Path] = {}
    for source in sources:
        other = taken.setdefault(output.path(source), source)
        if other != source:
            raise click.UsageError(
                f"{other} and {source} would both be written to {output.path(source)}; process them one by one"
                + (", or use {stem} in --name" if name is not None else "")
            )
    if several:
        output.left_out.extend(_in_words(listed.others, recursive))
    if folder and given is not None:
        make_folder(Path(given))
    return sources, output


def _check_template(output: Output) -> None:
    """Check --name before any work."""
    if output.name is None:
        return
    names = ["stem", "suffix", "tag", *output.values]
    try:
        parts = list(string.Formatter().parse(output.name))
        bad = [part[1] for part in parts if part[1] is not None and (part[1] not in names or part[2] or part[3])]
    except ValueError as error:
        bad = [str(error)]
    shown = ", ".join(f"{{{name}}}" for name in names)
    if bad:
        raise click.BadParameter(f"'{output.name}' may have {shown} only; found: {bad[0]}", param_hint="--name")
    made = output.name.format(stem="a", suffix=".ply", tag=output.tag, **output.values)
    if made != Path(made).name or not _is_format(Path(made), output.suffixes):
        raise click.BadParameter(
            f"'{output.name}' gives '{made}', which is no name of a file of a known format; end it with {{suffix}} or "
            f"one of {' '.join(output.suffixes)}, without folders",
            param_hint="--name",
        )


def _without_results(sources: list[Path], listed: set[Path], output: Output) -> list[Path]:
    """The sources without results of an earlier run; those that were named are kept."""
    from ..io import results_among

    results = results_among(sources) - listed
    if output.tag.startswith("recovered"):  # samples are the results that it takes
        results = {path for path in results if "_sampled_" not in path.name}
    if output.name is not None:
        results |= {output.path(source) for source in sources} & set(sources) - listed
    if output.folder and output.given is not None:
        inside = Path(output.given).resolve()
        results |= {
            path for path in set(sources) - listed if _deeper(path, output) and inside in path.resolve().parents
        }
    if results:
        more = f" and {len(results) - 1} more" if len(results) > 1 else ""
        session().say(f"left out {min(results)}{more}: results of other files here; name a file to use it")
    return [source for source in sources if source not in results]


def _deeper(path: Path, output: Output) -> bool:
    """Whether a file of a folder lies in a subfolder of it."""
    return path in output.roots and path.parent != output.roots[path]


def _in_words(others: Sequence[Path], recursive: bool) -> list[str]:
    """What was left out in folders."""
    folders = [path for path in others if path.is_dir()]
    files = [path for path in others if path not in set(folders)]
    words = []
    for what, found in (("folder", folders), ("file of another format", files)):
        if found:
            rest = f" and {len(found) - 1:,} more" if len(found) > 1 else ""
            hint = " (--recursive)" if what == "folder" and not recursive else ""
            words.append(f"the {what} {found[0]}{rest}{hint}")
    return words


def stream_target(target: Path, cloud: Any) -> Path:
    """The output; for "-", in the format that the cloud was read from.

    Raises:
        FileError: it is a binary format, and standard output is a terminal.
    """
    from ..io import WRITE_SUFFIXES, is_stream, split_name
    from ..io.formats import TEXT_SUFFIXES

    if not is_stream(target):
        return target
    suffix = split_name(target)[1]
    if not _is_format(target, WRITE_SUFFIXES):
        packed = cloud.metadata.get("encoding") == "LAZ"
        suffix = ".laz" if packed else f".{str(cloud.metadata.get('format', 'ply')).lower()}"
        suffix = suffix if suffix in WRITE_SUFFIXES and "mesh" not in cloud.metadata else ".ply"
    if suffix.lower() not in TEXT_SUFFIXES and sys.stdout.isatty():
        raise FileError(
            f"standard output is a terminal, and {suffix} is a binary format; name a file with -o, or use a pipe"
        )
    return Path("-" + suffix)
