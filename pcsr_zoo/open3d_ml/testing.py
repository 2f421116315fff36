"""`run_test`: a model over the test split of a data set, with measures where there is a ground truth."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .._version import __version__
from ..errors import OptionError, PcsrError
from ..io.atomic import atomic_path
from ..metrics.conventions import evaluate
from .convert import GROUND_TRUTH, MESH

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Problem:
    """What one item of a data set asks.

    Attributes:
        given: what the model gets.
        truth: (M, 3) to compare with, or None.
        solve: given -> result, a dict with `point`.
    """

    given: dict[str, Any]
    truth: Any
    solve: Callable[[dict[str, Any]], dict[str, Any]]


def densest(data: dict[str, Any]) -> dict[str, Any]:
    """The ground truth as data, or the data itself where there is none."""
    truth = data.get(GROUND_TRUTH)
    return data if truth is None else {"point": truth, "feat": None, MESH: data.get(MESH)}


def run_all(pipeline: Any, dataset: Any, report: Path) -> dict[str, Any]:
    """Every item of the test split.

    Args:
        pipeline: a `ZooPipeline`.
        dataset: of Open3D-ML's kind; results go to its `save_test_result`.
        report: the .json to write.

    Returns:
        convention, pipeline, model, dataset, package; per_shape[name] = {points_in, points_out, seconds} and, where
        there is a ground truth, cd, hd, p2f, p2f_std (times 1000; p2f None without a mesh); the means over the shapes:
        cd, hd, seconds (None without a ground truth); p2f and p2f_std pooled over all points; shapes, measured,
        p2f_shapes: how many each rests on.

    Raises:
        OptionError: there are no items.
        PcsrError: an item cannot be read, run or saved; the message names it.
    """
    split = dataset.get_split("test")
    rows: dict[str, dict[str, Any]] = {}
    distances: list[np.ndarray] = []
    if not len(split):
        raise OptionError(f"the test split of the data set '{dataset.name}' is empty: there is nothing to test on")
    log.info("Started testing")
    for index in range(len(split)):
        attr = split.get_attr(index)
        try:
            data = split.get_data(index)
            row, result = _one(pipeline, data, distances)
            dataset.save_test_result(result, attr)
        except PcsrError as error:
            raise type(error)(f"{attr['name']}: {error}") from error
        rows[attr["name"]] = row
        log.info("%s: %s", attr["name"], _line(row))
    measured = [row for row in rows.values() if "cd" in row]
    pooled = np.concatenate(distances) if distances else None
    summary = {
        "convention": pipeline.cfg.convention,
        "pipeline": type(pipeline).__name__,
        "model": type(pipeline.model).__name__,
        "dataset": dataset.name,
        "package": f"pcsr-zoo {__version__}",
        "shapes": len(rows),
        "measured": len(measured),
        "p2f_shapes": len(distances),
        "cd": _mean(measured, "cd"),
        "hd": _mean(measured, "hd"),
        "p2f": None if pooled is None else float(pooled.mean() * 1e3),
        "p2f_std": None if pooled is None else float(pooled.std() * 1e3),
        "seconds": _mean(list(rows.values()), "seconds"),
    }
    log.info("Overall (%s, times 1000): %s", summary["convention"], _line(summary))
    with atomic_path(report) as temporary:
        text = json.dumps({**summary, "per_shape": rows}, indent=1) + "\n"
        temporary.write_text(text, encoding="utf-8", newline="\n")
    log.info("Finished testing")
    return {**summary, "per_shape": rows}


def _one(pipeline: Any, data: dict[str, Any], distances: list[np.ndarray]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The row of one item, and the result."""
    problem = pipeline.problem(data)
    start = time.perf_counter()
    result = problem.solve(problem.given)
    seconds = time.perf_counter() - start
    row: dict[str, Any] = {
        "points_in": len(problem.given["point"]),
        "points_out": len(result["point"]),
        "seconds": seconds,
    }
    if problem.truth is None:
        return row, result
    found = evaluate(result["point"], problem.truth, data.get(MESH), pipeline.cfg.convention, per_point=True)
    row |= {"cd": found["cd"] * 1e3, "hd": found["hd"] * 1e3, "p2f": None, "p2f_std": None}
    if "p2f_mean" in found:
        row |= {"p2f": found["p2f_mean"] * 1e3, "p2f_std": found["p2f_std"] * 1e3}
        distances.append(found["per_point"]["p2f"])
    return row, result


def _mean(rows: list[dict[str, Any]], key: str) -> float | None:
    return float(np.mean([row[key] for row in rows])) if rows else None


def _line(row: dict[str, Any]) -> str:
    numbers = [f"{key} {row[key]:.3f}" for key in ("cd", "hd", "p2f", "seconds") if row.get(key) is not None]
    counts = [f"{row['points_in']} -> {row['points_out']} points"] if "points_in" in row else []
    return ", ".join(counts + numbers)
