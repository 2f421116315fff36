"""The leaderboard: the rows of all runs on one page, with the published row of each method beside, and as CSV.

Rows come from JSON files of `pcsr benchmark` and from the cards of the checkpoints of this version. A row of a file
replaces one of a card, and a later file replaces an earlier one, of the same task, convention and model.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping, Sequence
from typing import Any

from ..catalog import list_models, model_info, resolve
from ..datasets.pugan_tasks import FROM_INPUT, REFERENCES, TASKS
from ..errors import OptionError, PcsrError
from ..models.base import PublishedRow
from .names import split_model
from .published import published_rows
from .report import number_cell, table_row, write_page

COLUMNS = ("model", "task", "seed", "seeds", "convention", "cd", "hd", "p2f", "seconds", "parameters")
BEHIND = 1.2  # times the published CD, from which a row is marked
_CONVENTION = "pugan-2019"  # the one that published tables are closest to
_NOISE = "noise-0.01"
_INTRODUCTION = f"""All models of this package by the same data, protocol and evaluator, best CD first. CD, HD and P2F
are times 1000, convention `{_CONVENTION}`, means over PU-GAN's test shapes; smaller is better. *s/shape* is the mean
time in seconds.

Numbers in italics are copied from papers and were never run by us. They stand beside the model that implements the
method, or in a line of their own; their inputs, training shapes and conventions differ from ours. **Bold** marks a CD
that is more than {BEHIND - 1:.0%} behind the published one. `SAMPLER+MODEL` recovers the samples of another model.
`floor` is a second even sampling of the same mesh. [BENCHMARKS.md](../BENCHMARKS.md) has sources and commands,
[results.csv](results.csv) these rows."""

Row = dict[str, Any]


def rows_of_runs(results: Sequence[Mapping[str, Any]] = ()) -> list[Row]:
    """The rows with the keys `COLUMNS`, ordered by task, convention, and ascending CD.

    Args:
        results: results of `run_benchmark`, as `read_results` returns them.
    """
    found: dict[tuple[str, str, str], Row] = {}
    for name in list_models():
        config = resolve(name, paths=False).config
        for row in (config or {}).get("about", {}).get("measured") or []:
            found[row["task"], row["convention"], row["model"]] = _row(row["model"], row["task"], row, row)
    for result in results:
        for task, section in result["tasks"].items():
            for model, row in section["models"].items():
                found[task, result["convention"], model] = _row(model, task, row, result)
    order = {name: place for place, name in enumerate(TASKS)}
    return sorted(found.values(), key=lambda row: (order.get(row["task"], len(order)), row["convention"], row["cd"]))


def _row(model: str, task: str, row: Mapping[str, Any], result: Mapping[str, Any]) -> Row:
    numbers = {key: row.get(key) for key in ("cd", "hd", "p2f", "seconds")}
    seeds = {"seed": result["seed"], "seeds": row.get("seeds") or 1, "convention": result["convention"]}
    return {"model": model, "task": task, **seeds, **numbers, "parameters": parameters_of(model)}


def parameters_of(model: str) -> int:
    """The parameters of a model of this version, those of its sampler included; 0 without a network."""
    total = 0
    for part in split_model(model):
        if part is not None and part not in REFERENCES:
            try:
                total += int(model_info(part).get("parameters") or 0)
            except PcsrError:  # a folder that is no more, or a model of another version
                continue
    return total


def published_of(model: str, task: str) -> PublishedRow | None:
    """The published row of a model's method in a task; None for SAMPLER+MODEL and for methods without any."""
    sampler, name = split_model(model)
    if sampler is not None or name in REFERENCES:
        return None
    try:
        cls = resolve(name).model_class
    except PcsrError:
        return None
    ours = cls.source.startswith("ours")  # its paper is that of the method which it departs from
    return None if ours else cls.published.get(task)


def leaderboard(rows: Sequence[Row]) -> str:
    """The page, in Markdown.

    Raises:
        OptionError: there are no rows.
    """
    shown = [row for row in rows if row["convention"] == _CONVENTION and row["model"] not in FROM_INPUT]
    if not shown:
        raise OptionError(f"there is no row with the convention {_CONVENTION}; run pcsr benchmark --json FILE first")
    lines = ["# Leaderboard", "", _INTRODUCTION, ""]
    for task in dict.fromkeys(row["task"] for row in shown):
        known, own = TASKS.get(task), [row for row in shown if row["task"] == task]
        beside = [paper for row in own if (paper := published_of(row["model"], task)) is not None]
        lines += [f"## {task}", "", *([known.protocol, ""] if known else [])]
        lines += ["| model | CD | HD | P2F | published CD | HD | P2F | s/shape |", "|---|--:|--:|--:|--:|--:|--:|--:|"]
        lines += [_line(row) for row in own]
        others = [paper for paper in published_rows(task) if paper not in beside]
        lines += [table_row([f"*{paper.name}*", "", "", "", *_published(paper), ""]) for paper in others] + [""]
    return "\n".join([*lines, *_cost(shown)])


def _line(row: Row) -> str:
    paper = published_of(row["model"], row["task"])
    numbers = [number_cell(row[key], digits) for key, digits in (("cd", 3), ("hd", 2), ("p2f", 2))]
    if paper is not None and row["cd"] > BEHIND * paper.cd:
        numbers[0] = f"**{numbers[0]}**"
    theirs = [""] * 3 if paper is None else _published(paper)
    return table_row([f"`{row['model']}`", *numbers, *theirs, number_cell(row["seconds"], 2)])


def _published(paper: PublishedRow) -> list[str]:
    numbers = (number_cell(paper.cd, 2), number_cell(paper.hd, 2), number_cell(paper.p2f, 2))
    return [f"*{number}*" if number else "" for number in numbers]


def _cost(rows: Sequence[Row]) -> list[str]:
    """What no paper has: size, time and noise, a line for each model."""
    lines = [
        "## Size, time and noise",
        "",
        "The seconds of a shape are those of the first task above that has the model.",
        "",
    ]
    lines += [f"| model | parameters | s/shape | CD, `{_NOISE}` | HD, `{_NOISE}` |", "|---|--:|--:|--:|--:|"]
    for model in sorted({row["model"] for row in rows if "+" not in row["model"]} - {*REFERENCES}):
        own = [row for row in rows if row["model"] == model]
        noisy = next((row for row in own if row["task"] == _NOISE), {})
        numbers = [number_cell(own[0]["seconds"], 2), number_cell(noisy.get("cd"), 3), number_cell(noisy.get("hd"), 2)]
        lines.append(table_row([f"`{model}`", f"{own[0]['parameters']:,}", *numbers]))
    return [*lines, ""]


def write_leaderboard(rows: Sequence[Row], path: str | os.PathLike[str], overwrite: bool = True) -> None:
    """Write the page of `leaderboard` atomically.

    Raises:
        OptionError: there are no rows.
        FileError: the file cannot be written, or it exists and `overwrite` is False.
    """
    write_page(leaderboard(rows), path, overwrite)


def as_csv(rows: Sequence[Row]) -> str:
    """The rows as CSV with the columns `COLUMNS`: distances times 1000, empty where there is none."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        rounded = {key: f"{row[key]:.6g}" for key in ("cd", "hd", "p2f", "seconds") if row[key] is not None}
        writer.writerow({**row, **rounded})
    return text.getvalue()


def write_csv(rows: Sequence[Row], path: str | os.PathLike[str], overwrite: bool = True) -> None:
    """Write `as_csv` atomically.

    Raises:
        FileError: the file cannot be written, or it exists and `overwrite` is False.
    """
    write_page(as_csv(rows), path, overwrite)
