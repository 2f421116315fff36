"""`pcsr data`: files for training."""

from __future__ import annotations

from pathlib import Path

import click

from .app import common_options, echo, session
from .complete import PATH
from .files import check_target
from .options import with_seed
from .progress import progress_bar


@click.group(short_help="Make files for training.")
@common_options
def data() -> None:
    """Make files for training.

    \b
    Examples:
      pcsr data build scans/ -o train.npz
      pcsr data build --help
    """


@data.command(short_help="Make a training file from meshes.")
@click.argument("meshes", type=PATH, metavar="[MESHES]...", nargs=-1)
@click.option("-o", "--output", type=PATH, required=True, metavar="FILE", help="The .npz file to write.")
@click.option(
    "--license-class",
    "license_classes",
    multiple=True,
    metavar="CLASS",
    help="Use only meshes of this license class in a .csv table; repeatable.",
)
@click.option("--points", type=click.IntRange(min=16), default=32_768, show_default=True, help="Points per shape.")
@click.option(
    "--generated", type=click.IntRange(min=0), default=0, show_default=True, help="Number of generated shapes to add."
)
@with_seed
@click.option(
    "--held-out",
    type=click.FloatRange(min=0, max=1, max_open=True),
    default=0.1,
    show_default=True,
    help="Share of the shapes for validation; their names decide which.",
)
@click.option("--overwrite", is_flag=True, help="Replace an existing file.")
@common_options
def build(
    meshes: tuple[str, ...],
    output: str,
    license_classes: tuple[str, ...],
    points: int,
    generated: int,
    seed: int,
    held_out: float,
    overwrite: bool,
) -> None:
    """Make a training file with evenly spread points and normals of shapes.

    MESHES are mesh files, folders of them, or .csv tables with the columns file, license, license_class and source.

    \b
    Examples:
      pcsr data build scans/ -o train.npz --generated 60
      pcsr data build meshes.csv -o train.npz --license-class permissive
    """
    from ..datasets.build import build as build_file
    from ..datasets.meshes import find_meshes

    check_target(Path(output), [mesh.path for mesh in find_meshes(meshes)] if meshes else [], overwrite)
    with progress_bar("data build") as progress:
        report = build_file(
            meshes,
            output,
            license_classes=license_classes or None,
            points=points,
            generated=generated,
            seed=seed,
            held_out=held_out,
            on_shape=progress,
            overwrite=overwrite,
        )
    for name, reason in report.skipped.items():
        echo(f"Warning: skipped {name}: {reason}", err=True)
    size = report.path.stat().st_size / 1e6
    session().say(f"{output}: {report.train} shapes for training, {report.held_out} for validation, {size:.1f} MB")


@data.command(short_help="Make a training file of generated streets for scan-net.")
@click.option("-o", "--output", type=PATH, required=True, metavar="FILE", help="The .npz file to write.")
@click.option("--scans", type=click.IntRange(min=1), default=1400, show_default=True, help="Number of scans.")
@with_seed
@click.option("--overwrite", is_flag=True, help="Replace an existing file.")
@common_options
def streets(output: str, scans: int, seed: int, overwrite: bool) -> None:
    """Make a training file of generated street scenes, scanned by models of spinning LiDAR sensors.

    1,400 scans take about 10 minutes on one core, and 59 MB.

    \b
    Examples:
      pcsr data streets -o streets.npz
      pcsr data streets -o few.npz --scans 20 --seed 1
    """
    from ..datasets.scan_set import build_streets

    check_target(Path(output), [], overwrite)
    with progress_bar("data streets") as progress:
        made = build_streets(output, scans, seed, progress=progress)
    size = Path(output).stat().st_size / 1e6
    session().say(f"{output}: {len(made.train)} scans for training, {len(made.held_out)} for validation, {size:.1f} MB")
