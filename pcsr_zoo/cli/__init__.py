"""The command line `pcsr`: parse, call the Python API, print. Heavy imports wait inside the commands."""

from __future__ import annotations

import click

from .._version import __version__
from .app import App, Session, common_options
from .card import card
from .data import data
from .inspect import info
from .measure import benchmark, evaluate
from .models import models
from .picture import render
from .recover import recover
from .resample import sample, upsample
from .roundtrip import roundtrip
from .train import finetune, train

__all__ = ["main"]


@click.group(cls=App, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="pcsr")
@common_options
@click.pass_context
def main(ctx: click.Context) -> None:
    """Make point clouds denser or smaller, look at them, and measure the result.

    \b
    pcsr upsample scan.ply -x 4        four times the points -> scan_x4.ply
    pcsr sample scan.laz -x 8          one point in eight -> scan_sampled_x8.laz
    pcsr recover scan_sampled_x8.laz   ... and dense again
    pcsr render scan.ply scan_x4.ply -o both.png
    """
    from ..models.plugins import import_from_environment

    ctx.ensure_object(Session)
    import_from_environment()


for command in (
    *(upsample, sample, recover, roundtrip, info, models, render),
    *(evaluate, benchmark, data, card, train, finetune),
):
    main.add_command(command)
