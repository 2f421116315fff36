"""Results of the benchmark as files: JSON, and Markdown with the published numbers below the measured ones."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..datasets.pugan_tasks import TASKS
from ..errors import FileError, OptionError
from ..io.atomic import atomic_path
from ..metrics.conventions import CONVENTIONS
from .published import published_rows

# Published tables are closest to this convention. No other table shows them.
_PUBLISHED_CONVENTION = "pugan-2019"

LEGEND = """- CD, HD and P2F are times 1000; smaller is better. The convention in each heading defines the frame of CD
  and HD.
- CD and HD are means over the shapes. P2F is the distance to the mesh in the frame of the files; its mean and
  standard deviation are pooled over all points of the shapes that have a mesh. *shapes/P2F* counts the shapes behind
  CD and HD, and those behind P2F.
- *s/shape* is the mean time in seconds for a shape, without imports and the loading of weights.
- Rows with a seed were measured by the commands at the end of their page. Rows in italics are copied from papers and
  were never run by us: their inputs, ground truths and conventions differ from ours and among themselves.
- The published learned models were trained on the 120 meshes of PU-147 or on other sets. No model of this package was
  trained on them.
- ± is the standard deviation from seed to seed, in tasks with random input.
- `repeat` is the input, repeated. `jitter` adds noise of 0.01 of the radius to it. `patch-thirds` and
  `patch-thirds-owner` put new points a third of the way to 4 neighbors, in the pipeline of patch networks, without a
  network. `floor` is another even sampling of the same mesh; it shows the distance between two perfect results.
"""


def markdown_table(results: Mapping[str, Any] | Sequence[Mapping[str, Any]], task: str | None = None) -> str:
    """Markdown: a section with a table for each task and convention, then the conventions, machines and commands.

    Args:
        results: one result of `run_benchmark` or several. A later result replaces a row of the same task, convention
            and model.
        task: the only task to show; None for all tasks.

    Raises:
        OptionError: there is no result.
    """
    merged = _merge([results] if isinstance(results, Mapping) else list(results))
    shown = {key: rows for key, rows in merged.items() if task is None or key[0] == task}
    sections = [_section(name, convention, rows) for (name, convention), rows in shown.items()]
    used = [result for rows in shown.values() for _, result in rows.values()]
    return "\n".join([*sections, _commands(used)])


def write_benchmarks_md(
    results: Mapping[str, Any] | Sequence[Mapping[str, Any]], path: str | os.PathLike[str], overwrite: bool = True
) -> None:
    """Write a page of tables atomically: one section for each task and convention.

    Args:
        results: one result of `run_benchmark` or several, see `markdown_table`.
        path: the Markdown file.

    Raises:
        FileError: the file cannot be written, or it exists and `overwrite` is False.
    """
    text = f"# Benchmarks\n\nPU-GAN's 27 test shapes.\n\n{LEGEND}\n{markdown_table(results)}"
    write_page(text, path, overwrite)


def write_results(results: Mapping[str, Any], path: str | os.PathLike[str], overwrite: bool = True) -> None:
    """Write a result of `run_benchmark` as JSON, atomically.

    Raises:
        FileError: the file cannot be written, or it exists and `overwrite` is False.
    """
    write_page(json.dumps(results, indent=1) + "\n", path, overwrite)


def write_page(text: str, path: str | os.PathLike[str], overwrite: bool = True) -> None:
    """Write text with the line ends of Unix, atomically.

    Raises:
        FileError: the file cannot be written, or it exists and `overwrite` is False.
    """
    with atomic_path(path, overwrite) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def read_results(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read a file of `write_results`.

    Raises:
        FileError: the file is missing, or is not a result of the benchmark.
    """
    try:
        with open(path, encoding="utf-8") as file:
            results = json.load(file)
    except OSError as error:
        raise FileError(f"{os.fspath(path)}: cannot be read: {error.strerror or error}") from None
    except ValueError as error:
        raise FileError(f"{os.fspath(path)}: not JSON: {error}") from None
    if not isinstance(results, dict) or not {"convention", "tasks", "command"} <= set(results):
        raise FileError(f"{os.fspath(path)}: not a result of pcsr benchmark")
    return results


def _merge(results: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str], dict[str, tuple[Any, Any]]]:
    """(task, convention) -> model -> (row, its result), with the tasks in the order of `TASKS`."""
    if not results:
        raise OptionError("no benchmark results to write")
    merged: dict[tuple[str, str], dict[str, tuple[Any, Any]]] = {}
    for result in results:
        for task, found in result["tasks"].items():
            rows = merged.setdefault((task, result["convention"]), {})
            for model, row in found["models"].items():
                rows[model] = row, result
    order = {name: place for place, name in enumerate(TASKS)}
    return dict(sorted(merged.items(), key=lambda item: order.get(item[0][0], len(order))))


def _section(task: str, convention: str, rows: Mapping[str, tuple[Any, Any]]) -> str:
    known = TASKS.get(task)
    lines = [f"## {task} ({convention})", ""]
    if known is not None:
        lines += [known.protocol, ""]
    published = published_rows(task) if convention == _PUBLISHED_CONVENTION else []
    if published and known is not None and known.note:
        lines += [f"Note: {known.note}", ""]
    lines += [
        "| model | source | CD | HD | P2F | P2F std | shapes/P2F | s/shape |",
        "|---|---|--:|--:|--:|--:|--:|--:|",
    ]
    for model, (row, result) in rows.items():
        spread = row.get("spread") or {}
        cells = [
            number_cell(row[key], digits) + (f" ± {spread[key]:.{digits}f}" if key in spread else "")
            for key, digits in (("cd", 3), ("hd", 2), ("p2f", 2), ("p2f_std", 2))
        ]
        cells += [f"{row['shapes']}/{row['p2f_shapes']}", number_cell(row["seconds"], 2)]
        lines.append(table_row([f"`{model}`", _seeds(result["seed"], row.get("seeds") or 1), *cells]))
    for other in published:
        cells = [number_cell(other.cd, 3), number_cell(other.hd, 2), number_cell(other.p2f, 2)]
        lines.append(table_row([f"*{other.name}*", f"*{other.source}*", *cells, "", "", ""]))
    return "\n".join([*lines, ""])


def _seeds(first: int, count: int) -> str:
    return f"seed {first}" if count == 1 else f"seeds {first} to {first + count - 1}"


def _commands(results: Sequence[Mapping[str, Any]]) -> str:
    """A section with the conventions of results, and their commands by machine."""
    machines: dict[str, dict[str, None]] = {}
    for result in results:
        machines.setdefault(_facts(result), {})[result["command"]] = None
    lines = ["## Conventions and commands", ""]
    for convention in dict.fromkeys(result["convention"] for result in results):
        if convention in CONVENTIONS:
            lines += [f"`{convention}`: {CONVENTIONS[convention].description}.", ""]
    for facts, commands in machines.items():
        lines += [facts, "", "```", *commands, "```", ""]
    return "\n".join(lines)


def _facts(result: Mapping[str, Any]) -> str:
    machine = result["machine"]
    named = ("system", "architecture", "cores")
    versions = ", ".join(f"{key} {value}" for key, value in machine.items() if key not in named)
    system = f"{machine['system']} {machine['architecture']}"
    return f"{result['package']} on {machine['cores']} cores ({system}); {versions}."


def number_cell(value: float | None, digits: int) -> str:
    """A number as text; empty for None."""
    return "" if value is None else f"{value:.{digits}f}"


def table_row(cells: Iterable[str]) -> str:
    """A line of a Markdown table."""
    return "| " + " | ".join(cells) + " |"
