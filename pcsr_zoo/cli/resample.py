"""`pcsr upsample` and `pcsr sample`: files in, files out."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from .app import common_options, session
from .choices import check_amount, check_bits, check_model, load_model
from .files import file_size, for_each, plan_outputs, tell_drawn
from .progress import progress_bar

F = TypeVar("F", bound=Callable[..., Any])


def _shared_options(model: str) -> Callable[[F], F]:
    """What `upsample` and `sample` have in common, and the default of --model."""

    def decorate(command: F) -> F:
        options = (
            click.argument("inputs", nargs=-1, required=True, metavar="IN..."),
            click.option("-x", "--ratio", type=float, metavar="R", help="How many times (4, 2.5, ...)."),
            click.option("-n", "n", type=int, metavar="N", help="Exactly this many points."),
            click.option("-o", "--output", metavar="OUT", help="File (its suffix is its format), or folder."),
            click.option(
                "-m", "--model", default=model, show_default=True, metavar="NAME", help="Or a folder; pcsr models"
            ),
            click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True),
            click.option("--device", metavar="D", help="cpu (the default), cuda, cuda:1, mps."),
            click.option("--points", type=click.IntRange(min=1), metavar="N", help="Points drawn from a mesh."),
            click.option("--overwrite", is_flag=True, help="Replace existing outputs."),
            common_options,
        )
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


@click.command(short_help="Make clouds denser: R times the points, or exactly N.")
@_shared_options("jetnet")
@click.option(
    "--keep-input/--no-keep-input",
    default=None,
    help="Keep the input's points exactly; by default unless they are noisy.",
)
def upsample(
    inputs: tuple[str, ...],
    ratio: float | None,
    n: int | None,
    keep_input: bool | None,
    **options: Any,
) -> None:
    """Make clouds denser: R times the points, or exactly N.

    IN are clouds, meshes, or folders of them. The result stands beside its input as NAME_x4.ply (or as -o
    says), in the input's format, with its attributes.
    """
    tag = check_amount(ratio, n, "upsample")
    amount = {"ratio": ratio} if ratio is not None else {"n": n}
    _resample(inputs, tag, "upsample", {**amount, "keep_input": keep_input}, **options)


@click.command(short_help="Make clouds smaller: one in R points, or exactly N.")
@_shared_options("fps")
@click.option("--snap", is_flag=True, help="Keep input points only, also with a model that moves them.")
@click.option("--bits", type=int, metavar="B", help="Put positions on a grid of 2^B steps; LAZ gets small by it.")
def sample(
    inputs: tuple[str, ...],
    ratio: float | None,
    n: int | None,
    snap: bool,
    bits: int | None,
    **options: Any,
) -> None:
    """Make clouds smaller: one in R points, or exactly N, well spread.

    IN are clouds, meshes, or folders of them. The result stands beside its input as NAME_sampled_x8.ply (or
    as -o says), in the input's format, with its attributes. It remembers which model makes it dense again, and how
    dense: pcsr recover NAME_sampled_x8.ply. A model trained for one ratio needs no -x.
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
    model: str,
    seed: int,
    device: str | None,
    points: int | None,
    overwrite: bool,
) -> None:
    from ..io import read, write

    loaded = load_model(model, task, device)
    sources, out = plan_outputs(inputs, output, tag, overwrite)

    def one(source: Path) -> None:
        start = time.perf_counter()
        target = out.path(source)
        out.check(target, sources)
        cloud = read(source, points=points, seed=seed)
        session().note(f"{source}: {cloud!r}")
        if points is None:
            tell_drawn(source, cloud, "; --points N sets how many")
        with progress_bar(source.name) as progress:
            result = getattr(loaded, task)(cloud, seed=seed, progress=progress, **amount)
        write(result, target, like=None if task == "sample" else cloud)  # a sample has it all, and may be on a grid
        session().note(f"{target}: {result!r}")
        seconds = time.perf_counter() - start
        session().say(f"{target}: {len(cloud):,} -> {len(result):,} points in {seconds:.1f} s ({model})")
        if task == "sample":
            session().say("  " + _sizes(source, cloud, target, len(result)))

    for_each(sources, one)


def _sizes(source: Path, cloud: Any, target: Path, left: int) -> str:
    """Bytes and bits per point, before and after; those of the small file also per point of the input."""
    after, per_input = file_size(target), 8 * file_size(target) / len(cloud)
    if "mesh" in cloud.metadata:  # whose file has no such points
        return f"{after:,} bytes, {8 * after / left:.2f} bits per point, {per_input:.2f} per point of the input"
    before = file_size(source)
    return (
        f"{before:,} -> {after:,} bytes, {8 * before / len(cloud):.2f} -> {8 * after / left:.2f} bits per point, "
        f"{per_input:.2f} per point of the input"
    )
