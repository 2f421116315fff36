"""Measured rows in a checkpoint's config.json: which rows of a result are stored, and how the card shows them.

A row has the numbers that `run_benchmark` gives for a model and a task (without those of single shapes), and what they
depend on: task, model, convention, seed, command, package, machine, and the sha256 of the weights.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..datasets.pugan_tasks import REFERENCES, TASKS
from ..errors import OptionError
from ..metrics.conventions import CONVENTIONS
from ..models.base import PublishedRow

BESIDE = ("jet", "midpoint")  # the models without a network that every learned model is compared with
_REFERENCES = (*REFERENCES, *BESIDE)
_NUMBERS = ("cd", "hd", "p2f", "p2f_std", "spread", "seeds", "shapes", "p2f_shapes", "seconds")

Row = dict[str, Any]


def rows_of(results: Sequence[Mapping[str, Any]], config: Mapping[str, Any], folder: Path) -> list[Row]:
    """Select the rows of a checkpoint, and the rows of the references in the same tasks.

    Args:
        results: results of `run_benchmark`, as `pcsr benchmark --json` writes them. The references may come from
            separate runs.
        config: the checkpoint's config.json.
        folder: the checkpoint's folder. A result may name the checkpoint by this path.

    Raises:
        OptionError: the results have no row of the checkpoint, or have one that was measured with other weights.
    """
    found = [row for result in results for row in _rows_of(result, config, folder)]
    tasks = {(row["task"], row["convention"]) for row in found if not is_reference(row["model"])}
    if not tasks:
        given = dict.fromkeys(name for r in results for section in r["tasks"].values() for name in section["models"])
        others = ", ".join(name for name in given if not is_reference(name)) or "none but references"
        raise OptionError(f"the results have no row of '{config['name']}' ({folder}); they have rows of: {others}")
    return [row for row in found if (row["task"], row["convention"]) in tasks]


def _rows_of(result: Mapping[str, Any], config: Mapping[str, Any], folder: Path) -> list[Row]:
    given = dict.fromkeys(name for section in result["tasks"].values() for name in section["models"])
    by_path = [name for name in given if _is_folder(split_name(name)[1], folder)]
    # A path is preferred to a name: another checkpoint, such as a bundled one, may have the same name.
    own = {name: config["name"] for name in by_path or given if by_path or split_name(name)[1] == config["name"]}
    command = result["command"]
    for name in own:  # local paths are not published
        sampler = split_name(name)[0]
        own[name] = f"{sampler}+{config['name']}" if sampler else config["name"]
        command = command.replace(f"--model {name} ", f"--model {own[name]} ")
    about = {key: result.get(key) for key in ("seed", "package", "machine")} | {"command": command}
    found: list[Row] = []
    for task, section in result["tasks"].items():
        for name, row in section["models"].items():
            if name in own:
                _check_weights(row, name, config)
            elif split_name(name)[1] not in _REFERENCES:
                continue
            numbers = {key: row.get(key) for key in _NUMBERS}
            first = {"task": task, "model": own.get(name, name), "convention": result["convention"]}
            found.append({**first, **numbers, **about, "weights": row.get("weights")})
    return found


def merge_rows(old: Sequence[Row], new: Sequence[Row], config: Mapping[str, Any]) -> list[Row]:
    """Old and new rows. A new row replaces an old one of its key; old rows of other weights are dropped."""
    present = f"sha256:{config['sha256']}"
    merged = {_key(row): row for row in old if row.get("weights") in (None, present)}
    merged.update({_key(row): row for row in new})
    return list(merged.values())


def results_table(rows: Sequence[Row], published: Mapping[str, PublishedRow] | None = None) -> str:
    """Markdown: one table of the checkpoint's rows, then the tasks, the convention, the machine and the commands.

    Args:
        rows: measured rows. Those of the references give the columns "CD of `jet`" and "CD of `midpoint`"; `repeat`,
            `jitter` and `floor` are left to the benchmark's pages.
        published: the paper's own rows by task, `published` on the model class. Each stands below the measured row.
    """
    own = [row for row in rows if not is_reference(row["model"])]
    if not own:
        return "This checkpoint is not measured: no row of the benchmark is recorded."
    columns = ["task", "model", "convention", "CD", "HD", "P2F", *(f"CD of `{name}`" for name in BESIDE)]
    lines = [f"| {' | '.join([*columns, 'shapes/P2F'])} |", "|---|---|---|" + "--:|" * (len(columns) - 2)]
    references = {_key(row): row.get("cd") for row in rows}
    used = []
    for task in dict.fromkeys(row["task"] for row in own):
        for row in (row for row in own if row["task"] == task):
            beside = []
            for name in BESIDE:
                key = _reference_key(row, name, references)
                used += [other for other in rows if _key(other) == key]
                beside.append("not measured" if key is None else number(references[key], 3))
            lines.append(_line(task, f"`{row['model']}`", row["convention"], row, beside))
        paper = (published or {}).get(task)
        if paper is not None:
            lines.append(_line(task, f"*{paper.name}, published*", "its own", paper._asdict(), [""] * len(BESIDE)))
    used = [*own, *used]
    return "\n\n".join(
        [
            "Distances are times 1000; smaller is better. CD and HD are means over the shapes, P2F over all points of "
            "those that have a mesh; the last column counts both.",
            "\n".join(lines),
            "\n".join(_notes(own, used, published or {})),
            commands(used),
        ]
    )


def commands(rows: Sequence[Row]) -> str:
    """The commands of rows as a block of code. Those that differ in their models only are written as one."""
    merged: dict[tuple[str, ...], dict[str, None]] = {}
    for command in dict.fromkeys(row["command"] for row in rows):
        models = re.findall(r" --model \S+", command)
        head, _, tail = command.partition("".join(models)) if models else (command, "", "")
        merged.setdefault((head, tail), {}).update(dict.fromkeys(models))
    lines = [f"{head}{''.join(models)}{tail}" for (head, tail), models in merged.items()]
    return "\n".join(["```", *lines, "```"])


def _reference_key(row: Row, name: str, known: Mapping[tuple[str, str, str], Any]) -> tuple[str, str, str] | None:
    """The reference row that a row is compared with: after the same sampler if there is one."""
    sampler = split_name(row["model"])[0]
    for model in (f"{sampler}+{name}", name, f"fps+{name}"):
        key = row["task"], row["convention"], model
        if known.get(key) is not None:
            return key
    return None


def _line(task: str, model: str, convention: str, row: Mapping[str, Any], beside: Sequence[str]) -> str:
    shapes = f"{row['shapes']}/{row.get('p2f_shapes')}" if "shapes" in row else ""
    numbers = [number(row.get(key), digits) for key, digits in (("cd", 3), ("hd", 2), ("p2f", 2))]
    return "| " + " | ".join([task, model, convention, *numbers, *beside, shapes]) + " |"


def _notes(own: Sequence[Row], used: Sequence[Row], published: Mapping[str, PublishedRow]) -> list[str]:
    tasks = list(dict.fromkeys(row["task"] for row in own))
    protocols: dict[str, list[str]] = {}
    for task in tasks:
        if task in TASKS:
            protocols.setdefault(TASKS[task].protocol.partition(":")[0], []).append(f"`{task}`")
    known = "; ".join(f"{protocol} ({', '.join(same)})" for protocol, same in protocols.items())
    lines = [f"- Tasks: {known or 'not known'}."]
    for convention in dict.fromkeys(row["convention"] for row in own):
        if convention in CONVENTIONS:
            lines.append(f"- Convention `{convention}`: {CONVENTIONS[convention].description}.")
    sources = dict.fromkeys(published[task].source for task in tasks if task in published)
    if sources:
        lines.append(f"- Published rows are copied from: {'; '.join(sources)}.")
    places = dict.fromkeys(_place(row) for row in used)
    lines.append(
        f"- Measured with: {'; '.join(places)}. BENCHMARKS.md of pcsr-zoo has the tasks and all rows. Commands:"
    )
    return lines


def _key(row: Row) -> tuple[str, str, str]:
    return row["task"], row["convention"], row["model"]


def is_reference(name: str) -> bool:
    """Whether a row of this name is a reference (`repeat`, `jitter`, `midpoint`, `jet`, `floor`)."""
    return split_name(name)[1] in _REFERENCES


def split_name(name: str) -> tuple[str, str]:
    """Split "fps+jet" into ("fps", "jet"), and "jet" into ("", "jet")."""
    sampler, _, model = name.partition("+") if not os.path.isdir(name) else ("", "", name)
    return (sampler, model) if model else ("", sampler)


def _is_folder(model: str, folder: Path) -> bool:
    return os.path.realpath(model) == os.path.realpath(folder)


def _check_weights(row: Mapping[str, Any], given: str, config: Mapping[str, Any]) -> None:
    weights = row.get("weights")
    if weights is not None and weights != f"sha256:{config['sha256']}":
        raise OptionError(
            f"the row of '{given}' was measured with other weights ({weights[:19]}…) than those of "
            f"'{config['name']}' ({config['sha256'][:12]}…); run the benchmark again"
        )


def _place(row: Row) -> str:
    machine = row.get("machine") or {}
    cores = f", {machine['cores']} cores" if "cores" in machine else ""
    system = f", {machine['system']} {machine['architecture']}" if {"system", "architecture"} <= set(machine) else ""
    return f"{row.get('package') or 'not recorded'}{system}{cores}, seed {row.get('seed')}"


def number(value: float | None, digits: int) -> str:
    """Format a distance for a table; "–" if there is none."""
    return "–" if value is None else f"{value:.{digits}f}"


def own_rows(rows: Sequence[Row], name: str) -> list[Row]:
    """The rows of checkpoint `name`, with any sampler."""
    return [row for row in rows if split_name(row["model"])[1] == name]


def best_row(rows: Sequence[Row], name: str) -> Row | None:
    """The row of checkpoint `name` with the smallest ratio of its Chamfer distance to that of `jet` in the same task.

    Rows that can be compared with `jet` come before others, and rows with the checkpoint's own sampler before
    SAMPLER+NAME.

    Returns:
        A dictionary with `task`, `convention`, `cd` (times 1000) and `jet` (the CD of `jet`; None where no row has
        one). None if the checkpoint was not measured.
    """
    distance = {_key(row): row.get("cd") for row in rows}
    found: list[tuple[bool, float, Row]] = []
    mine = [row for row in own_rows(rows, name) if row.get("cd") is not None]
    own_samples = [row for row in mine if row["model"] == name]
    for row in own_samples or mine:
        key = _reference_key(row, "jet", distance)
        jet = distance[key] if key else None
        best = {"task": row["task"], "convention": row["convention"], "cd": row["cd"], "jet": jet}
        found.append((jet is None, row["cd"] / jet if jet else row["cd"], best))
    return min(found, key=lambda item: item[:2])[2] if found else None
