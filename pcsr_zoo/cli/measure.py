"""`pcsr evaluate` and `pcsr benchmark`: numbers, each with the id of its convention."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .app import common_options, session
from .choices import check_model, check_name
from .files import check_target
from .inspect import to_json
from .progress import progress_bar

CONVENTION = "pugan-2019"


@click.command(short_help="Compare a cloud with its ground truth.")
@click.argument("prediction", metavar="PRED")
@click.argument("ground_truth", metavar="GT")
@click.option("--mesh", metavar="MESH", help="The true surface, in the same frame: adds P2F.")
@click.option("--convention", default=CONVENTION, show_default=True, metavar="ID")
@click.option("--emd", is_flag=True, help="Also the earth mover's distance (equal point counts).")
@click.option("--uniformity", is_flag=True, help="Also PU-GAN's uniformity.")
@click.option("--json", "as_json", is_flag=True, help="Plain units, not times 1000.")
@common_options
def evaluate(
    prediction: str,
    ground_truth: str,
    mesh: str | None,
    convention: str,
    emd: bool,
    uniformity: bool,
    as_json: bool,
) -> None:
    """Compare a cloud with its ground truth: Chamfer (CD), Hausdorff (HD), distance to the surface (P2F)."""
    from ..io import read
    from ..io.mesh import read_mesh
    from ..metrics.conventions import CONVENTIONS
    from ..metrics.conventions import evaluate as compare

    check_name(convention, CONVENTIONS, "--convention", "convention")
    result = compare(
        read(Path(prediction)).validate(prediction),
        read(Path(ground_truth)).validate(ground_truth),
        mesh=read_mesh(Path(mesh)) if mesh else None,
        convention=convention,
        emd=emd,
        uniformity=uniformity,
    )
    if as_json:
        click.echo(to_json({"prediction": prediction, "ground_truth": ground_truth, "mesh": mesh, **result}))
        return
    click.echo(f"{prediction} against {ground_truth}, convention {convention}, times 1000")
    for key, value in result.items():
        if isinstance(value, dict):
            parts = ", ".join(f"{name} {_thousandfold(part)}" for name, part in value.items())
            click.echo(f"  {key}: {parts}")
        elif isinstance(value, (int, float)):
            click.echo(f"  {key}: {_thousandfold(value)}")


def _thousandfold(value: float) -> str:
    return f"{1000 * float(value):.4g}"


@click.command(short_help="Run models over the PU-GAN test shapes.")
@click.option("--data", required=True, metavar="DIR", help="Folder with gt_8192, input_2048 and mesh.")
@click.option("--task", "tasks", multiple=True, required=True, metavar="TASK", help="Repeatable.")
@click.option(
    "-m", "--model", "models", multiple=True, required=True, metavar="NAME", help="Or DIR, SAMPLER+NAME; repeatable."
)
@click.option("--convention", default=CONVENTION, show_default=True, metavar="ID")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--json", "json_file", metavar="FILE", help="Write all results, shape by shape.")
@click.option("--markdown", "markdown_file", metavar="FILE", help="Write the table with published numbers.")
@click.option("--overwrite", is_flag=True, help="Replace existing files.")
@common_options
def benchmark(
    data: str,
    tasks: tuple[str, ...],
    models: tuple[str, ...],
    convention: str,
    seed: int,
    json_file: str | None,
    markdown_file: str | None,
    overwrite: bool,
) -> None:
    """Run models over the PU-GAN test shapes and print a table as it grows.

    Beside the zoo's models there are the rows repeat, jitter and floor (another sampling of the mesh).
    """
    from ..benchmark.run import REFERENCES, TASKS, run_benchmark, split_model, write_benchmarks_md, write_results
    from ..metrics.conventions import CONVENTIONS

    for task in tasks:
        check_name(task, TASKS, "--task", "task")
    for model in models:
        for part in split_model(model):
            if part is not None and part not in REFERENCES:
                check_model(part)
    check_name(convention, CONVENTIONS, "--convention", "convention")
    for name in (json_file, markdown_file):
        if name:
            check_target(Path(name), [], overwrite)

    columns = "{task:<18} {model:<16} {cd:>8} {hd:>8} {p2f:>8} {shapes:>6} {seconds:>9}"
    session().say(f"convention {convention}, times 1000")
    session().say(
        columns.format(task="task", model="model", cd="CD", hd="HD", p2f="P2F", shapes="shapes", seconds="s a shape")
    )

    def on_row(row: dict[str, Any]) -> None:
        numbers = {key: _number(row[key]) for key in ("cd", "hd", "p2f", "shapes", "seconds")}
        session().say(columns.format(task=row["task"], model=row["model"], **numbers))

    with progress_bar("benchmark") as progress:

        def on_shape(step: dict[str, Any]) -> None:
            if progress:
                progress(f"{step['task']} {step['model']} {step['shape']}", step["done"] / step["total"])

        results = run_benchmark(data, tasks, models, convention, seed, on_row=on_row, on_shape=on_shape)
    if json_file:
        write_results(results, json_file)
    if markdown_file:
        write_benchmarks_md(results, markdown_file)


def _number(value: float | None) -> str:
    """Four digits; a dash for what was not measured."""
    return "-" if value is None else f"{value:.4g}"
