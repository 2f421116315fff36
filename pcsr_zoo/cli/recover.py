"""`pcsr recover`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

from ..errors import OptionError
from .app import common_options, session
from .choices import amount_values, check_amount, check_device, check_draws, check_size, load_model
from .complete import PATH, complete_model
from .files import for_each, is_las, tell_drawn
from .options import with_device, with_distance, with_folders, with_output, with_reading, with_seed, with_temperature
from .outputs import plan_outputs, stream_target
from .progress import progress_bar


@click.command(short_help="Make sampled clouds dense again.")
@click.argument("inputs", type=PATH, nargs=-1, required=True, metavar="IN...")
@click.option("-x", "--ratio", type=float, metavar="R", help="Output points per input point.")
@click.option("-n", "n", type=int, metavar="N", help="Number of points of the result.")
@click.option(
    "-m",
    "--model",
    shell_complete=complete_model,
    metavar="NAME",
    help="A model, the folder of a checkpoint, or hf:OWNER/REPO. By default the model in the recovery note, or jetnet.",
)
@with_output
@with_folders
@with_distance
@with_seed
@click.option(
    "--draws",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    metavar="K",
    help="Number of results, from the seeds SEED, SEED + 1, ...",
)
@with_temperature
@with_device
@with_reading
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
    distance: bool,
    folders: dict[str, Any],
    reading: dict[str, Any],
) -> None:
    """Recover dense clouds from sampled ones.

    Files of pcsr sample have a recovery note with the model and the number of points, so IN is enough; -x or -n, and
    -m, take precedence. A note never starts a download: if it names a model on the Hub (hf:OWNER/REPO) that is not in
    the cache, give it with -m.

    Without -o, the result of small.ply is small_recovered.ply in the same folder, with the attributes of the input.
    With --draws K the results are small_recovered_draw1.ply and so on.

    \b
    Examples:
      pcsr recover small.ply
      pcsr recover small.ply -x 4 -m jet -o dense.ply
    """
    tag = "_".join(filter(None, ("recovered", check_amount(ratio, n, "recover", optional=True))))
    check_draws(draws)
    check_device(device)
    named = None if model is None else load_model(model, "recover", device)
    remembered: dict[str, Any] = {}  # models of recovery notes, each loaded once for all files
    sources, out = plan_outputs(inputs, output, tag, overwrite, **folders, values=amount_values(ratio, n))

    def one(source: Path) -> None:
        from ..io import read, write
        from ..io.recovery_note import note_of
        from ..zoo import load, remembered_model

        start = time.perf_counter()
        targets = _numbered(out.path(source), draws)
        for target in targets:
            out.check(target, sources)
        marks: dict[str, Any] = {"distance": distance, "synthetic": is_las(targets[0]) or None}
        cloud = read(source, **reading).validate(str(source))
        session().note(f"{source}: {cloud!r}")
        tell_drawn(source, cloud)
        if (loaded := named) is None:
            found = remembered_model(cloud.metadata)
            key = str(found.address or found.name)
            loaded = remembered[key] = remembered.get(key) or load(found, device=device)
        if (ratio, n, loaded.ratio, note_of(cloud.metadata)) == (None, None, None, None):
            raise OptionError(
                f"{source}: no recovery note, which has the model and the number of points; {_where(source)}add -x "
                "or -n, and -m if another model sampled it"
            )
        check_size(len(cloud), n, "recover", drawn=False)
        for draw, target in enumerate(targets):
            with progress_bar(source.name if draws == 1 else f"{source.name}, draw {draw + 1} of {draws}") as progress:
                result = loaded.recover(
                    cloud, ratio, n=n, seed=seed + draw, temperature=temperature, progress=progress, **marks
                )
            target = stream_target(target, cloud)
            write(result, target, like=cloud, overwrite=overwrite)
            session().note(f"{target}: {result!r}")
            seconds, start = time.perf_counter() - start, time.perf_counter()
            session().say(
                f"{target}: {len(cloud):,} -> {len(result):,} points in {seconds:.1f} s ({model or loaded.name})"
            )

    for_each(sources, one, out.left_out)


def _where(source: Path) -> str:
    """Advice on the file with the note, for formats that cannot store it themselves."""
    from ..io import stores_note
    from ..io.side_notes import side_note_path

    return "" if stores_note(source) else f"bring {side_note_path(source).name} along, or "


def _numbered(path: Path, draws: int) -> list[Path]:
    """The paths of the draws: scan.ply itself for one, else scan_draw1.ply, scan_draw2.ply, ..."""
    from ..io import split_name

    if draws == 1:
        return [path]
    stem, suffix = split_name(path)
    return [path.with_name(f"{stem}_draw{draw}{suffix}") for draw in range(1, draws + 1)]
