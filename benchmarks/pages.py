"""Write the tables of BENCHMARKS.md and benchmarks/*.md, the leaderboard and the CSV from the measured rows.

    python benchmarks/pages.py     as part of: python dev.py generate

In BENCHMARKS.md and benchmarks/*.md it replaces what is between the lines `<!-- tables: TASK ... -->` and
`<!-- /tables -->`. Instead of tasks, `CD` makes the table of all tasks, and `legend` explains the columns. To add rows:
pcsr card hub_configs/NAME --benchmark FILE.

The results of models without weights are in benchmarks/results/*.json. docs/leaderboard.md and docs/results.csv have
the same rows, see `pcsr benchmark --leaderboard`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pcsr_zoo.benchmark.leaderboard import as_csv, leaderboard, rows_of_runs
from pcsr_zoo.benchmark.report import LEGEND, markdown_table, read_results
from pcsr_zoo.datasets.pugan_tasks import FROM_INPUT, TASKS

ROOT = Path(__file__).resolve().parents[1]
PAGES = (ROOT / "BENCHMARKS.md", *sorted((ROOT / "benchmarks").glob("*.md")))
RESULTS = ROOT / "benchmarks" / "results"
_BLOCK = re.compile(r"(<!-- tables: ([^>]+) -->\n).*?(<!-- /tables -->)", re.DOTALL)
_FIRST = (*FROM_INPUT, "midpoint", "jet")  # of the rows of a table; `floor` is the last


def results() -> list[dict[str, Any]]:
    """A result of the benchmark for each measured row, of a checkpoint or of RESULTS, in the order of the tables."""
    found: dict[tuple[str, str, str], dict[str, Any]] = {}
    for path in sorted((ROOT / "hub_configs").glob("*/config.json")):
        for row in json.loads(path.read_text(encoding="utf-8"))["about"].get("measured") or []:
            section = {"models": {row["model"]: row}}
            key = row["task"], row["convention"], row["model"]
            found.setdefault(key, {**row, "tasks": {row["task"]: section}})
    for run in runs():
        for task, section in run["tasks"].items():
            for model, row in section["models"].items():
                about = {**run, "tasks": {task: {"models": {model: row}}}, "task": task, "model": model}
                found[task, run["convention"], model] = {**row, **about}
    return sorted(found.values(), key=lambda result: _place(result["model"]))


def runs() -> list[dict[str, Any]]:
    """The results of models without weights."""
    return [read_results(path) for path in sorted(RESULTS.glob("*.json"))]


def _place(model: str) -> tuple[int, int, str, int]:
    """Sort key: references without a network, then the checkpoints by name and ratio, then the floor."""
    if model in _FIRST:
        return 0, _FIRST.index(model), "", 0
    family, _, ratio = model.rpartition("+")[2].partition("-x")
    return (2, 0, "", 0) if model == "floor" else (1, 0, family, int(ratio or 0))


def overview(rows: list[dict[str, Any]]) -> str:
    """CD of each model in each task, without rows of SAMPLER+MODEL and of references made from the input."""
    shown = [row for row in rows if "+" not in row["model"] and row["model"] not in FROM_INPUT]
    tasks = [task for task in TASKS if any(row["task"] == task for row in shown)]
    known = {(row["model"], row["task"]): f"{row['cd']:.3f}" for row in shown}
    lines = [f"| model | {' | '.join(f'`{task}`' for task in tasks)} |", "|---|" + "--:|" * len(tasks)]
    for model in dict.fromkeys(row["model"] for row in shown):
        lines.append(f"| `{model}` | {' | '.join(known.get((model, task), '') for task in tasks)} |")
    return "\n".join(lines) + "\n"


def generated() -> Iterator[tuple[Path, str]]:
    """Each page with the text that it should have."""
    rows = results()

    def tables(found: re.Match[str]) -> str:
        tasks = found[2].split()
        if tasks in (["CD"], ["legend"]):
            return found[1] + (overview(rows) if tasks == ["CD"] else LEGEND) + found[3]
        unknown = [task for task in tasks if task not in TASKS]
        if unknown:
            raise SystemExit(f"{unknown[0]} is not a task; choose from: {', '.join(TASKS)}")
        used = [row for row in rows if row["task"] in tasks]  # a task without measured rows is not shown
        return f"{found[1]}{markdown_table(used)}{found[3]}"

    of_all = rows_of_runs(runs())
    yield ROOT / "docs" / "leaderboard.md", leaderboard(of_all)
    yield ROOT / "docs" / "results.csv", as_csv(of_all)
    for page in PAGES:
        yield page, _BLOCK.sub(tables, page.read_text(encoding="utf-8"))


def main() -> None:
    for page, text in generated():
        page.write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
