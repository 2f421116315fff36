"""Ablations in a checkpoint's config.json: benchmark rows of the same training, or the same use, with one change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

from ..errors import OptionError
from .measured import Row, commands, is_reference, number, split_name


def ablation_rows(label: str, result: Mapping[str, Any]) -> list[Row]:
    """The rows of a result of `run_benchmark` without the references, with a label that says what was changed.

    A model that was given as a folder is named by the last part of its path.

    Raises:
        OptionError: the result has no rows other than those of references.
    """
    command, found = str(result["command"]), []
    for task, section in result["tasks"].items():
        for model, row in section["models"].items():
            if is_reference(model):
                continue
            sampler, name = split_name(model)
            shown = f"{sampler}+{PurePath(name).name}" if sampler else PurePath(name).name
            command = command.replace(f"--model {model} ", f"--model {shown} ")
            numbers = {key: row.get(key) for key in ("cd", "hd", "p2f", "weights")}
            found.append({"what": label, "task": task, "model": shown, "convention": result["convention"], **numbers})
    if not found:
        raise OptionError(f"ablation '{label}': its results have only rows of references; benchmark the changed model")
    return [{**row, "command": command} for row in found]


def merge_ablations(old: Sequence[Row], new: Sequence[Row]) -> list[Row]:
    """Old and new rows. New rows replace old ones of the same label."""
    again = {row["what"] for row in new}
    return [*(row for row in old if row["what"] not in again), *new]


def ablation_table(rows: Sequence[Row]) -> str:
    """Markdown: one table, then the commands."""
    lines = ["| change | task | model | convention | CD | HD | P2F |", "|---|---|---|---|--:|--:|--:|"]
    for row in rows:
        numbers = [number(row.get(key), digits) for key, digits in (("cd", 3), ("hd", 2), ("p2f", 2))]
        what = " ".join(row["what"].split()).replace("|", "\\|")
        lines.append(f"| {what} | {row['task']} | `{row['model']}` | {row['convention']} | {' | '.join(numbers)} |")
    return "\n".join([*lines, "", "Commands:", "", commands(rows)])
