"""`pcsr evaluate` and `pcsr benchmark`: metrics, with their convention, units and frames."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..errors import OptionError
from .app import common_options, echo, named, session
from .choices import check_model, check_name
from .complete import PATH
from .files import check_target
from .inspect import to_json
from .options import with_convention, with_mesh, with_models, with_reading, with_seed
from .progress import progress_bar


@click.command(short_help="Compare a cloud with its ground truth.")
@click.argument("prediction", type=PATH, metavar="PRED")
@click.argument("ground_truth", type=PATH, metavar="GT")
@with_mesh
@with_convention
@click.option("--emd", is_flag=True, help="Add the earth mover's distance; requires equal numbers of points.")
@click.option("--uniformity", is_flag=True, help="Add PU-GAN's uniformity.")
@click.option(
    "--units",
    type=click.Choice(("paper", "file")),
    default="paper",
    show_default=True,
    help="paper: normalized, as published tables; file: mean, RMSE, 95 % and largest in the unit of the files.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with values that are not times 1000.")
@with_reading
@common_options
def evaluate(
    prediction: str,
    ground_truth: str,
    mesh: str | None,
    convention: str,
    emd: bool,
    uniformity: bool,
    units: str,
    as_json: bool,
    reading: dict[str, Any],
) -> None:
    """Compare a cloud with its ground truth: Chamfer (CD) and Hausdorff (HD) distance, distance to the surface (P2F).

    Each value is printed with its unit and frame. PRED and GT are clouds, or meshes, from which 8192 points are drawn.
    With --units file, a mesh as GT is the surface itself.

    \b
    Examples:
      pcsr evaluate scan_recovered.ply scan.ply
      pcsr evaluate scan_recovered.ply scan.ply --units file
      pcsr evaluate scan_recovered.ply scan.ply --convention plain --json
    """
    if units == "file":
        if emd or uniformity:
            raise click.UsageError("--emd and --uniformity are normalized; leave out --units file")
        _in_units(prediction, ground_truth, mesh, as_json, reading)
        return
    from ..benchmark.units import units as units_of
    from ..io import read
    from ..io.mesh import read_mesh
    from ..metrics.conventions import CONVENTIONS
    from ..metrics.conventions import evaluate as compare
    from ..metrics.nearest import nearest_distances

    check_name(convention, CONVENTIONS, "--convention", "convention")
    found = read(Path(prediction), **reading).validate(prediction)
    truth = read(Path(ground_truth), **reading).validate(ground_truth)
    surface = read_mesh(Path(mesh)) if mesh else None
    with named(prediction):
        result = compare(found, truth, mesh=surface, convention=convention, emd=emd, uniformity=uniformity)
    meaning = {key: text for key, text in units_of(convention).items() if key in result}
    there, back = nearest_distances(found, truth), nearest_distances(truth, found)
    plain = {"mean": (there.mean() + back.mean()) / 2, "largest": max(there.max(), back.max())}
    if as_json:
        files = {"prediction": prediction, "ground_truth": ground_truth, "mesh": mesh}
        raw = {f"{key}_distance": float(value) for key, value in plain.items()}
        meaning |= dict.fromkeys(
            raw, "to the nearest point of the other cloud, both directions; in the unit of the files"
        )
        echo(to_json({**files, **raw, **result, "units": meaning}))
        return
    numbers = ", ".join(f"{key} {value:.4g}" for key, value in plain.items())
    echo(f"{prediction} against {ground_truth}")
    echo(f"  distance to the nearest point: {numbers} (in the unit of the files, both directions)")
    echo(f"Metrics of papers, times 1000, convention {convention}:")
    for key, text in meaning.items():
        value = result[key]
        if isinstance(value, dict):
            numbers = ", ".join(f"{name} {_thousandfold(part)}" for name, part in value.items())
        else:
            numbers = _thousandfold(value)
        echo(f"  {key}: {numbers:<10} {text}")


def _in_units(prediction: str, ground_truth: str, mesh: str | None, as_json: bool, reading: dict[str, Any]) -> None:
    """Print distances in the unit of the files."""
    from ..io import has_faces, read
    from ..io.about import unit_of
    from ..io.mesh import read_mesh
    from ..metrics.in_units import distances_in_units

    found = read(Path(prediction), **reading).validate(prediction)
    truth = None
    if mesh is None and has_faces(ground_truth):
        mesh = ground_truth
    else:
        truth = read(Path(ground_truth), **reading).validate(ground_truth)
    with named(prediction):
        result = distances_in_units(found, truth, read_mesh(Path(mesh)) if mesh else None)
    known = list(dict.fromkeys(filter(None, map(unit_of, filter(None, (found, truth))))))
    if len(known) > 1:
        raise OptionError(f"{prediction} is in {known[0]} and {ground_truth} in {known[1]}; convert one of them first")
    unit = known[0] if known else "the unit of the files, which they do not say"
    if as_json:
        files = {"prediction": prediction, "ground_truth": ground_truth, "mesh": mesh, "unit": unit}
        echo(to_json({**files, **result}))
        return
    echo(f"{prediction} against {ground_truth}; distances in {unit}")
    meaning = {
        "to_truth": f"from each point to the nearest of {ground_truth}",
        "from_truth": f"from each point of {ground_truth} to the nearest",
        "to_mesh": f"from each point to the surface {mesh}",
        "vertical": "heights above " + (f"the surface {mesh}" if mesh else f"the triangulated {ground_truth}"),
    }
    names = {"mean": "mean", "rmse": "RMSE", "p95": "95 %", "largest": "largest", "bias": "bias"}
    for key, values in result.items():
        numbers = ", ".join(f"{name} {values[part]:.4g}" for part, name in names.items() if part in values)
        echo(f"  {meaning[key]} ({values['points']:,.0f} points): {numbers}")


def _thousandfold(value: float) -> str:
    return f"{1000 * float(value):.4g}"


@click.command(short_help="Run models over the PU-GAN test shapes.")
@click.option(
    "--data",
    type=PATH,
    metavar="DIR",
    help="The folder with gt_8192, input_2048 and mesh.",
)
@click.option("--task", "tasks", multiple=True, metavar="TASK", help="up4, pcsr8, ...; repeatable.")
@with_models("A model, a folder, hf:OWNER/REPO or SAMPLER+NAME; repeatable.")
@with_convention
@with_seed
@click.option("--json", "json_file", type=PATH, metavar="FILE", help="Write all results, including each shape.")
@click.option(
    "--markdown",
    "markdown_file",
    type=PATH,
    metavar="FILE",
    help="Write tables with published results.",
)
@click.option(
    "--leaderboard",
    type=PATH,
    metavar="FILE",
    help="Run nothing: write a page of all rows of --results and of the cards of this version.",
)
@click.option(
    "--results",
    "results_files",
    type=PATH,
    multiple=True,
    metavar="FILE",
    help="A file of --json for --leaderboard; repeatable.",
)
@click.option("--csv", "csv_file", type=PATH, metavar="FILE", help="Write the leaderboard as CSV, too.")
@click.option("--overwrite", is_flag=True, help="Replace existing files.")
@common_options
def benchmark(
    data: str | None,
    tasks: tuple[str, ...],
    models: tuple[str, ...],
    convention: str,
    seed: int,
    json_file: str | None,
    markdown_file: str | None,
    leaderboard: str | None,
    results_files: tuple[str, ...],
    csv_file: str | None,
    overwrite: bool,
) -> None:
    """Run models on PU-GAN's test shapes and print a table, row by row; or make the leaderboard of earlier runs.

    CD and HD are means over the shapes, P2F is pooled over all points; their units and frames are printed above the
    table. In addition to models, NAME can be repeat (the input, repeated), jitter (the same with noise) or floor
    (another sampling of the true mesh). DIR must contain PU-GAN's test shapes.

    \b
    Examples:
      pcsr benchmark --data DIR --task up4 -m jet -m midpoint
      pcsr benchmark --data DIR --task pcsr8 -m fps+jet --json pcsr8.json
      pcsr benchmark --leaderboard leaderboard.md --csv results.csv --overwrite
    """
    if leaderboard is not None:
        for given, option in ((data, "--data"), (tasks, "--task"), (models, "--model"), (json_file, "--json")):
            if given:
                raise click.UsageError(f"{option} runs models, and --leaderboard runs nothing; use one of them")
        _write_leaderboard(leaderboard, results_files, csv_file, overwrite)
        return
    for given, option in ((results_files, "--results"), (csv_file, "--csv")):
        if given:
            raise click.UsageError(f"{option} is for --leaderboard")
    for given, option in ((data, "--data"), (tasks, "--task"), (models, "--model")):
        if not given:
            raise click.UsageError(f"Missing option '{option}'.")
    assert data is not None
    from ..benchmark.run import REFERENCES, TASKS, run_benchmark, split_model, write_benchmarks_md, write_results
    from ..benchmark.units import units
    from ..metrics.conventions import CONVENTIONS

    for task in tasks:
        check_name(task, TASKS, "--task", "task")
    for model in models:
        for part in split_model(model):
            if part is not None and part not in REFERENCES:
                check_model(part, others=tuple(REFERENCES))
    check_name(convention, CONVENTIONS, "--convention", "convention")
    for name in (json_file, markdown_file):
        if name:
            check_target(Path(name), [], overwrite)

    columns = "{task:<18} {model:<16} {cd:>8} {hd:>8} {p2f:>8} {shapes:>6} {seconds:>9}"
    headings = {"task": "task", "model": "model", "cd": "CD", "hd": "HD", "p2f": "P2F", "shapes": "shapes"}
    begun = False

    def on_row(row: dict[str, Any]) -> None:
        nonlocal begun
        if not begun:
            begun = True
            meaning = units(convention)
            session().say(f"convention {convention}; CD, HD and P2F are times 1000")
            for name, key in (("CD", "cd"), ("HD", "hd"), ("P2F", "p2f_mean")):
                session().say(f"  {name}: {meaning[key]}")
            session().say(columns.format(**headings, seconds="s/shape"))
        numbers = {key: _number(row[key]) for key in ("cd", "hd", "p2f", "shapes", "seconds")}
        session().say(columns.format(task=row["task"], model=row["model"], **numbers))

    with progress_bar("benchmark") as progress:

        def on_shape(step: dict[str, Any]) -> None:
            if progress:
                progress(f"{step['task']} {step['model']} {step['shape']}", step["done"] / step["total"])

        with named(data):
            results = run_benchmark(data, tasks, models, convention, seed, on_row=on_row, on_shape=on_shape)
    if json_file:
        write_results(results, json_file, overwrite)
    if markdown_file:
        write_benchmarks_md(results, markdown_file, overwrite)


def _write_leaderboard(page: str, results_files: tuple[str, ...], csv_file: str | None, overwrite: bool) -> None:
    from ..benchmark.leaderboard import rows_of_runs, write_csv, write_leaderboard
    from ..benchmark.report import read_results

    for name in (page, csv_file):
        if name:
            check_target(Path(name), [Path(file) for file in results_files], overwrite)
    rows = rows_of_runs([read_results(file) for file in results_files])
    write_leaderboard(rows, page, overwrite)
    if csv_file:
        write_csv(rows, csv_file, overwrite)
    session().say(f"{page}: {len(rows)} rows" + (f", also in {csv_file}" if csv_file else ""))


def _number(value: float | None) -> str:
    """Four digits; a dash for a missing value."""
    return "-" if value is None else f"{value:.4g}"
