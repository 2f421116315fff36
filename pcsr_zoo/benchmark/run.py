"""The benchmark: models and simple references on the tasks of PU-GAN's test shapes.

A model is a name for `pcsr_zoo.load`, or `SAMPLER+MODEL` for the tasks that sample first (`fps+jet`, `random+jet`). In
these tasks a model without a sampler in its name samples by itself if it can, and by `fps` otherwise. `MODEL --even`
upsamples with `even=True`. There are references:

- `repeat`: the input points, repeated.
- `jitter`: the same, with Gaussian noise on all but the first copy. Its standard deviation is 0.01 of the cloud's
  radius and each coordinate is clipped at 0.03 of the radius, as in PU-GAN's augmentation.
- `patch-thirds`, `patch-thirds-owner`: new points a third of the way to 4 neighbors, in the pipeline of patch networks.
- `floor`: another even sampling of the same mesh with the requested number of points. It shows the distance between two
  perfect results.
"""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from .._version import __version__
from ..datasets.pugan import PUGANShape, PUGANTestSet
from ..datasets.pugan_tasks import REFERENCES, TASKS, Points, Task, add_noise, get_task, shape_rng
from ..errors import CloudError, OptionError
from ..metrics.conventions import get_convention, table_row
from ..zoo import LoadedModel, load
from .machine import machine_facts
from .names import is_even, split_model
from .patch_thirds import THIRDS, thirds
from .report import markdown_table, read_results, write_benchmarks_md, write_results
from .units import units

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

FLOOR_SEED = 1_000_003  # added to the seed, so that the floor is independent of all inputs and ground truths


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
        convention: an id of `pcsr_zoo.metrics.CONVENTIONS`.
        seed: seed of inputs, noise, samplers and models.
        shapes: names of the test shapes; None for all of them.
        on_row: a function that is called with each finished row: task, model, convention, cd, hd, p2f, p2f_std, shapes,
            p2f_shapes, spread, seeds, seconds.
        on_shape: a function that is called after each shape with task, model, shape, done, total; for a progress bar.

    Returns:
        A dictionary for `json.dump` with convention, units, seed, package, machine, command, and
        `tasks[task]["models"][model]`: a row with cd, hd, p2f, p2f_std, spread, seeds, shapes, p2f_shapes, seconds,
        weights and per_shape.
        Distances are times 1000; `units` says for each its unit and frame. cd and hd are means over the shapes. p2f and
        p2f_std are pooled over all points of the shapes that have a mesh (None if none has). Tasks with random input
        are run with several seeds, `seeds` in number: values are means over them, and spread has the standard deviation
        of cd, hd and p2f from seed to seed (None for one seed). seconds is the mean per
        shape, including sampling (None for `floor`). weights is the sha256 of a checkpoint's weights (None for models
        without weights).

    Raises:
        OptionError: a task, model, convention or shape is unknown; raised before anything is computed.
        FileError: a file of the test set is missing.
        CloudError: a model returned the wrong number of points.
    """
    rules = get_convention(convention)
    chosen = [get_task(task) for task in dict.fromkeys(tasks)]
    names = list(dict.fromkeys(models))
    if not chosen or not names:
        raise OptionError("the benchmark requires at least one task and one model")
    data = PUGANTestSet(root, shapes)
    for task in chosen:
        if task.needs_mesh and not data.with_mesh:
            raise OptionError(f"task '{task.id}' requires a mesh, and none of the shapes in {root} has one")
        for name in names:
            _check(task, name, data)
    results: dict[str, Any] = {
        "convention": rules.id,
        "units": _units(rules.id),
        "seed": seed,
        "package": f"pcsr-zoo {__version__}",
        "machine": machine_facts(),
        "command": _command(chosen, names, rules.id, seed, shapes),
        "tasks": {},
    }
    loaded = _load(chosen, names)
    _warm_up(chosen, names, loaded, data[0], seed)
    for task in chosen:
        problems: dict[tuple[str, int], tuple[Points, Points]] = {}
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
    problems: dict[tuple[str, int], tuple[Points, Points]],
    on_shape: Callable[[dict[str, Any]], None] | None,
) -> dict[str, Any]:
    """Compute one row. `problems` keeps the input and the ground truth of each shape for the next model."""
    shapes = data.with_mesh if task.needs_mesh or name == "floor" else list(data)
    seeds = range(seed, seed + task.seeds)
    runs: list[dict[str, dict[str, Any]]] = []  # for each seed, the values of each shape
    distances: list[list[Points]] = []  # for each seed, P2F of all points of each shape with a mesh
    for number, one in enumerate(seeds):
        runs.append({})
        distances.append([])
        for done, shape in enumerate(shapes, start=1 + number * len(shapes)):
            values, p2f = _run_shape(task, name, loaded, shape, convention, one, problems)
            runs[-1][shape.name] = values
            distances[-1] += [] if p2f is None else [p2f]
            if on_shape is not None:
                total = len(shapes) * task.seeds
                on_shape({"task": task.id, "model": name, "shape": shape.name, "done": done, "total": total})
    pooled = [np.concatenate(found) for found in distances] if distances[0] else None
    means = {key: [float(np.mean([row[key] for row in run.values()])) for run in runs] for key in ("cd", "hd")}
    means["p2f"] = [] if pooled is None else [float(found.mean() * 1e3) for found in pooled]
    per_shape = {shape.name: _mean_of([run[shape.name] for run in runs]) for shape in shapes}
    return {
        "cd": float(np.mean(means["cd"])),
        "hd": float(np.mean(means["hd"])),
        "p2f": None if pooled is None else float(np.concatenate(pooled).mean() * 1e3),
        "p2f_std": None if pooled is None else float(np.concatenate(pooled).std() * 1e3),
        "spread": {key: float(np.std(all_of, ddof=1)) for key, all_of in means.items() if len(all_of) > 1} or None,
        "seeds": len(seeds),
        "shapes": len(per_shape),
        "p2f_shapes": len(distances[0]),
        "seconds": None if name == "floor" else float(np.mean([row["seconds"] for row in per_shape.values()])),
        "weights": loaded[model].resolved.weights if (model := split_model(name)[1]) in loaded else None,
        "per_shape": per_shape,
    }


def _run_shape(
    task: Task,
    name: str,
    loaded: Mapping[str, LoadedModel],
    shape: PUGANShape,
    convention: str,
    seed: int,
    problems: dict[tuple[str, int], tuple[Points, Points]],
) -> tuple[dict[str, Any], Points | None]:
    """The values of one shape, and P2F of each of its points where it has a mesh."""
    if (shape.name, seed) not in problems:
        problems[shape.name, seed] = task.given(shape, seed), task.truth(shape, seed)
    given, truth = problems[shape.name, seed]
    size = task.n_out if task.recovers else task.n_in
    if len(given) != size:
        raise CloudError(f"{shape.name}: the test set has {len(given)} points, but task {task.id} requires {size}")
    start = time.perf_counter()
    prediction = _predict(task, name, loaded, shape, given, seed)
    seconds = None if name == "floor" else time.perf_counter() - start
    if prediction.shape != (task.n_out, 3):
        raise CloudError(
            f"{name} returned an array of shape {prediction.shape} for {shape.name} in task {task.id}"
            f" instead of ({task.n_out}, 3)"
        )
    row, distances = table_row(prediction, truth, shape.surface, convention)
    return {**row, "seconds": seconds}, distances


def _mean_of(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The mean of rows, key by key; None where a value is None."""
    return {key: None if rows[0][key] is None else float(np.mean([row[key] for row in rows])) for key in rows[0]}


