"""`pcsr card`: the model card of a checkpoint."""

from __future__ import annotations

from pathlib import Path

import click

from .app import common_options, session
from .complete import PATH


@click.command(short_help="Update the model card of a checkpoint.")
@click.argument("checkpoint", type=PATH, metavar="CHECKPOINT")
@click.option(
    "--benchmark",
    "results",
    type=PATH,
    multiple=True,
    metavar="FILE",
    help="A file of pcsr benchmark --json; repeatable.",
)
@click.option(
    "--failure",
    "failures",
    multiple=True,
    metavar="TEXT",
    help="A known failure; replaces all earlier ones; repeatable.",
)
@click.option(
    "--ablation",
    "ablations",
    multiple=True,
    metavar="TEXT=FILE",
    help="A change, and the file with its results; repeatable.",
)
@common_options
def card(checkpoint: str, results: tuple[str, ...], failures: tuple[str, ...], ablations: tuple[str, ...]) -> None:
    """Update README.md, the model card, in a checkpoint's folder from its config.json.

    Benchmark rows, known failures and ablations are first stored in config.json. You can edit the other facts there
    (license, summary, hours, hardware, ...) by hand, under "about". CHECKPOINT is a folder.

    \b
    Examples:
      pcsr card runs/mine --failure "rounds off edges"
      pcsr card runs/mine --benchmark up4.json --ablation "half the width"=narrow.json
    """
    from ..benchmark.report import read_results
    from ..cards.card import update_card
    from ..errors import OptionError

    if not all(text.strip() for text in failures):
        raise OptionError("--failure: the text is empty; leave the option out to keep the recorded failures")
    folder = Path(checkpoint)
    changed = {}
    for text in ablations:
        label, equals, file = text.rpartition("=")
        if not (equals and label and file):
            raise OptionError(
                f"--ablation '{text}': write TEXT=FILE, with the change and a file of pcsr benchmark --json"
            )
        changed[label] = read_results(file)
    config = update_card(folder, [read_results(file) for file in results], failures or None, changed)
    rows = len(config["about"].get("measured") or [])
    session().say(f"{folder / 'README.md'}: card of {config['name']} with {rows} measured rows")
