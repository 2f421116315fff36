"""The command line `pcsr`: it parses options, calls the Python API and prints. Commands import libraries on use."""

from __future__ import annotations

import click

from .._version import __version__
from .app import App, Session, common_options
from .card import card
from .completion import completion
from .data import data
from .inspect import info
from .measure import benchmark, evaluate
from .mesh import mesh
from .models import models
from .picture import render
from .recover import recover
from .resample import sample, upsample
from .rings import rings
from .roundtrip import roundtrip
from .train import finetune, train
from .validate import validate

__all__ = ["main"]


@click.group(cls=App, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="pcsr")
@common_options
@click.pass_context
def main(ctx: click.Context) -> None:
    """Upsample, sample and recover point clouds, draw them, and measure the result.

    \b
    Examples:
      pcsr upsample scan.ply -x 4        four times as many points -> scan_x4.ply
      pcsr sample scan.ply -x 8          one point in eight -> scan_sampled_x8.ply
      pcsr recover scan_sampled_x8.ply   dense again -> scan_sampled_x8_recovered.ply
      pcsr render scan.ply scan_x4.ply -o both.png
    """
    from ..models.plugins import import_from_environment

    ctx.ensure_object(Session)
    import_from_environment()


for command in (
    *(upsample, sample, recover, mesh, roundtrip, info, models, render),
    *(evaluate, benchmark, rings, data, card, train, finetune, validate, completion),
):
    main.add_command(command)
