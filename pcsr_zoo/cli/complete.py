"""Completion of values in a shell: paths, and names of models."""

from __future__ import annotations

import click
from click.shell_completion import CompletionItem


def complete_path(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Files and folders; the shell lists them."""
    return [CompletionItem(incomplete, type="file")]


def complete_model(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names of models, and folders for checkpoints."""
    from ..catalog import list_models

    names = [CompletionItem(name) for name in list_models() if name.startswith(incomplete)]
    return [CompletionItem(incomplete, type="dir"), *names]
