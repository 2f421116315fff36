"""`pcsr roundtrip`: the errors and the file sizes of sampling and recovery."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from .app import common_options, named, session
from .choices import check_amount, check_bits, check_device, check_model, check_name, check_size
from .complete import PATH
from .files import check_target
from .inspect import to_json
from .options import (
    with_convention,
    with_device,
    with_drawn_points,
    with_mesh,
    with_models,
    with_reading,
    with_seed,
    with_temperature,
)
from .progress import progress_bar


@click.command(short_help="Sample a cloud, recover it, and measure errors and bytes.")
@click.argument("cloud", type=PATH, metavar="IN")
@click.option(
    "-x", "--ratio", type=float, metavar="R", help="Sample one point in R; by default the ratio of the first model."
)
@click.option("-n", "n", type=int, metavar="N", help="Number of sampled points.")
@with_models("A model, a folder, hf:OWNER/REPO or SAMPLER+NAME; repeatable.")
@click.option("--bits", type=int, metavar="B", help="Round samples to a grid of 2^B steps, and store them compressed.")
@click.option("--snap", is_flag=True, help="Keep input points only, even if the model moves points.")
@with_mesh
@with_convention
@click.option("--emd", is_flag=True, help="Add the earth mover's distance (up to 10,000 points).")
@click.option("--uniformity", is_flag=True, help="Add PU-GAN's uniformity.")
@with_temperature
@with_seed
@with_device
@with_drawn_points
@with_reading
@click.option(
    "--picture",
    type=PATH,
    metavar="PNG",
    help="Draw the clouds side by side, colored by their errors.",
)
@click.option(
    "--json",
    "json_file",
    type=PATH,
    metavar="FILE",
    help="Write all results, with values that are not times 1000.",
)
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
    reading: dict[str, Any],
    **options: Any,
) -> None:
    """Sample a cloud, recover it, and compare the result with the input.

    Each line has the stored bytes (positions only), the bits per point of the input (bpp), and the distances to the
    input; their units and frames are printed above. fps+jet and fps+jetnet are always compared. Draco and LAZ are
    compared at as many bytes as the first line: with all points on a coarse grid, and with fewer points on a finer grid
    (fps+draco, fps+laz).

    \b
    Examples:
      pcsr roundtrip scan.ply -x 8
      pcsr roundtrip scan.ply -m pointlie-geo-x8 --json roundtrip.json
    """
    from ..benchmark.round_trip import roundtrip as run
    from ..benchmark.round_trip_report import metric_columns, table_line
    from ..benchmark.units import units
    from ..io import read
    from ..io.mesh import read_mesh

    targets = _check(models, ratio, n, picture, json_file, cloud, overwrite, options)
    source = read(Path(cloud), points=points, seed=options["seed"], **reading).validate(cloud)
    with named(cloud):
        check_size(len(source), n, "sample", drawn="mesh" in source.metadata)
    surface = read_mesh(Path(mesh)) if mesh else None
    from ..metrics.uniformity import FRACTIONS

    sizes = [f"{fraction:.1%}" for fraction in FRACTIONS] if options["uniformity"] else []
    columns = metric_columns(mesh is not None, options["emd"], sizes)

    begun = False

    def on_row(row: dict[str, Any]) -> None:
        nonlocal begun
        if not begun:
            begun = True
            meaning = units(options["convention"])
            session().say(f"{cloud}: {len(source):,} points; convention {options['convention']}")
            session().say("bpp: bits per point of the input; s: seconds of sampling and recovery. Times 1000:")
            for key, title in columns.items():
                if key in meaning:
                    session().say(f"  {title}: {meaning[key]}")
            if sizes:
                session().say(f"  U: {meaning['uniformity']}")
            session().say(table_line(None, columns))
        session().say(table_line(row, columns))

    with progress_bar("roundtrip") as progress, named(cloud):
        trip = run(source, ratio, n=n, models=models, mesh=surface, on_row=on_row, progress=progress, **options)
    whole = trip.facts["original"]
    session().say(f"The input as binary PLY: {whole['bytes']:,} bytes, {whole['bits_per_point']:.2f} bits per point.")
    for row in trip.facts["rows"]:
        if len(row["files"]) > 1:
            forms = ", ".join(f"{size:,} as {form.upper()}" for form, size in row["files"].items())
            session().say(f"The samples of {row['name']}: {forms}.")
    for line in trip.facts["skipped"]:
        session().say(f"Skipped: {line}")
    _write(trip, cloud, mesh, targets, overwrite)


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
    """Check all options before the work; returns the paths of the picture and of the JSON file."""
    from ..benchmark.names import sampler_and_recoverer, split_model
    from ..catalog import resolve
    from ..metrics.conventions import CONVENTIONS

    for model in models:
        for part, task in zip(split_model(model), ("sample", "recover"), strict=True):
            if part is not None:
                check_model(part, task)
        sampler_and_recoverer(model)
    # Models trained to sample have a ratio; classical ones do not.
    own = any(resolve(split_model(model)[1]).ratio is not None for model in models)
    check_amount(ratio, n, "roundtrip", optional=own)
    check_bits(options["bits"])
    check_device(options["device"])
    check_name(options["convention"], CONVENTIONS, "--convention", "convention")
    paths = [Path(name) if name else None for name in (picture, json_file)]
    if picture and json_file and os.path.abspath(picture) == os.path.abspath(json_file):
        raise click.UsageError(f"--picture and --json both name {picture}; give them different names")
    for path in paths:
        if path is not None:
            check_target(path, [Path(cloud)], overwrite)
    if paths[0] is not None:
        from ..pictures.image import check_picture_path

        check_picture_path(paths[0])
    return paths[0], paths[1]


def _write(trip: Any, cloud: str, mesh: str | None, targets: tuple[Path | None, Path | None], overwrite: bool) -> None:
    from ..io.atomic import atomic_path

    picture, figures = targets
    if figures is not None:
        with atomic_path(figures, overwrite) as temporary:
            text = to_json({"file": cloud, "mesh": mesh, **trip.facts})
            temporary.write_text(text + "\n", encoding="utf-8", newline="\n")
        session().say(f"{figures}: {len(trip.facts['rows'])} rows")
    if picture is not None:
        from ..benchmark.round_trip_report import picture as draw
        from ..pictures.image import save_image

        image = draw(trip)
        save_image(image, picture, overwrite)
        session().say(f"{picture}: {image.width} x {image.height} pixels")
