"""Adapting to a scan, with a checkpoint as the result; `pcsr finetune sspu-net-x4 scan.ply -o DIR` is this."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..checkpoints import is_checkpoint, read_config, save_checkpoint
from ..errors import FileError, OptionError, TrainingError
from ..models.base import Progress
from .adapt import Adaptation, adapt
from .lock import FolderLock

if TYPE_CHECKING:
    from .trainer import Outcome

STEPS = 1000  # at most: it is not the clock that ends it


def adapt_folder(
    checkpoint: str | PathLike[str],
    scan: Path,
    output: Path,
    recipe: Mapping[str, Any] | None = None,
    settings: Mapping[str, Any] | None = None,
    device: str | None = None,
    restart: bool = False,
    report: Callable[[str], None] | None = None,
    progress: Progress | None = None,
) -> Outcome:
    """Adapt a checkpoint to the scan in a file, as `adapt` does, and save what is better to `output`.

    The folder always holds a checkpoint that can be used: the adapted network, or, where it was no better, the original
    one with its own name and facts. What was measured stands under `adaptation` in its config.json either way.

    Returns:
        An `Outcome` with the one figure "left_out", the distance of the points that were left out: that of the weights
        that were saved, `before` and, in `last`, of the adapted ones; `step` is 0 where the original was kept.

    Raises:
        TrainingError: the folder holds something else and `restart` was not asked for, or another run writes to it.
        The rest as in `adapt`; nothing is written then, nor where it is interrupted.
    """
    from .trainer import Outcome

    say = report or _silent
    if int(os.environ.get("WORLD_SIZE", 1)) > 1:
        raise OptionError("adapting to a single scan takes one process; start pcsr finetune without torchrun")
    if is_checkpoint(output) and not restart:
        raise TrainingError(
            f"{output} holds a checkpoint already; name another folder with -o, or replace it: --restart"
        )
    if output.exists() and not output.is_dir():
        raise FileError(f"{output} is a file; name a folder with -o")
    lock = FolderLock(output)  # a folder that cannot be written to is better told now than after the work
    try:
        found = adapt(
            checkpoint,
            scan,
            seconds=None,
            device=device,
            recipe=recipe,
            settings={"steps": STEPS, **(settings or {})},
            report=say,
            progress=progress,
        )
        for line in str(found).splitlines():
            say(line)
        _save(found, checkpoint, scan, output)
    finally:
        lock.release()
    v, kept = found.verdict, found.improved
    return Outcome(
        folder=output,
        steps=found.steps,
        figures={"left_out": v.after if kept else v.before},
        step=found.step if kept else 0,
        before={"left_out": v.before},
        last={"left_out": v.after},
        hours=found.seconds / 3600,
        skipped=found.skipped,
        resumed=0,
    )


def _save(found: Adaptation, checkpoint: str | PathLike[str], scan: Path, output: Path) -> None:
    from ..registry import find_checkpoint
    from .facts import versions

    folder = find_checkpoint(checkpoint)
    assert folder is not None  # or `finetune` had refused
    config = read_config(folder)
    facts = {**found.facts(), "scan": scan.name, "parent": config["name"], "parent_sha256": config["sha256"]}
    if not found.improved:
        save_checkpoint(output, found.model, name=config["name"], **{**config["about"], "adaptation": facts})
        return
    about: dict[str, Any] = {
        "data": [f"{scan.name}, a single scan: {found.points['training']:,} of its points, without any truth"],
        "recipe": found.recipe,
        "settings": found.settings,
        "seed": found.settings["seed"],
        "steps": found.step,
        "hours": float(f"{found.seconds / 3600:.4g}"),
        "versions": versions(),
        "parent": config["name"],
        "parent_sha256": config["sha256"],
        "adaptation": facts,
    }
    name = config["name"] if config["name"].endswith("-adapted") else f"{config['name']}-adapted"
    save_checkpoint(output, found.model, name=name, **about)


def _silent(line: str) -> None:
    pass
