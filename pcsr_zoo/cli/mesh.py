"""`pcsr mesh`: a surface from points."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

from .app import common_options, session
from .complete import PATH
from .files import for_each, tell_drawn
from .options import with_drawn_points, with_folders
from .outputs import plan_outputs


@click.command(short_help="Make a mesh of clouds.")
@click.argument("inputs", type=PATH, nargs=-1, required=True, metavar="IN...")
@click.option("-o", "--output", type=PATH, metavar="OUT", help="Output file (.ply, .obj, .stl) or folder.")
@click.option(
    "--method",
    type=click.Choice(("poisson", "ball-pivoting")),
    default="poisson",
    show_default=True,
    help="poisson smooths, and closes gaps; ball-pivoting connects the points themselves.",
)
@click.option(
    "--depth",
    type=click.IntRange(2, 14),
    default=8,
    show_default=True,
    metavar="D",
    help="Of poisson: the finest cell is about 1/2^D of the cloud's size.",
)
@click.option(
    "--trim",
    type=click.FloatRange(min=0),
    default=2.0,
    show_default=True,
    metavar="T",
    help="Of poisson: leave out what is farther than T point spacings from all points; 0 keeps everything.",
)
@click.option(
    "--radius",
    type=click.FloatRange(min=0, min_open=True),
    metavar="R",
    help="Of ball-pivoting: radius of the ball, in the unit of the file [default: from the spacing].",
)
@click.option("--estimate-normals", "estimate", is_flag=True, help="Do not use the normals of the file.")
@with_drawn_points
@with_folders
@click.option("--overwrite", is_flag=True, help="Replace existing outputs.")
@common_options
def mesh(
    inputs: tuple[str, ...],
    output: str | None,
    method: str,
    depth: int,
    trim: float,
    radius: float | None,
    estimate: bool,
    points: int | None,
    overwrite: bool,
    folders: dict[str, Any],
) -> None:
    """Reconstruct the surface of clouds as triangle meshes.

    IN are clouds, or folders of them. Normals are those of the file; where there are none, they are estimated and
    turned to one side. Colors and other attributes are carried to the vertices. Without -o, the result of scan.ply is
    scan_mesh.ply in the same folder.

    A denser cloud gives a better mesh: run pcsr upsample first.

    \b
    Examples:
      pcsr mesh scan.ply
      pcsr mesh scan.ply --depth 9 -o scan.obj
      pcsr mesh scan.ply --method ball-pivoting -o pivoted.ply
    """
    from ..io import MESH_SUFFIXES, read, write_mesh
    from ..pipelines.surface import reconstruct_surface

    sources, out = plan_outputs(inputs, output, "mesh", overwrite, MESH_SUFFIXES, **folders)

    def one(source: Path) -> None:
        start = time.perf_counter()
        target = out.path(source)
        out.check(target, sources)
        cloud = read(source, points=points).validate(str(source))
        session().note(f"{source}: {cloud!r}")
        if points is None:
            tell_drawn(source, cloud, "; --points N sets their number")
        found = reconstruct_surface(cloud, method=method, depth=depth, trim=trim, radius=radius, estimate=estimate)
        write_mesh(found, target, overwrite)
        size = f"{len(found.vertices):,} vertices, {len(found.triangles):,} triangles"
        session().say(f"{target}: {len(cloud):,} points -> {size} in {time.perf_counter() - start:.1f} s ({method})")

    for_each(sources, one, out.left_out)
