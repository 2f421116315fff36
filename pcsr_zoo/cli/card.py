"""`pcsr card`: the model card of a checkpoint."""

from __future__ import annotations

from pathlib import Path

import click

from .app import common_options, session


@click.command(short_help="Write a checkpoint's model card anew.")
@click.argument("checkpoint", metavar="CHECKPOINT")
@click.option("--benchmark", "results", multiple=True, metavar="FILE", help="Of pcsr benchmark --json; repeatable.")
@click.option("--failure", "failures", multiple=True, metavar="TEXT", help="Known ones, replacing all; repeatable.")
@click.option("--ablation", "ablations", multiple=True, metavar="TEXT=FILE", help="What was changed, and its results.")
@common_options
def card(checkpoint: str, results: tuple[str, ...], failures: tuple[str, ...], ablations: tuple[str, ...]) -> None:
    """Write README.md of a checkpoint's folder anew from its config.json.

    Rows of the benchmark and known failures are stored in config.json first. Other facts (license, summary, hours,
    hardware, ...) are those under "about" there, and may be edited by hand.

    \b
    pcsr benchmark --data DIR --task up4 -m runs/mine -m jet -m midpoint --json up4.json
    pcsr card runs/mine --benchmark up4.json --failure "rounds off edges" --ablation "half the width"=narrow.json
    """
    from ..benchmark.report import read_results
    from ..cards.card import update_card
    from ..errors import OptionError

    if not all(text.strip() for text in failures):
        raise OptionError("--failure: the text is empty; leave the option out to keep what is recorded")
    folder = Path(checkpoint)
    changed = {}
    for text in ablations:
        label, equals, file = text.rpartition("=")
        if not (equals and label and file):
            raise OptionError(f"--ablation '{text}': write what was changed, =, and a file of pcsr benchmark --json")
        changed[label] = read_results(file)
    config = update_card(folder, [read_results(file) for file in results], failures or None, changed)
    rows = len(config["about"].get("measured") or [])
    session().say(f"{folder / 'README.md'}: the card of {config['name']}, {rows} measured rows")
