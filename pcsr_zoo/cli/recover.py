"""`pcsr recover`: sampled files in, dense files out."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

from .app import common_options, session
from .choices import check_amount, check_device, load_model
from .files import for_each, plan_outputs, tell_drawn
from .progress import progress_bar


@click.command(short_help="Make sampled clouds dense again.")
@click.argument("inputs", nargs=-1, required=True, metavar="IN...")
@click.option("-x", "--ratio", type=float, metavar="R", help="How many times denser.")
@click.option("-n", "n", type=int, metavar="N", help="Exactly this many points.")
@click.option("-m", "--model", metavar="NAME", help="Or a folder; by default what the file remembers, or jetnet.")
@click.option("-o", "--output", metavar="OUT", help="File (its suffix is its format), or folder.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--draws", type=click.IntRange(min=1), default=1, show_default=True, metavar="K", help="Results.")
@click.option(
    "--temperature",
    type=click.FloatRange(min=0),
    default=1.0,
    show_default=True,
    metavar="T",
    help="Spread of what a model draws.",
)
@click.option("--device", metavar="D", help="cpu (the default), cuda, cuda:1, mps.")
@click.option("--overwrite", is_flag=True, help="Replace existing outputs.")
@common_options
def recover(
    inputs: tuple[str, ...],
    ratio: float | None,
    n: int | None,
    model: str | None,
    output: str | None,
    seed: int,
    draws: int,
    temperature: float,
    device: str | None,
    overwrite: bool,
) -> None:
    """Make sampled clouds dense again.

    What pcsr sample wrote remembers its model and how many points it had, so that IN is all that is needed; -x or
    -n, and -m, say otherwise. A model of somebody's on the Hub (hf:owner/repo) is used where it was fetched before:
    no file makes this machine fetch one, -m does. The result stands beside its input as NAME_recovered.ply (or as -o
    says), with its attributes; with --draws K there are K of them, NAME_recovered_draw1.ply and so on, from K seeds.
    """
    tag = "_".join(filter(None, ("recovered", check_amount(ratio, n, "recover", optional=True))))
    check_device(device)
    named = None if model is None else load_model(model, "recover", device)
    remembered: dict[str, Any] = {}  # each model is loaded once for all files
    sources, out = plan_outputs(inputs, output, tag, overwrite)

    def one(source: Path) -> None:
        from ..io import read, write
        from ..zoo import load, remembered_model

        start = time.perf_counter()
        targets = _numbered(out.path(source), draws)
        for target in targets:
            out.check(target, sources)
        cloud = read(source)
        session().note(f"{source}: {cloud!r}")
        tell_drawn(source, cloud)
        if (loaded := named) is None:
            found = remembered_model(cloud.metadata)
            key = str(found.address or found.name)
            loaded = remembered[key] = remembered.get(key) or load(found, device=device)
        with progress_bar(source.name) as progress:
            options: dict[str, Any] = {"seed": seed, "temperature": temperature, "draws": draws, "progress": progress}
            results = loaded.recover(cloud, ratio, n=n, **options)
        for target, result in zip(targets, [results] if draws == 1 else results, strict=True):
            write(result, target, like=cloud)
            session().note(f"{target}: {result!r}")
            seconds = time.perf_counter() - start
            session().say(
                f"{target}: {len(cloud):,} -> {len(result):,} points in {seconds:.1f} s ({model or loaded.name})"
            )

    for_each(sources, one)


def _numbered(path: Path, draws: int) -> list[Path]:
    """scan.ply -> itself, or scan_draw1.ply, scan_draw2.ply, ... if there are several draws."""
    if draws == 1:
        return [path]
    return [path.with_name(f"{path.stem}_draw{draw}{path.suffix}") for draw in range(1, draws + 1)]
