"""Rows of the benchmark in a checkpoint's facts: which of a result belong to it, and how its card shows them.

A row is what `run_benchmark` gives for a model and a task, without its shapes, with what the number depends on:
task, model, convention, seed, command, package, machine, and the sha256 of the weights.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..datasets.pugan_tasks import TASKS
from ..errors import OptionError
from ..models.base import PublishedRow

BESIDE = ("midpoint", "jet")  # a learned model earns its place beside these
_REFERENCES = ("repeat", "jitter", *BESIDE, "floor")
_NUMBERS = ("cd", "hd", "p2f", "p2f_std", "shapes", "p2f_shapes", "seconds")

Row = dict[str, Any]


def rows_of(results: Sequence[Mapping[str, Any]], config: Mapping[str, Any], folder: Path) -> list[Row]:
    """The rows of results of `run_benchmark` that are a checkpoint's, and those of references in the same tasks.

    Args:
        results: what `pcsr benchmark --json` writes; references may come from runs of their own.
        config: the checkpoint's config.json.
        folder: where the checkpoint is: the benchmark may know it by its path.

    Raises:
        OptionError: the results have no row of the checkpoint, or one of other weights.
    """
    found = [row for result in results for row in _rows_of(result, config, folder)]
    tasks = {(row["task"], row["convention"]) for row in found if not is_reference(row["model"])}
    if not tasks:
        given = dict.fromkeys(name for r in results for section in r["tasks"].values() for name in section["models"])
        others = ", ".join(name for name in given if not is_reference(name)) or "none but references"
        raise OptionError(f"the results have no row of '{config['name']}' ({folder}); there are: {others}")
    return [row for row in found if (row["task"], row["convention"]) in tasks]


def _rows_of(result: Mapping[str, Any], config: Mapping[str, Any], folder: Path) -> list[Row]:
    given = dict.fromkeys(name for section in result["tasks"].values() for name in section["models"])
    by_path = [name for name in given if _is_folder(split_name(name)[1], folder)]
    # A name may be that of another checkpoint, such as the one of this package that the model class is named after.
    own = {name: config["name"] for name in by_path or given if by_path or split_name(name)[1] == config["name"]}
    command = result["command"]
    for name in own:  # no path of somebody's machine
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
    """Old and new rows; a new one replaces an old one, and old ones of other weights than the present are left out."""
    present = f"sha256:{config['sha256']}"
    merged = {_key(row): row for row in old if row.get("weights") in (None, present)}
    merged.update({_key(row): row for row in new})
    return list(merged.values())


def tables(rows: Sequence[Row], published: Mapping[str, PublishedRow] | None = None) -> str:
    """A Markdown table for each task and convention with its commands; a reference that is not in it is said to be.

    The paper's own rows, `published` on the model class by task, stand beside them.
    """
    if not rows:
        return "Not measured: no row of the benchmark is recorded."
    sections: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        sections.setdefault((row["task"], row["convention"]), []).append(row)
    return "\n\n".join(
        ["Distances are times 1000; smaller is better. CD and HD are means over the shapes, P2F over all points."]
        + [
            _section(task, convention, found, (published or {}).get(task))
            for (task, convention), found in sections.items()
        ]
    )


def _section(task: str, convention: str, rows: Sequence[Row], paper: PublishedRow | None) -> str:
    lines = [f"### {task} ({convention})", ""]
    if task in TASKS:
        lines += [TASKS[task].protocol, ""]
    for command in dict.fromkeys(row["command"] for row in rows):
        lines += ["```", command, "```", ""]
    lines += ["| model | convention | CD | HD | P2F | shapes | s/shape | measured on |"]
    lines += ["|---|---|--:|--:|--:|--:|--:|---|"]
    own = [row for row in rows if split_name(row["model"])[1] not in _REFERENCES]
    beside = [row for row in rows if split_name(row["model"])[1] in _REFERENCES]
    for row in (*own, *beside):
        shapes = str(row.get("shapes"))
        if row.get("p2f_shapes") != row.get("shapes"):
            shapes += f" (P2F {row.get('p2f_shapes')})"
        numbers = [number(row.get(key), digits) for key, digits in (("cd", 3), ("hd", 2), ("p2f", 2))]
        lines.append(
            f"| `{row['model']}` | {convention} | {' | '.join(numbers)} | {shapes} | {number(row.get('seconds'), 2)} "
            f"| {_place(row)} |"
        )
    if paper is not None:
        numbers = [number(value, digits) for value, digits in ((paper.cd, 3), (paper.hd, 2), (paper.p2f, 2))]
        lines.append(f"| *{paper.name}, published* | its own | {' | '.join(numbers)} | | | *{paper.source}* |")
    there = {split_name(row["model"])[1] for row in rows}
    lines += [f"| `{name}` | {convention} | not measured | | | | | |" for name in BESIDE if name not in there]
    return "\n".join(lines)


def _key(row: Row) -> tuple[str, str, str]:
    return row["task"], row["convention"], row["model"]


def is_reference(name: str) -> bool:
    """Whether a row of that name belongs beside the models of any card."""
    return split_name(name)[1] in _REFERENCES


def split_name(name: str) -> tuple[str, str]:
    """("fps", "jet") of "fps+jet"; ("", "jet") of "jet"."""
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
    """A distance in a table."""
    return "–" if value is None else f"{value:.{digits}f}"


def own_rows(rows: Sequence[Row], name: str) -> list[Row]:
    """The rows of checkpoint `name`, whichever sampler they are with."""
    return [row for row in rows if split_name(row["model"])[1] == name]


def best_row(rows: Sequence[Row], name: str) -> Row | None:
    """The row of checkpoint `name` whose Chamfer distance is the smallest beside that of `jet` in the same task.

    With its `task`, `convention`, `cd` (times 1000), and `jet` (that of `jet`; None where no row has one). A row with
    a `jet` goes before one without, one with samples of its own before SAMPLER+NAME; None where the checkpoint was
    not measured.
    """
    distance: dict[tuple[str, ...], float | None] = {_key(row): row.get("cd") for row in rows}
    found: list[tuple[bool, float, Row]] = []
    mine = [row for row in own_rows(rows, name) if row.get("cd") is not None]
    own_samples = [row for row in mine if row["model"] == name]
    for row in own_samples or mine:
        task, convention, _ = _key(row)
        names = (f"{split_name(row['model'])[0]}+jet", "jet", "fps+jet")
        known = [distance.get((task, convention, other)) for other in names]
        jet = next((value for value in known if value), None)
        best = {"task": task, "convention": convention, "cd": row["cd"], "jet": jet}
        found.append((jet is None, row["cd"] / jet if jet else row["cd"], best))
    return min(found, key=lambda item: item[:2])[2] if found else None
