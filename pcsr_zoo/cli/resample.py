"""`pcsr upsample` and `pcsr sample`: files in, files out."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from .app import common_options, session
from .choices import check_amount, check_device, check_model
from .files import for_each, plan_outputs
from .progress import Progress, progress_bar

F = TypeVar("F", bound=Callable[..., Any])


def _shared_options(model: str) -> Callable[[F], F]:
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

    def work(cloud: Any, model: str, seed: int, device: str | None, progress: Progress | None) -> Any:
        from ..pipelines.resample import upsample as run

        return run(
            cloud,
            **({"ratio": ratio} if ratio is not None else {"n": n}),
            model=model,
            seed=seed,
            device=device,
            keep_input=keep_input,
            progress=progress,
        )

    _resample(inputs, tag, "upsample", work, **options)


@click.command(short_help="Make clouds smaller: one in R points, or exactly N.")
@_shared_options("fps")
def sample(inputs: tuple[str, ...], ratio: float | None, n: int | None, **options: Any) -> None:
    """Make clouds smaller: one in R points, or exactly N, well spread.

    IN are clouds, meshes, or folders of them. The result stands beside its input as NAME_sampled_x8.ply (or
    as -o says), in the input's format, with its attributes.
    """
    tag = "sampled_" + check_amount(ratio, n, "sample")

    def work(cloud: Any, model: str, seed: int, device: str | None, progress: Progress | None) -> Any:
        from ..pipelines.resample import sample as run

        amount = {"ratio": ratio} if ratio is not None else {"n": n}
        return run(cloud, **amount, model=model, seed=seed, device=device, progress=progress)

    _resample(inputs, tag, "sample", work, **options)


def _resample(
    inputs: tuple[str, ...],
    tag: str,
    task: str,
    work: Callable[..., Any],
    *,
    output: str | None,
    model: str,
    seed: int,
    device: str | None,
    points: int | None,
    overwrite: bool,
) -> None:
    from ..io import read, write

    check_model(model, task)
    check_device(device)
    sources, out = plan_outputs(inputs, output, tag, overwrite)

    def one(source: Path) -> None:
        start = time.perf_counter()
        target = out.path(source)
        out.check(target, sources)
        cloud = read(source, points=points, seed=seed)
        session().note(f"{source}: {cloud!r}")
        with progress_bar(source.name) as progress:
            result = work(cloud, model, seed, device, progress)
        write(result, target, like=cloud)
        session().note(f"{target}: {result!r}")
        seconds = time.perf_counter() - start
        session().say(f"{target}: {len(cloud):,} -> {len(result):,} points in {seconds:.1f} s ({model})")

    for_each(sources, one)
