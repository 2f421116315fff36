"""`pcsr roundtrip`: what sampling and recovery keep of a cloud, and at how many bytes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from .app import common_options, session
from .choices import check_amount, check_bits, check_device, check_model, check_name
from .files import check_target
from .inspect import to_json
from .measure import CONVENTION
from .progress import progress_bar


@click.command(short_help="Sample a cloud, recover it, and measure what is left of it.")
@click.argument("cloud", metavar="IN")
@click.option("-x", "--ratio", type=float, metavar="R", help="Sample one point in R; by default the model's ratio.")
@click.option("-n", "n", type=int, metavar="N", help="Sample to exactly this many points.")
@click.option("-m", "--model", "models", multiple=True, metavar="NAME", help="Or DIR, SAMPLER+NAME; repeatable.")
@click.option("--bits", type=int, metavar="B", help="Samples on a grid of 2^B steps, entropy-coded.")
@click.option("--snap", is_flag=True, help="Samples that are points of the input.")
@click.option("--mesh", metavar="MESH", help="The true surface, in the same frame: adds P2F.")
@click.option("--convention", default=CONVENTION, show_default=True, metavar="ID")
@click.option("--emd", is_flag=True, help="Also the earth mover's distance (up to 10,000 points).")
@click.option("--uniformity", is_flag=True, help="Also PU-GAN's uniformity.")
@click.option("--temperature", type=click.FloatRange(min=0), default=1.0, show_default=True, metavar="T")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--device", metavar="D", help="cpu (the default), cuda, cuda:1, mps.")
@click.option("--points", type=click.IntRange(min=1), metavar="N", help="Points drawn from a mesh.")
@click.option("--picture", metavar="PNG", help="Draw the clouds side by side, errors colored.")
@click.option("--json", "json_file", metavar="FILE", help="Write all figures, in plain units.")
@click.option("--overwrite", is_flag=True, help="Replace existing files.")
@common_options
def roundtrip(
    cloud: str,
    ratio: float | None,
    n: int | None,
    models: tuple[str, ...],
    mesh: str | None,
    points: int | None,
    picture: str | None,
    json_file: str | None,
    overwrite: bool,
    **options: Any,
) -> None:
    """Sample a cloud, recover it, and measure what is left of it.

    Each method's line has the bytes that it stores (positions only), bits per point of the input, and the distances
    to the input. Beside the models stand fps+jet and fps+jetnet, and, at as many bytes as the first line, Draco and
    LAZ: with all points on a grid as coarse as it must be, and with as many points as fit on a finer one (fps+draco).
    """
    from ..benchmark.round_trip import roundtrip as run
    from ..benchmark.round_trip_report import metric_columns, table_line
    from ..io import read
    from ..io.mesh import read_mesh

    targets = _check(models, ratio, n, picture, json_file, cloud, overwrite, options)
    source = read(Path(cloud), points=points, seed=options["seed"]).validate(cloud)
    surface = read_mesh(Path(mesh)) if mesh else None
    from ..metrics.uniformity import FRACTIONS

    sizes = [f"{fraction:.1%}" for fraction in FRACTIONS] if options["uniformity"] else []
    columns = metric_columns(mesh is not None, options["emd"], sizes)

    def on_row(row: dict[str, Any]) -> None:
        session().say(table_line(row, columns))

    session().say(f"{cloud}: {len(source):,} points; convention {options['convention']}, times 1000")
    session().say(table_line(None, columns))
    with progress_bar("roundtrip") as progress:
        trip = run(source, ratio, n=n, models=models, mesh=surface, on_row=on_row, progress=progress, **options)
    whole = trip.facts["original"]
    session().say(f"The input as binary PLY: {whole['bytes']:,} bytes, {whole['bits_per_point']:.2f} bits per point.")
    for row in trip.facts["rows"]:
        if len(row["files"]) > 1:
            forms = ", ".join(f"{size:,} as {form.upper()}" for form, size in row["files"].items())
            session().say(f"The samples of {row['name']}: {forms}.")
    for line in trip.facts["skipped"]:
        session().say(f"Left out: {line}")
    _write(trip, cloud, mesh, targets)


def _check(
    models: tuple[str, ...],
    ratio: float | None,
    n: int | None,
    picture: str | None,
    json_file: str | None,
    cloud: str,
    overwrite: bool,
    options: dict[str, Any],
) -> tuple[Path | None, Path | None]:
    """Everything that can be known to be wrong before the work; the paths of the picture and of the figures."""
    from ..benchmark.names import sampler_and_recoverer, split_model
    from ..catalog import resolve
    from ..metrics.conventions import CONVENTIONS

    for model in models:
        for part, task in zip(split_model(model), ("sample", "recover"), strict=True):
            if part is not None:
                check_model(part, task)
        sampler_and_recoverer(model)
    # A model that samples was trained for a ratio; a classical one was not.
    own = any(resolve(split_model(model)[1]).ratio is not None for model in models)
    check_amount(ratio, n, "roundtrip", optional=own)
    check_bits(options["bits"])
    check_device(options["device"])
    check_name(options["convention"], CONVENTIONS, "--convention", "convention")
    paths = [Path(name) if name else None for name in (picture, json_file)]
    if picture and json_file and os.path.abspath(picture) == os.path.abspath(json_file):
        raise click.UsageError(f"--picture and --json both name {picture}; give them names of their own")
    for path in paths:
        if path is not None:
            check_target(path, [Path(cloud)], overwrite)
    if paths[0] is not None:
        from ..pictures.image import check_picture_path

        check_picture_path(paths[0])
    return paths[0], paths[1]


def _write(trip: Any, cloud: str, mesh: str | None, targets: tuple[Path | None, Path | None]) -> None:
    from ..io.atomic import atomic_path

    picture, figures = targets
    if figures is not None:
        with atomic_path(figures) as temporary:
            text = to_json({"file": cloud, "mesh": mesh, **trip.facts})
            temporary.write_text(text + "\n", encoding="utf-8", newline="\n")
        session().say(f"{figures}: {len(trip.facts['rows'])} rows")
    if picture is not None:
        from ..benchmark.round_trip_report import picture as draw
        from ..pictures.image import save_image

        image = draw(trip)
        save_image(image, picture)
        session().say(f"{picture}: {image.width} x {image.height} pixels")
