"""`pcsr upsample` and `pcsr sample`."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from .app import common_options, session
from .choices import amount_values, check_amount, check_bits, check_device, check_model, check_size, load_model
from .complete import PATH, complete_model
from .files import file_size, for_each, is_las, tell_drawn
from .options import (
    with_device,
    with_distance,
    with_drawn_points,
    with_folders,
    with_origin,
    with_output,
    with_reading,
    with_seed,
)
from .outputs import plan_outputs, stream_target
from .progress import progress_bar

F = TypeVar("F", bound=Callable[..., Any])


def _shared_options(model: str | None, ratio: str) -> Callable[[F], F]:
    """The options of both commands, with the default of --model and the help of --ratio."""

    def decorate(command: F) -> F:
        options = (
            click.argument("inputs", type=PATH, nargs=-1, required=True, metavar="IN..."),
            click.option("-x", "--ratio", type=float, metavar="R", help=ratio),
            click.option("-n", "n", type=int, metavar="N", help="Number of points of the result."),
            with_output,
            with_folders,
            click.option(
                "-m",
                "--model",
                shell_complete=complete_model,
                default=model,
                show_default=model or "scan-net for spinning LiDAR, else jetnet",
                metavar="NAME",
                help="A model (see pcsr models), the folder of a checkpoint, or hf:OWNER/REPO.",
            ),
            with_seed,
            with_device,
            with_drawn_points,
            with_reading,
            click.option("--overwrite", is_flag=True, help="Replace existing outputs."),
            common_options,
        )
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


@click.command(short_help="Make clouds denser.")
@_shared_options(None, "Output points per input point (4, 2.5, ...).")
@click.option(
    "--keep-input/--no-keep-input",
    default=None,
    help="Keep the input points unchanged, or move them onto the surface; by default kept unless noisy.",
)
@click.option("--even", is_flag=True, help="Space the result evenly; leave out input points where they are dense.")
@with_origin("spinning LiDAR: ")
@click.option("--renumber-rings", is_flag=True, help="Spinning LiDAR: number all rings, also new ones, from 0 up.")
@click.option(
    "--normals", is_flag=True, help="Write normals also where the input has none: estimated from the result, oriented."
)
@click.option("--max-points", type=click.IntRange(min=1), metavar="N", help="With -x: not more than N points.")
@with_distance
def upsample(
    inputs: tuple[str, ...],
    ratio: float | None,
    n: int | None,
    keep_input: bool | None,
    even: bool,
    origin: tuple[float, float, float] | None,
    renumber_rings: bool,
    normals: bool,
    max_points: int | None,
    distance: bool,
    **options: Any,
) -> None:
    """Upsample clouds to R times as many points, or to exactly N.

    IN are clouds, meshes, or folders of them. Without -o, the result of scan.ply is scan_x4.ply in the same folder. It
    has the format and the attributes of the input. A scan of a spinning LiDAR sensor gets new rings between its rings,
    whose points are flagged as synthetic.

    x4 of 100,000 points takes 18 CPU seconds with jetnet, the default, and 5 with -m jet; the first run compiles, too.

    \b
    Examples:
      pcsr upsample scan.ply -x 4
      pcsr upsample scan.ply -n 10000 -m jet -o dense.xyz
      pcsr upsample scan.ply -x 4 --even -o even.ply
    """
    tag = check_amount(ratio, n, "upsample")
    amount: dict[str, Any] = {"ratio": ratio} if ratio is not None else {"n": n}
    amount |= {"keep_input": keep_input, "even": even, "origin": origin, "renumber_rings": renumber_rings}
    if max_points is not None and ratio is None:
        raise click.UsageError("--max-points limits what -x gives; with -n, the number is known")
    _resample(inputs, tag, "upsample", amount, normals=normals, distance=distance, most=max_points, **options)


@click.command(short_help="Make clouds smaller, so that they can be recovered.")
@_shared_options("fps", "Input points per output point (8, 2.5, ...).")
@click.option("--snap", is_flag=True, help="Keep input points only, even if the model moves points.")
@click.option("--bits", type=int, metavar="B", help="Round positions to a grid of 2^B steps; LAZ files become smaller.")
def sample(
    inputs: tuple[str, ...],
    ratio: float | None,
    n: int | None,
    snap: bool,
    bits: int | None,
    **options: Any,
) -> None:
    """Sample one in R points of clouds, or exactly N points.

    IN are clouds, meshes, or folders of them. Without -o, the result of scan.ply is scan_sampled_x8.ply in the same
    folder. It has the format and the attributes of the input, and a recovery note: the model and the number of points
    for pcsr recover. Models trained for one ratio do not require -x.

    \b
    Examples:
      pcsr sample scan.ply -x 8
      pcsr sample scan.ply -m pointlie-geo-x8 -o small.ply
    """
    check_bits(bits)
    if ratio is None and n is None:
        ratio = check_model(options["model"], "sample").ratio
    tag = "sampled_" + check_amount(ratio, n, "sample")
    amount = {"ratio": ratio} if ratio is not None else {"n": n}
    _resample(inputs, tag, "sample", {**amount, "snap": snap, "bits": bits}, **options)


def _resample(
    inputs: tuple[str, ...],
    tag: str,
    task: str,
    amount: dict[str, Any],
    *,
    output: str | None,
    model: str | None,
    seed: int,
    device: str | None,
    points: int | None,
    overwrite: bool,
    folders: dict[str, Any],
    reading: dict[str, Any],
    normals: bool = False,
    distance: bool = False,
    most: int | None = None,
) -> None:
    from ..geometry.spinning.scan import describe_scans, scans_in
    from ..io import read, write
    from ..io.side_notes import side_note_path
    from ..zoo import default_upsampler

    loaded_once = functools.cache(lambda name: load_model(name, task, device))
    check_device(device)
    if model is not None:
        loaded_once(model)  # an error in its name is found before files are read
    values = amount_values(amount.get("ratio"), amount.get("n"))
    sources, out = plan_outputs(inputs, output, tag, overwrite, **folders, values=values)

    def one(source: Path) -> None:
        start = time.perf_counter()
        target = out.path(source)
        out.check(target, sources)
        cloud = read(source, points=points, seed=seed, **reading).validate(str(source))
        session().note(f"{source}: {cloud!r}")
        if points is None:
            tell_drawn(source, cloud, "; --points N sets their number")
        check_size(len(cloud), amount.get("n"), task, drawn="mesh" in cloud.metadata)
        scans = scans_in(cloud, amount["origin"]) if model is None else None
        if scans:
            session().say(f"{source}: spinning LiDAR, {describe_scans(scans)}")
        loaded = loaded_once(model or default_upsampler(scans))
        own = dict(amount)
        if task == "upsample":
            own |= {"distance": distance, "synthetic": is_las(target) or None}
        if most is not None and amount["ratio"] * len(cloud) > most:
            own = {name: value for name, value in own.items() if name != "ratio"} | {"n": max(most, len(cloud))}
            if len(cloud) >= most:
                session().say(f"{source}: has {len(cloud):,} points, so --max-points {most} adds none")
        with progress_bar(source.name) as progress:
            result = getattr(loaded, task)(cloud, seed=seed, progress=progress, **own)
            if normals:
                from ..pipelines.surface import with_normals

                result = with_normals(result)
        target = stream_target(target, cloud)
        # a sample keeps all metadata, and may be on a grid
        write(result, target, like=None if task == "sample" else cloud, overwrite=overwrite)
        session().note(f"{target}: {result!r}")
        seconds = time.perf_counter() - start
        session().say(f"{target}: {len(cloud):,} -> {len(result):,} points in {seconds:.1f} s ({loaded.name})")
        if task == "sample":
            session().say("  " + _sizes(source, cloud, target, len(result)))
            if (beside := side_note_path(target)).is_file():
                session().say(f"  {beside}: the recovery note; keep it beside {target.name}")

    for_each(sources, one, out.left_out)


def _sizes(source: Path, cloud: Any, target: Path, left: int) -> str:
    """Bytes of the files, and what the small one takes per point of the input."""
    after = file_size(target)
    per_input = f"{8 * after / len(cloud):.2f} bits per input point"
    if not after:  # a stream
        return f"{left:,} of {len(cloud):,} points"
    if "mesh" in cloud.metadata:  # its file has no points to compare with
        return f"{after:,} bytes, {per_input}"
    before = file_size(source)
    if not before:
        return f"{after:,} bytes, {per_input}"
    return f"{before:,} -> {after:,} bytes ({after / before:.0%}), {per_input}"
