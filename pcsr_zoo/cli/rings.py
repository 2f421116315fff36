"""`pcsr rings`: how well rings of the user's own spinning LiDAR frames are predicted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .app import common_options, echo, session
from .choices import check_model
from .complete import PATH
from .files import expand, for_each
from .inspect import to_json
from .options import with_models, with_origin


@click.command(short_help="Withhold rings of spinning LiDAR frames and predict them.")
@click.argument("frames", type=PATH, nargs=-1, required=True, metavar="FRAME...")
@click.option("--every", type=click.IntRange(min=2), default=4, show_default=True, metavar="K", help="Keep 1 in K.")
@with_models("A model or nearest, linear, cubic, bilateral, plane; repeatable. [default: these, scan-lines, scan-net]")
@with_origin()
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list of all rows.")
@common_options
def rings(
    frames: tuple[str, ...],
    every: int,
    models: tuple[str, ...],
    origin: tuple[float, float, float] | None,
    as_json: bool,
) -> None:
    """Withhold rings of spinning LiDAR frames, predict their rays, and print how far off the ranges are.

    FRAMES are files in meters, or folders of them. Models with a confidence dare four of five rays of each group. The
    columns are the number of withheld rays, the share that is dared, and of these the shares within 5, 10 and 20 cm
    and the mean error; then the share of points in empty rays or more than .5 m off, and the IoU of voxels of 10 cm.
    On the ground, the last column is the median error in height, up to 20 m away.

    \b
    Examples:
      pcsr rings frame.bin
      pcsr rings drive/ --every 2 -m scan-net -m plane
    """
    from ..benchmark.rings import REFERENCES, ring_scores
    from ..io import read

    names = models or (*REFERENCES, "scan-lines", "scan-net")
    for name in names:
        if name not in REFERENCES:
            check_model(name, "upsample", others=REFERENCES)
    paths = expand(frames).files
    everything: list[dict[str, Any]] = []

    def one(path: Path) -> None:
        cloud = read(path).validate(str(path))
        if not as_json:
            session().say(f"{path}\n  {_HEAD}")
        report = None if as_json else lambda row: session().say("  " + _line(row))
        everything.extend({"file": str(path), **row} for row in ring_scores(cloud, every, names, origin, report))

    try:
        for_each(paths, one)
    finally:
        if as_json:
            echo(to_json(everything))


_HEAD = (
    f"{'sensor':6} {'model':12} {'group':12} {'rays':>7} {'dared':>6} {'5 cm':>6} {'10 cm':>6} {'20 cm':>6} "
    f"{'MAE m':>7} {'false':>6} {'IoU':>5} {'height':>7}"
)


def _line(row: dict[str, Any]) -> str:
    near = " ".join(f"{row[f'within_{k}cm']:6.1%}" for k in (5, 10, 20))
    rest = f" {row['false']:6.1%} {row['iou']:5.2f}" if "false" in row else ""
    if "height" in row:
        rest = f" {'':6} {'':5} {100 * row['height']:4.1f} cm"
    return (
        f"{row['sensor']:<6} {row['model']:12} {row['group']:12} {row['rays']:7,} {row['dared']:6.1%} {near} "
        f"{row['mae']:7.3f}{rest}"
    )
