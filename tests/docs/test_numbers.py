"""Figures in the documentation and the README are those of the checkpoints' config.json and of the published tables."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from pcsr_zoo.benchmark.published import published_rows
from pcsr_zoo.datasets.pugan_tasks import TASKS as BENCHMARK_TASKS
from pcsr_zoo.models.registry import families

ROOT = Path(__file__).resolve().parents[2]
if not (ROOT / "docs").is_dir():
    pytest.skip("the documentation comes with the checkout", allow_module_level=True)

TASKS = tuple(BENCHMARK_TASKS)


def known() -> dict[tuple[str, str], set[tuple[str, ...]]]:
    """(task, model) -> CD, HD and P2F as tables print them; published rows as "PU-GAN, published"."""
    found: dict[tuple[str, str], set[tuple[str, ...]]] = defaultdict(set)
    for path in (ROOT / "hub_configs").glob("*/config.json"):
        about = json.loads(path.read_text(encoding="utf-8"))["about"]
        for row in [*about.get("measured", []), *about.get("ablations", [])]:
            assert row["convention"] == "pugan-2019"
            found[row["task"], row["model"]].add(printed(row["cd"], row["hd"], row["p2f"]))
    for path in (ROOT / "benchmarks" / "results").glob("*.json"):  # of models without weights
        for task, section in json.loads(path.read_text(encoding="utf-8"))["tasks"].items():
            for model, row in section["models"].items():
                found[task, model].add(printed(row["cd"], row["hd"], row["p2f"]))
    for task in TASKS:
        for row in published_rows(task):
            found[task, f"{row.name}, published"].add(printed(row.cd, row.hd, row.p2f))
    return found


def printed(cd: float, hd: float, p2f: float | None) -> tuple[str, ...]:
    return f"{cd:.3f}", f"{hd:.2f}", "–" if p2f is None else f"{p2f:.2f}"


def tables(text: str) -> Iterator[list[list[str]]]:
    """The Markdown tables of a page as rows of cells, without the line below the heading."""
    for block in re.findall(r"(?:^\|.*\|\n)+", text, re.MULTILINE):
        rows = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in block.splitlines()]
        yield [rows[0], *rows[2:]]


PAGES = sorted((ROOT / "pcsr_zoo" / "models").glob("*/page.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.parent.name)
def test_rows_of_the_models_pages_are_measured_ones(page):
    rows = known()
    shown = [table for table in tables(page.read_text(encoding="utf-8")) if table[0][:2] == ["model", "task"]]
    of_scans = {cls.kind for cls in families()[page.parent.name]} == {"scan lines"}  # measured in docs/lidar.md
    assert shown or of_scans or "There are no weights yet" in page.read_text(encoding="utf-8")
    for heading, *lines in shown:
        assert heading == ["model", "task", "CD", "HD", "P2F"]
        for model, task, *values in lines:
            assert tuple(values) in rows[task, model.strip("`*")], (model, task)


@pytest.mark.parametrize("page", ["README.md"])
def test_overviews_have_measured_figures(page):
    """Cells like .169 / 1.54 / 0.67 in columns of tasks, or .169 in a column "`up4` CD" of a task and a metric.

    A row of "`a-x4`, `-x8`" may have the numbers of either.
    """
    rows, checked = known(), 0
    for heading, *lines in tables((ROOT / page).read_text(encoding="utf-8")):
        columns = [re.fullmatch(r"`([^`]+)`(?: (CD|HD|P2F))?", cell) for cell in heading]
        if not any(found and found[1] in TASKS for found in columns):
            continue
        for name, *cells in lines:
            first, *others = re.findall(r"`([^`]+)`", name) or [name.strip("*")]
            names = [first, *(re.sub(r"-x\d+$", other, first) for other in others)]
            for found, cell in zip(columns[1:], cells, strict=True):
                if not cell:
                    continue
                task, metric = found[1], found[2]
                metrics = [metric] if metric else ["CD", "HD", "P2F"]
                if first.startswith("best published"):
                    choices = [
                        row for (of, one), all in rows.items() if of == task and "published" in one for row in all
                    ]
                else:
                    choices = [row for one in names for row in rows[task, one]]
                digits = [3 if one == "CD" else 2 for one in metrics]
                given = [f"{float(v):.{n}f}" for v, n in zip(cell.split(" / "), digits, strict=True)]
                kept = [("CD", "HD", "P2F").index(one) for one in metrics]
                assert given in [[row[k] for k in kept] for row in choices], (name, task, metric)
                checked += 1
    assert checked > 10
