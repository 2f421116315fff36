"""`pcsr render`: a picture of clouds side by side."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import click

from ..errors import FileError, PcsrError
from .app import common_options, session
from .complete import PATH
from .files import check_target, expand
from .options import with_drawn_points, with_reading

UPS = ("auto", "x", "y", "z", "-x", "-y", "-z")


def _size(ctx: click.Context, param: click.Parameter, value: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{1,5})[xX](\d{1,5})", value)
    if not match:
        raise click.BadParameter(f"'{value}' is not a size in pixels; write for example 600x560")
    return int(match[1]), int(match[2])


def _views(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> list[tuple[float, float]]:
    views = []
    for value in values:
        try:
            azimuth, elevation = (float(part) for part in value.split(","))
        except ValueError:
            azimuth = elevation = math.nan
        if not (math.isfinite(azimuth) and math.isfinite(elevation)):
            raise click.BadParameter(f"'{value}' is not a view; write azimuth,elevation in degrees, for example -55,20")
        views.append((azimuth, elevation))
    return views


@click.command(short_help="Draw clouds side by side, without a display.")
@click.argument("files", type=PATH, nargs=-1, required=True, metavar="FILE...")
@click.option(
    "-o",
    "--output",
    type=PATH,
    required=True,
    metavar="PNG",
    help="The picture to write (.png, .jpg, .webp).",
)
@click.option(
    "--color-by",
    metavar="WHAT",
    help="shaded, colors, normals, distance, x, y, z, or an attribute. By default colors, else shaded.",
)
@click.option("--reference", type=PATH, metavar="FILE", help="Cloud or mesh for --color-by distance.")
@click.option(
    "--size",
    default="600x560",
    show_default=True,
    callback=_size,
    metavar="WxH",
    help="Size of one cloud's picture, in pixels.",
)
@click.option(
    "--view",
    "views",
    multiple=True,
    callback=_views,
    metavar="AZ,EL",
    help="Azimuth and elevation in degrees; each further --view adds a row.",
)
@click.option("--up", type=click.Choice(UPS), default="auto", show_default=True, help="The axis that points up.")
@click.option(
    "--point-size",
    type=float,
    metavar="PX",
    help="Diameter of a point in pixels; by default it follows from the spacing.",
)
@click.option("--background", default="white", show_default=True, metavar="COLOR", help="Name of a color, or #rrggbb.")
@with_drawn_points
@with_reading
@click.option("--overwrite", is_flag=True, help="Replace an existing picture.")
@common_options
def render(
    files: tuple[str, ...],
    output: str,
    color_by: str | None,
    reference: str | None,
    points: int | None,
    overwrite: bool,
    reading: dict[str, Any],
    **options: Any,
) -> None:
    """Draw clouds side by side, from the same view, without a display.

    FILE are clouds, meshes, or folders of them.

    \b
    Examples:
      pcsr render scan.ply scan_x4.ply -o both.png
      pcsr render scan_x4.ply -o errors.png --reference scan.ply --view=-60,15
    """
    from ..io import read
    from ..pictures.image import check_picture_path, render, save_image

    if reference and color_by not in (None, "distance"):
        raise click.UsageError(f"--reference can only be used with --color-by distance, not with {color_by}")
    color_by = "distance" if reference else color_by
    paths, target = expand(files).files, Path(output)
    check_picture_path(target)
    check_target(target, [*paths, *([Path(reference)] if reference else [])], overwrite)
    clouds = []
    for path in paths:
        cloud = read(path, points=points, **reading)
        try:
            clouds.append(cloud.validate(str(path)))
        except PcsrError as error:
            raise FileError(str(error)) from error
    image = render(
        clouds,
        color_by=color_by,
        reference=_read_reference(Path(reference)) if reference else None,
        titles=[f"{path.name}\n{_count(len(cloud))}" for path, cloud in zip(paths, clouds, strict=True)],
        **options,
    )
    save_image(image, target, overwrite)
    session().say(f"{target}: {image.width} x {image.height} pixels, {_count(sum(map(len, clouds)))}")


def _count(points: int) -> str:
    return f"{points:,} point{'' if points == 1 else 's'}"


def _read_reference(path: Path) -> Any:
    """Read a mesh if the file has faces, else a cloud."""
    from ..io import read
    from ..io.mesh import read_mesh

    try:
        return read_mesh(path)
    except FileError:
        return read(path)
