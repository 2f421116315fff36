"""The benchmark: models on the tasks of PU-GAN's test shapes, beside reference rows that need no model.

A model is a name of `pcsr_zoo.upsample`, or `SAMPLER+MODEL` for the tasks that sample first (`fps+jet`,
`random+jet`); there a plain name samples by itself, if the model can, and by `fps` if it cannot. Three names are
built in:

- `repeat`: the input again and again;
- `jitter`: the same, with Gaussian noise of 0.01 of the cloud's radius on all but the first copy (each
  coordinate cut off at 0.03 of the radius, which is PU-GAN's augmentation);
- `floor`: another even sampling of the same mesh, of the size that is asked for: what two perfect answers
  differ by.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from typing import Any

import numpy as np

from .._version import __version__
from ..datasets.pugan import PUGANShape, PUGANTestSet
from ..datasets.pugan_tasks import TASKS, Points, Task, add_noise, get_task, shape_rng
from ..errors import CloudError, OptionError
from ..metrics.conventions import evaluate, get_convention
from ..zoo import LoadedModel, load
from .names import split_model
from .report import markdown_table, read_results, write_benchmarks_md, write_results

__all__ = [
    "REFERENCES",
    "TASKS",
    "markdown_table",
    "read_results",
    "run_benchmark",
    "split_model",
    "write_benchmarks_md",
    "write_results",
]

REFERENCES = ("repeat", "jitter", "floor")
FLOOR_SEED = 1_000_003  # added to the seed, so that the floor is independent of every input and ground truth


def run_benchmark(
    root: str | os.PathLike[str],
    tasks: Sequence[str],
    models: Sequence[str],
    convention: str = "pugan-2019",
    seed: int = 0,
    shapes: Sequence[str] | None = None,
    on_row: Callable[[dict[str, Any]], None] | None = None,
    on_shape: Callable[[dict[str, Any]], None] | None = None,
) -> dict[str, Any]:
    """Run every model on every task.

    Args:
        root: folder of the test set (see `PUGANTestSet`).
        tasks: ids of `TASKS`.
        models: names; see the module.
        convention: id of `pcsr_zoo.metrics.CONVENTIONS`.
        seed: of inputs, noise, samplers and models.
        shapes: names of the test shapes to use; all of them when None.
        on_row: called with each finished row: task, model, convention, cd, hd, p2f, p2f_std, shapes,
            p2f_shapes, seconds.
        on_shape: called after each shape with task, model, shape, done, total; for a progress bar.

    Returns:
        A dictionary for `json.dump` with convention, seed, package, machine, command, and
        `tasks[task]["models"][model] = {cd, hd, p2f, p2f_std, shapes, p2f_shapes, seconds, weights, per_shape}`.
        Distances are times 1000. cd and hd are means over the shapes; p2f and p2f_std are pooled over all
        points of the shapes that have a mesh (None where none has); seconds is the mean per shape, sampling
        included (None for `floor`); weights is the sha256 of a checkpoint's (None for what has none).

    Raises:
        OptionError: an unknown task, model, convention or shape, before anything is computed.
        FileError: a file of the test set is missing.
        CloudError: a model returns another number of points than it was asked for.
    """
    rules = get_convention(convention)
    chosen = [get_task(task) for task in dict.fromkeys(tasks)]
    names = list(dict.fromkeys(models))
    if not chosen or not names:
        raise OptionError("the benchmark needs at least one task and one model")
    data = PUGANTestSet(root, shapes)
    for task in chosen:
        if task.needs_mesh and not data.with_mesh:
            raise OptionError(f"task '{task.id}' needs shapes with a mesh, and none of the chosen has one")
        for name in names:
            _check(task, name, data)
    results: dict[str, Any] = {
        "convention": rules.id,
        "seed": seed,
        "package": f"pcsr-zoo {__version__}",
        "machine": machine_facts(),
        "command": _command(chosen, names, rules.id, seed, shapes),
        "tasks": {},
    }
    loaded = _load(chosen, names)
    _warm_up(chosen, names, loaded, data[0], seed)
    for task in chosen:
        problems: dict[str, tuple[Points, Points]] = {}
        rows = results["tasks"].setdefault(task.id, {"protocol": task.protocol, "models": {}})["models"]
        for name in names:
            row = _run_model(task, name, loaded, data, rules.id, seed, problems, on_shape)
            rows[name] = row
            if on_row is not None:
                flat = {key: value for key, value in row.items() if key != "per_shape"}
                on_row({"task": task.id, "model": name, "convention": rules.id, **flat})
    return results


def _run_model(
    task: Task,
    name: str,
    loaded: Mapping[str, LoadedModel],
    data: PUGANTestSet,
    convention: str,
    seed: int,
    problems: dict[str, tuple[Points, Points]],
    on_shape: Callable[[dict[str, Any]], None] | None,
) -> dict[str, Any]:
    """One row. `problems` keeps what is given and the ground truth of each shape for the next model."""
    shapes = data.with_mesh if task.needs_mesh or name == "floor" else list(data)
    per_shape: dict[str, dict[str, Any]] = {}
    distances: list[Points] = []
    for done, shape in enumerate(shapes, start=1):
        if shape.name not in problems:
            problems[shape.name] = task.given(shape, seed), task.truth(shape, seed)
        given, truth = problems[shape.name]
        size = task.n_out if task.recovers else task.n_in
        if len(given) != size:
            raise CloudError(f"{shape.name}: the data set has {len(given)} points where task {task.id} needs {size}")
        start = time.perf_counter()
        prediction = _predict(task, name, loaded, shape, given, seed)
        seconds = None if name == "floor" else time.perf_counter() - start
        if prediction.shape != (task.n_out, 3):
            raise CloudError(
                f"{name} returned an array of shape {prediction.shape} for {shape.name} in task {task.id},"
                f" asked for ({task.n_out}, 3)"
            )
        found = evaluate(prediction, truth, shape.surface, convention, per_point=True)
        values: dict[str, Any] = {
            "cd": found["cd"] * 1e3,
            "hd": found["hd"] * 1e3,
            "p2f": None,
            "p2f_std": None,
        }
        if "p2f_mean" in found:
            values |= {"p2f": found["p2f_mean"] * 1e3, "p2f_std": found["p2f_std"] * 1e3}
            distances.append(found["per_point"]["p2f"])
        per_shape[shape.name] = {**values, "seconds": seconds}
        if on_shape is not None:
            on_shape({"task": task.id, "model": name, "shape": shape.name, "done": done, "total": len(shapes)})
    pooled = np.concatenate(distances) if distances else None
    rows = per_shape.values()
    return {
        "cd": float(np.mean([row["cd"] for row in rows])),
        "hd": float(np.mean([row["hd"] for row in rows])),
        "p2f": None if pooled is None else float(pooled.mean() * 1e3),
        "p2f_std": None if pooled is None else float(pooled.std() * 1e3),
        "shapes": len(per_shape),
        "p2f_shapes": len(distances),
        "seconds": None if name == "floor" else float(np.mean([row["seconds"] for row in rows])),
        "weights": loaded[model].resolved.weights if (model := split_model(name)[1]) in loaded else None,
        "per_shape": per_shape,
    }


def _check(task: Task, name: str, data: PUGANTestSet) -> None:
    sampler, _ = split_model(name)
    if sampler is not None and not task.recovers:
        raise OptionError(
            f"'{name}' names a sampler, but task '{task.id}' gives the input; samplers are for pcsr4, pcsr8 and pcsr16"
        )
    if name == "floor" and not data.with_mesh:
        raise OptionError("'floor' needs shapes with a mesh, and none of the chosen ones has one")


def _load(tasks: Sequence[Task], names: Sequence[str]) -> dict[str, LoadedModel]:
    """Every model and sampler that the names mention, each loaded once; `fps` where a name needs it."""
    wanted = {part for name in names for part in split_model(name) if part is not None}
    loaded = {name: load(name) for name in sorted(wanted) if name not in REFERENCES}
    if any(task.recovers for task in tasks) and "fps" not in loaded:
        loaded["fps"] = load("fps")
    return loaded


def _warm_up(
    tasks: Sequence[Task], names: Sequence[str], loaded: Mapping[str, LoadedModel], shape: PUGANShape, seed: int
) -> None:
    """Each model once on 256 points, so that first calls are not timed."""
    points = shape.input[:256]
    for name in names:
        _, model = split_model(name)
        if any(task.recovers for task in tasks) and name != "floor":
            few = _sampler(name, loaded).sample(points, n=64, seed=seed)
            if model not in REFERENCES:
                loaded[model].recover(few, n=256, seed=seed)
        if model not in REFERENCES and not all(task.recovers for task in tasks):
            loaded[model].upsample(points, n=512, seed=seed)


def _predict(
    task: Task, name: str, loaded: Mapping[str, LoadedModel], shape: PUGANShape, given: Points, seed: int
) -> Points:
    if name == "floor":
        return shape.sample(task.n_out, seed + FLOOR_SEED)
    _, model = split_model(name)
    if task.recovers:
        given = _array(_sampler(name, loaded).sample(given, n=task.n_in, seed=seed))
    if model not in ("repeat", "jitter"):
        verb = loaded[model].recover if task.recovers else loaded[model].upsample
        return _array(verb(given, n=task.n_out, seed=seed))
    points = given[np.arange(task.n_out) % len(given)]
    if model == "jitter":
        noisy = add_noise(points, 0.01, 0.03, shape_rng(shape, seed, stream=1))
        points[len(given) :] = noisy[len(given) :]  # the first copy stays
    return points


def _sampler(name: str, loaded: Mapping[str, LoadedModel]) -> LoadedModel:
    """The sampler that the name gives; else the model itself, if it samples; else `fps`."""
    sampler, model = split_model(name)
    if sampler is not None:
        return loaded[sampler]
    return loaded[model] if model in loaded and "sample" in loaded[model].tasks else loaded["fps"]


def _array(points: Any) -> Points:
    return np.asarray(points, dtype=np.float64)


def machine_facts() -> dict[str, Any]:
    """What a time depends on: system, architecture, cores, versions; nothing that names the machine."""
    versions = {}
    for package in ("numpy", "scipy", "torch", "open3d-cpu", "open3d"):
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return {
        "system": platform.system(),
        "architecture": platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        **versions,
    }


def _command(
    tasks: Sequence[Task], names: Sequence[str], convention: str, seed: int, shapes: Sequence[str] | None
) -> str:
    words = ["pcsr benchmark --data DATA"]
    words += [f"--task {task.id}" for task in tasks] + [f"--model {name}" for name in names]
    words += [f"--convention {convention}", f"--seed {seed}"]
    if shapes is not None:  # only the Python call can choose them
        words.append(f"  # in Python, with shapes={list(shapes)}")
    return " ".join(words)
