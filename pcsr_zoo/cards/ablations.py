"""Ablations in a checkpoint's facts: the benchmark of the same training, or the same use, with one thing changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

from ..errors import OptionError
from .measured import Row, is_reference, number, split_name


def ablation_rows(label: str, result: Mapping[str, Any]) -> list[Row]:
    """The rows of a result of `run_benchmark`, references left out, under a label that says what was changed.

    A model that is a folder is called by the folder's name alone.

    Raises:
        OptionError: the result has no row but those of references.
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
        raise OptionError(f"ablation '{label}': its results have no row but those of references")
    return [{**row, "command": command} for row in found]


def merge_ablations(old: Sequence[Row], new: Sequence[Row]) -> list[Row]:
    """Old and new rows; those of a label that comes again are replaced."""
    again = {row["what"] for row in new}
    return [*(row for row in old if row["what"] not in again), *new]


def ablation_table(rows: Sequence[Row]) -> str:
    """Markdown: a table for each task and convention, then the commands of all."""
    parts = []
    for task, convention in dict.fromkeys((row["task"], row["convention"]) for row in rows):
        lines = [f"### Ablations: {task} ({convention})", "", "| what | model | convention | CD | HD | P2F |"]
        lines.append("|---|---|---|--:|--:|--:|")
        for row in rows:
            if (row["task"], row["convention"]) == (task, convention):
                numbers = [number(row.get(key), digits) for key, digits in (("cd", 3), ("hd", 2), ("p2f", 2))]
                what = " ".join(row["what"].split()).replace("|", "\\|")
                lines.append(f"| {what} | `{row['model']}` | {convention} | {' | '.join(numbers)} |")
        parts.append("\n".join(lines))
    commands = "\n".join(dict.fromkeys(row["command"] for row in rows))
    return "\n\n".join([*parts, f"Commands of the ablations:\n\n```\n{commands}\n```"])
