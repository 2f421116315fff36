"""`pcsr info`: the contents of files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from ..errors import FileError
from .app import common_options, echo
from .complete import PATH
from .files import expand, for_each
from .options import with_reading


def to_json(value: Any) -> str:
    """JSON text. NumPy numbers and arrays become numbers and lists; other objects become their text."""

    def plain(other: Any) -> Any:
        return other.tolist() if hasattr(other, "tolist") else str(other)

    return json.dumps(value, indent=2, default=plain, ensure_ascii=False)


@click.command(short_help="Show the contents of files.")
@click.argument("files", type=PATH, nargs=-1, required=True, metavar="FILE...")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object, or a list of them for several files.")
@with_reading
@common_options
def info(files: tuple[str, ...], as_json: bool, reading: dict[str, Any]) -> None:
    """Show the number of points, bounds, attributes and metadata of files, or the shapes of a training file.

    Bounds and scales are in the unit of the file, sizes are in bytes.

    \b
    Examples:
      pcsr info scan.ply
      pcsr info scans/ --json
    """
    from ..datasets.training_set import is_training_file
    from ..io import describe

    paths = expand(files).files
    several = len(files) > 1 or Path(files[0]).is_dir()
    layout = {key: reading[key] for key in ("columns", "dtype")}
    found: list[dict[str, Any]] = []

    def one(path: Path) -> None:
        if is_training_file(path):
            from ..datasets.describe import describe_training_file

            facts = describe_training_file(path)
        else:
            facts = describe(path, **layout)
        if reading["strict"] and facts.get("invalid_points"):
            raise FileError(f"{path}: {facts['invalid_points']} points are NaN or infinite (--strict)")
        found.append(facts)
        if not as_json:
            echo(f"{path}\n{_indented(facts)}")

    try:
        for_each(paths, one)
    finally:
        if as_json and found:
            echo(to_json(found if several else found[0]))


def _indented(facts: dict[str, Any], depth: int = 1) -> str:
    lines = []
    for key, value in facts.items():
        if key == "file" and depth == 1:
            continue
        if isinstance(value, dict):
            inner = _indented(value, depth + 1)
            lines.append("  " * depth + f"{key}:" + (f"\n{inner}" if inner else " none"))
        else:
            lines.append("  " * depth + f"{key}: {_text(value)}")
    return "\n".join(lines)


def _text(value: Any) -> str:
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "none"}[value]
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.10g}"
    if isinstance(value, (list, tuple)) and value and all(isinstance(part, (list, tuple)) for part in value):
        return " to ".join(f"({_text(part)})" for part in value)
    if isinstance(value, (list, tuple)):
        return ", ".join(_text(part) for part in value)
    return str(value)
