"""BENCHMARKS.md and benchmarks/*.md: their tables are the measured rows of hub_configs, each on one page."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path

import pytest

from pcsr_zoo.benchmark.published import published_rows
from pcsr_zoo.datasets.pugan_tasks import TASKS

ROOT = Path(__file__).resolve().parents[2]
if not (ROOT / "benchmarks").is_dir():
    pytest.skip("the benchmark pages come with the checkout", allow_module_level=True)

PAGES = [ROOT / "BENCHMARKS.md", *sorted((ROOT / "benchmarks").glob("*.md"))]


def sections() -> list[tuple[str, list[list[str]]]]:
    """(task, rows of its table) of all pages, read without the package's code."""
    found = []
    for page in PAGES:
        for part in re.split(r"^## ", page.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
            if task := re.match(r"(\S+) \(pugan-2019\)\n", part):
                rows = [[cell.strip() for cell in line.strip().strip("|").split("|")]
                        for line in part.splitlines() if line.startswith("|")]  # fmt: skip
                found.append((task[1], rows[2:]))
    return found


def test_the_tables_are_up_to_date():
    """Otherwise: python dev.py generate."""
    spec = importlib.util.spec_from_file_location("benchmark_pages", ROOT / "benchmarks" / "pages.py")
    pages = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(pages)
    stale = [str(page) for page, text in pages.generated() if page.read_text(encoding="utf-8") != text]
    assert stale == []


def test_every_measured_and_every_published_row_is_on_one_page():
    tasks = [task for task, _ in sections()]
    assert len(tasks) == len(set(tasks))
    measured, expected = {}, {}
    for task, rows in sections():
        for name, *cells in rows:
            assert (task, name) not in measured
            measured[task, name] = cells[1:4]
    runs = [json.loads(path.read_text(encoding="utf-8")) for path in (ROOT / "benchmarks" / "results").glob("*.json")]
    rows = [
        {**row, "task": task, "model": model}
        for run in runs
        for task, section in run["tasks"].items()
        for model, row in section["models"].items()
    ]
    for path in (ROOT / "hub_configs").glob("*/config.json"):
        rows += json.loads(path.read_text(encoding="utf-8"))["about"]["measured"]
    for row in rows:
        spread = row.get("spread") or {}
        numbers = [
            f"{row[key]:.{digits}f}" + (f" ± {spread[key]:.{digits}f}" if spread else "")
            for key, digits in (("cd", 3), ("hd", 2), ("p2f", 2))
        ]
        assert expected.setdefault((row["task"], f"`{row['model']}`"), numbers) == numbers
    for task in tasks:
        for other in published_rows(task):
            p2f = "" if other.p2f is None else f"{other.p2f:.2f}"
            expected[task, f"*{other.name}*"] = [f"{other.cd:.3f}", f"{other.hd:.2f}", p2f]
    assert measured == expected


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_is_short(page):
    assert len(page.read_text(encoding="utf-8").split()) < 1400


def test_every_task_has_its_page():
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    named = [task for tasks in re.findall(r"<!-- tables: ([^>]+) -->", text) for task in tasks.split()]
    assert sorted(named) == sorted([*TASKS, "CD", "legend"])
