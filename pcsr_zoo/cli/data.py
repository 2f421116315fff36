"""`pcsr data`: what training reads."""

from __future__ import annotations

from pathlib import Path

import click

from .app import common_options, session
from .files import check_target
from .progress import progress_bar


@click.group(short_help="Make training files.")
@common_options
def data() -> None:
    """Make training files."""


@data.command(short_help="Meshes -> a training file.")
@click.argument("meshes", metavar="[MESHES]...", nargs=-1)
@click.option("-o", "--output", required=True, metavar="FILE", help="The .npz to write.")
@click.option(
    "--license-class",
    "license_classes",
    multiple=True,
    metavar="CLASS",
    help="Only such meshes of a table; repeatable.",
)
@click.option("--points", type=click.IntRange(min=16), default=32_768, show_default=True, help="Points a shape.")
@click.option("--generated", type=click.IntRange(min=0), default=0, show_default=True, help="Shapes of our own to add.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option(
    "--held-out",
    type=click.FloatRange(min=0, max=1, max_open=True),
    default=0.1,
    show_default=True,
    help="Share of shapes for validation, chosen by name.",
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
    """Make a training file of evenly spread points and normals.

    MESHES are mesh files, folders of them, or a .csv with the columns file, license, license_class and source.

    \b
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
        )
    for name, reason in report.skipped.items():
        click.echo(f"Warning: skipped {name}: {reason}", err=True)
    size = report.path.stat().st_size / 1e6
    session().say(f"{output}: {report.train} shapes to train on, {report.held_out} held out, {size:.1f} MB")
