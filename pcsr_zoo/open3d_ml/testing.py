"""`run_test`: a model on the test split of a data set, with measurements if there is a ground truth."""

from __future__ import annotations

import json
import logging
import time
from pathlib import Path
from typing import Any

import numpy as np

from .._version import __version__
from ..errors import OptionError, PcsrError
from ..io.atomic import atomic_path
from ..metrics.conventions import table_row
from .convert import MESH
from .foreign import get_split, read_item, save_result

log = logging.getLogger(__name__)


def run_all(pipeline: Any, dataset: Any, report: Path) -> dict[str, Any]:
    """Run, save and measure every item of the test split.

    Args:
        pipeline: a `ZooPipeline`.
        dataset: of Open3D-ML's kind; see `foreign.save_result` for where results are stored.
        report: the .json file to write.

    Returns:
        A dictionary with these keys; cd, hd and p2f are multiplied by 1000, in the frame of the convention.

        - convention, pipeline, model, dataset, package.
        - checkpoint, weights: the folder of the weights and "sha256:..." of them; None without a network, and
          checkpoint is None for weights that were changed since they were loaded.
        - per_shape[name]: points_in, points_out, seconds; of a recovery, points_sampled; with a ground truth, cd, hd,
          p2f, p2f_std (p2f None without a mesh).
        - cd, hd, seconds: means over the shapes; None if nothing was measured. p2f, p2f_std: over all points.
        - shapes, measured, p2f_shapes: the number of shapes, of those with a ground truth, and of those with a mesh.

    Raises:
        OptionError: there are no items.
        PcsrError: an item cannot be read, run or saved; the message names it.
    """
    split = get_split(dataset, "test")
    rows: dict[str, dict[str, Any]] = {}
    distances: list[np.ndarray] = []
    if not len(split):
        raise OptionError(f"the test split of the data set '{dataset.name}' is empty")
    log.info("Started testing")
    for index in range(len(split)):
        name, attr, data = read_item(dataset, split, index)
        try:
            rows[name], result = _one(pipeline, data, distances)
            save_result(dataset, result, name, attr)
        except PcsrError as error:
            raise type(error)(f"{name}: {error}") from error
        log.info("%s: %s", name, _line(rows[name]))
    measured = [row for row in rows.values() if "cd" in row]
    pooled = np.concatenate(distances) if distances else None
    summary = {
        "convention": pipeline.cfg.convention,
        "pipeline": type(pipeline).__name__,
        "model": type(pipeline.model).__name__,
        "dataset": dataset.name,
        **pipeline.model.weights_used(),
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
    unit = f" ({summary['convention']}, distances times 1000)" if measured else ""
    log.info("Overall%s: %s", unit, _line(summary))
    summary["per_shape"] = rows
    with atomic_path(report) as temporary:
        temporary.write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8", newline="\n")
    log.info("Finished testing")
    return summary


def _one(pipeline: Any, data: dict[str, Any], distances: list[np.ndarray]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The row of one item, and the result."""
    given, truth = pipeline.test_case(data)
    start = time.perf_counter()
    *between, result = pipeline.solve(given, truth)
    seconds = time.perf_counter() - start
    row: dict[str, Any] = {"points_in": len(given["point"])}
    if between:  # a recovery samples first
        row["points_sampled"] = len(between[0]["point"])
    row |= {"points_out": len(result["point"]), "seconds": seconds}
    if truth is None:
        return row, result
    measured, of_points = table_row(result["point"], truth, data.get(MESH), pipeline.cfg.convention)
    if of_points is not None:
        distances.append(of_points)
    return row | measured, result


def _mean(rows: list[dict[str, Any]], key: str) -> float | None:
    return float(np.mean([row[key] for row in rows])) if rows else None


def _line(row: dict[str, Any]) -> str:
    numbers = [f"{key} {row[key]:.3f}" for key in ("cd", "hd", "p2f", "seconds") if row.get(key) is not None]
    counts = " -> ".join(str(row[key]) for key in ("points_in", "points_sampled", "points_out") if key in row)
    return ", ".join([f"{counts} points", *numbers] if counts else numbers)
