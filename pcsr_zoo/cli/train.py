"""`pcsr train` and `pcsr finetune`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from .app import INTERRUPTED, common_options, session
from .choices import check_device
from .complete import PATH, complete_model
from .progress import progress_bar

_DEVICE = click.option("--device", metavar="D", help="cpu, cuda, cuda:1 or mps [default: cuda if available].")
_RESTART = click.option("--restart", is_flag=True, help="Start again instead of resuming.")
_SET = click.option(
    "--set", "changes", multiple=True, metavar="KEY=VALUE", help="Change a value of the configuration; repeatable."
)


@click.command(short_help="Train a network from a configuration file.")
@click.argument("config", type=PATH, metavar="CONFIG.yml")
@click.option("-o", "--output", type=PATH, metavar="DIR", help="Output folder [default: runs/CONFIG].")
@click.option("--steps", type=click.IntRange(min=1), metavar="N", help="Short for --set training.steps=N.")
@_SET
@_DEVICE
@_RESTART
@common_options
def train(
    config: str, output: str | None, steps: int | None, changes: tuple[str, ...], device: str | None, restart: bool
) -> None:
    """Train a network from a configuration file.

    DIR becomes a checkpoint for pcsr upsample --model DIR. The same command resumes an interrupted run. On several
    GPUs: torchrun --nproc-per-node 4 -m pcsr_zoo train CONFIG.yml

    A configuration file, with paths relative to it:

    \b
      model: jetnet               # a name of pcsr models
      data: train.npz             # a file of pcsr data build
      recipe: {}                  # options of the model's recipe
      training: {steps: 20000, batch: 16, lr: 1e-3}

    \b
    Examples:
      pcsr train my.yml -o runs/mine
      pcsr train my.yml -o runs/short --steps 3 --set training.batch=2
    """
    from ..training.api import train as run
    from ..training.config import load_config

    check_device(device)
    changes = (*changes, f"training.steps={steps}") if steps else changes
    asked = load_config(config, changes)
    folder = output or str(Path("runs") / Path(config).stem)
    outcome = _run(
        "train",
        run,
        asked.model,
        asked.data,
        folder,
        arguments=asked.arguments,
        recipe=asked.recipe,
        settings=asked.settings,
        device=device,
        restart=restart,
    )
    _conclude(outcome)


@click.command(short_help="Fine-tune a checkpoint on your own data.")
@click.argument("checkpoint", shell_complete=complete_model, metavar="CHECKPOINT")
@click.argument("data", type=PATH, metavar="DATA...", nargs=-1, required=True)
@click.option("-o", "--output", type=PATH, required=True, metavar="DIR", help="Folder of the new checkpoint.")
@click.option("--steps", type=click.IntRange(min=1), metavar="N", help="Number of steps [default: 1000].")
@click.option("--lr", type=click.FloatRange(min=0, min_open=True), metavar="X", help="Learning rate.")
@_SET
@_DEVICE
@_RESTART
@common_options
def finetune(
    checkpoint: str,
    data: tuple[str, ...],
    output: str,
    steps: int | None,
    lr: float | None,
    changes: tuple[str, ...],
    device: str | None,
    restart: bool,
) -> None:
    """Fine-tune a checkpoint on your own data.

    CHECKPOINT is a name (see pcsr models), a folder, or hf:OWNER/REPO. DATA are training files (pcsr data build),
    meshes, tables of meshes, dense scans in any format that pcsr reads, or folders of these. A tenth of the data is
    held out for validation; weights that are not better on it than CHECKPOINT are not kept.

    Self-supervised models, such as sspu-geo-x4, accept a single scan, also a sparse one. They train on some of its
    regions and hold out others.

    \b
    Examples:
      pcsr finetune jetnet my_scans/ -o runs/mine
      pcsr finetune sspu-geo-x4 scan.ply -o runs/scan --steps 100
    """
    from ..errors import OptionError
    from ..training.api import finetune as run
    from ..training.config import as_table, with_changes

    check_device(device)
    short = [f"training.{key}={value}" for key, value in (("steps", steps), ("lr", lr)) if value is not None]
    asked: dict[str, Any] = with_changes({}, (*changes, *short))
    if unknown := [key for key in asked if key not in ("training", "recipe")]:
        raise OptionError(f"--set {unknown[0]}: only training.KEY and recipe.KEY can be set here")
    outcome = _run(
        "finetune",
        run,
        checkpoint,
        data,
        output,
        recipe=as_table(asked.get("recipe"), "--set recipe:"),
        settings=as_table(asked.get("training"), "--set training:"),
        device=device,
        restart=restart,
    )
    _conclude(outcome)


def _run(title: str, run: Any, *arguments: Any, **options: Any) -> Any:
    from ..training.interrupts import SAVED

    try:
        return _reported(title, run, *arguments, **options) if _is_first() else run(*arguments, **options)
    except KeyboardInterrupt as error:
        if SAVED not in error.args:
            raise
        raise click.exceptions.Exit(INTERRUPTED) from None  # the training has printed its message


def _reported(title: str, run: Any, *arguments: Any, **options: Any) -> Any:
    with progress_bar(title) as progress:

        def report(line: str) -> None:
            if progress is not None:
                from tqdm import tqdm

                with tqdm.external_write_mode():
                    session().say(line)
            else:
                session().say(line)

        return run(*arguments, report=report, progress=progress, **options)


def _conclude(outcome: Any) -> None:
    from ..training.log import time_text

    if not _is_first():
        return
    figures = ", ".join(f"{name} {value:.5g}" for name, value in outcome.figures.items())
    skipped = f"; {outcome.skipped} steps with a NaN or infinite loss were skipped" if outcome.skipped else ""
    session().say(
        f"{outcome.folder}: {outcome.steps} steps in {time_text(outcome.hours)}, best after step {outcome.step}"
        f"{f' ({figures})' if figures else ''}{skipped}"
    )
    if outcome.step:
        session().say(f"To use it: -m {outcome.folder}, for example pcsr upsample scan.ply -x 4 -m {outcome.folder}")


def _is_first() -> bool:
    """Whether this is the process that prints, of those that torchrun starts."""
    return os.environ.get("RANK", "0") == "0"