def _check(task: Task, name: str, data: PUGANTestSet) -> None:
    sampler, model = split_model(name)
    if sampler is not None and not task.recovers:
        raise OptionError(
            f"'{name}' names a sampler, but task '{task.id}' has fixed inputs; samplers are for pcsr4, pcsr8 and pcsr16"
        )
    if is_even(name) and (task.recovers or model in REFERENCES):
        raise OptionError(f"'{name}': --even is for models in tasks of upsampling, not for '{model}' in '{task.id}'")
    if name == "floor" and not data.with_mesh:
        raise OptionError("'floor' requires shapes with a mesh, and none of the chosen shapes has one")


def _load(tasks: Sequence[Task], names: Sequence[str]) -> dict[str, LoadedModel]:
    """Load each model and sampler of the names once, and `fps` if a task samples."""
    wanted = {part for name in names for part in split_model(name) if part is not None}
    loaded = {name: load(name) for name in sorted(wanted) if name not in REFERENCES}
    if any(task.recovers for task in tasks) and "fps" not in loaded:
        loaded["fps"] = load("fps")
    return loaded


def _warm_up(
    tasks: Sequence[Task], names: Sequence[str], loaded: Mapping[str, LoadedModel], shape: PUGANShape, seed: int
) -> None:
    """Run each model once on 256 points, so that first calls are not timed."""
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
    if model in THIRDS:
        return thirds(model, given, task.n_out)
    if model not in ("repeat", "jitter"):
        if task.recovers:
            return _array(loaded[model].recover(given, n=task.n_out, seed=seed))
        upsample = partial(loaded[model].upsample, even=True) if is_even(name) else loaded[model].upsample
        return _array(upsample(given, n=task.n_out, seed=seed))
    points = given[np.arange(task.n_out) % len(given)]
    if model == "jitter":
        noisy = add_noise(points, 0.01, 0.03, shape_rng(shape, seed, stream=1))
        points[len(given) :] = noisy[len(given) :]  # the first copy has no noise
    return points


def _sampler(name: str, loaded: Mapping[str, LoadedModel]) -> LoadedModel:
    """The sampler in the name, else the model itself if it can sample, else `fps`."""
    sampler, model = split_model(name)
    if sampler is not None:
        return loaded[sampler]
    return loaded[model] if model in loaded and "sample" in loaded[model].tasks else loaded["fps"]


def _array(points: Any) -> Points:
    return np.asarray(points, dtype=np.float64)


def _units(convention: str) -> dict[str, str]:
    """Unit and frame of each number of a row."""
    found = units(convention)
    keys = {"cd": "cd", "hd": "hd", "p2f": "p2f_mean", "p2f_std": "p2f_std"}
    return {key: f"times 1000; {found[name]}" for key, name in keys.items()} | {"seconds": "seconds per shape"}


def _command(
    tasks: Sequence[Task], names: Sequence[str], convention: str, seed: int, shapes: Sequence[str] | None
) -> str:
    words = ["pcsr benchmark --data DATA"]
    words += [f"--task {task.id}" for task in tasks] + [f"--model {shlex.quote(name)}" for name in names]
    words += [f"--convention {convention}", f"--seed {seed}"]
    if shapes is not None:  # the command line has no option for them
        words.append(f"  # in Python, with shapes={list(shapes)}")
    return " ".join(words)
