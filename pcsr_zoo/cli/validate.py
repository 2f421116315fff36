"""`pcsr validate`: the figures of a checkpoint on held-out shapes."""

from __future__ import annotations

from pathlib import Path

import click

from .app import common_options, echo, session
from .choices import check_device
from .complete import PATH, complete_model
from .inspect import to_json


@click.command(short_help="Show a checkpoint's figures on held-out shapes.")
@click.argument("checkpoint", shell_complete=complete_model, metavar="CHECKPOINT")
@click.argument("data", type=PATH, metavar="FILE")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of all that is random.")
@click.option("--device", metavar="D", help="cpu, cuda, cuda:1 or mps [default: cuda if available].")
@click.option(
    "--card", is_flag=True, help="Update the model card of CHECKPOINT, a folder; FILE must be that of its training."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@common_options
def validate(checkpoint: str, data: str, seed: int, device: str | None, card: bool, as_json: bool) -> None:
    """Show a checkpoint's figures on held-out shapes.

    FILE is a training file (pcsr data build). With the file of the checkpoint's own training, these are the figures by
    which its weights were chosen. The first one, the score, is smaller for better weights.

    \b
    Examples:
      pcsr validate jetnet train.npz
      pcsr validate runs/mine train.npz --card
    """
    from ..cards.card import update_card
    from ..catalog import resolve
    from ..checkpoints.folder import read_config
    from ..errors import OptionError
    from ..io.files import file_sha256, readable_file
    from ..training.validation import validate as measure

    check_device(device)
    if card:
        if not Path(checkpoint).is_dir():
            raise OptionError(
                f"--card: '{checkpoint}' is not a folder; only a checkpoint in a folder has a card to update"
            )
        used = (read_config(checkpoint)["about"].get("data_file") or {}).get("sha256")
        if used is not None and used != file_sha256(readable_file(data)):
            raise OptionError(f"--card: {data} is not the file that '{checkpoint}' was trained on, so its card stays")
    found = measure(checkpoint, data, seed=seed, device=device, report=session().say)
    if card:
        update_card(checkpoint, validation=found)
        session().say(f"{Path(checkpoint) / 'README.md'}: card with {len(found)} figures")
    if as_json:
        echo(to_json(found))
        return
    meanings = getattr(resolve(checkpoint).model_class, "figures", {})
    for name, value in found.items():
        echo(f"{name:<16} {value:>12.5g}  {meanings.get(name, '')}".rstrip())
