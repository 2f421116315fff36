"""Results of the benchmark as files: JSON, and BENCHMARKS.md with the published numbers beside them."""

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

# The convention that published tables are closest to; they stand beside no other.
_PUBLISHED_CONVENTION = "pugan-2019"

_HEAD = """# Benchmarks

PU-GAN's 27 test shapes. Distances are times 1000; smaller is better.

- **measured** rows were run by the command above their table. **Published** rows are copied from the papers
  and were never run by us: their inputs, ground truths and conventions differ from ours and among themselves.
- The published learned models were trained on the 120 meshes of PU-147, or on sets of their own. No model of
  this package was: ours were trained on other meshes, or not at all (`midpoint`, `jet`).
- CD and HD are means over the shapes. P2F (mean and standard deviation) is pooled over all points of the
  shapes that have a mesh, 21 of the 27; the column *shapes* says how many each number rests on.
- *s/shape* is the mean time of a shape on the machine named above the table, imports and weights loaded.
- `repeat` is the input again and again; `jitter` the same with noise of 0.01 of the radius; `floor` another
  even sampling of the same mesh, which is what two perfect answers differ by.
"""


def markdown_table(results: Mapping[str, Any] | Sequence[Mapping[str, Any]], task: str | None = None) -> str:
    """Markdown tables of one result or several (a later result replaces a row of the same task and model).

    Args:
        results: of `run_benchmark`.
        task: only this one; all tasks of the results when None, each under its heading.
    """
    merged = _merge([results] if isinstance(results, Mapping) else list(results))
    sections = [
        _section(name, convention, rows) for (name, convention), rows in merged.items() if task is None or name == task
    ]
    return "\n".join(sections)


def write_benchmarks_md(results: Mapping[str, Any] | Sequence[Mapping[str, Any]], path: str | os.PathLike[str]) -> None:
    """Write BENCHMARKS.md, atomically: one section per task and convention.

    Args:
        results: of `run_benchmark`, one or several; see `markdown_table`.
        path: the file.

    Raises:
        FileError: the file cannot be written.
    """
    text = _HEAD + "\n" + markdown_table(results)
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_results(results: Mapping[str, Any], path: str | os.PathLike[str]) -> None:
    """Write the result of `run_benchmark` as JSON, atomically.

    Raises:
        FileError: the file cannot be written.
    """
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8", newline="\n")


def read_results(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read what `write_results` wrote.

    Raises:
        FileError: the file is missing, or not a result of the benchmark.
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
    """(task, convention) -> model -> (row, the result that it comes from); tasks in the order of `TASKS`."""
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
    if convention in CONVENTIONS:
        lines += [f"Convention `{convention}`: {CONVENTIONS[convention].description}.", ""]
    published = published_rows(task) if convention == _PUBLISHED_CONVENTION else []
    if published and known is not None and known.note:
        lines += [f"Note: {known.note}", ""]
    for command, facts in dict.fromkeys((result["command"], _facts(result)) for _, result in rows.values()):
        lines += ["```", command, "```", "", facts, ""]
    lines += [
        "| model | | CD | HD | P2F | P2F std | shapes | s/shape | source |",
        "|---|---|--:|--:|--:|--:|--:|--:|---|",
    ]
    for model, (row, result) in rows.items():
        shapes = str(row["shapes"])
        if row["p2f_shapes"] != row["shapes"]:
            shapes += f" (P2F {row['p2f_shapes']})"
        cells = [
            _number(row["cd"], 3),
            _number(row["hd"], 2),
            _number(row["p2f"], 2),
            _number(row["p2f_std"], 2),
        ]
        cells += [shapes, _number(row["seconds"], 2), f"{result['package']}, seed {result['seed']}"]
        lines.append(_row([f"`{model}`", "measured", *cells]))
    for other in published:
        cells = [_number(other.cd, 3), _number(other.hd, 2), _number(other.p2f, 2)]
        lines.append(_row([f"*{other.name}*", "*published*", *cells, "", "", "", f"*{other.source}*"]))
    return "\n".join([*lines, ""])


def _facts(result: Mapping[str, Any]) -> str:
    machine = result["machine"]
    named = ("system", "architecture", "cores")
    versions = ", ".join(f"{key} {value}" for key, value in machine.items() if key not in named)
    system = f"{machine['system']} {machine['architecture']}"
    return f"{result['package']} on {machine['cores']} cores ({system}); {versions}."


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"
