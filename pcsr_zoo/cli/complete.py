"""Values of options that a shell completes: paths, and names of models."""

from __future__ import annotations

import click
from click.shell_completion import CompletionItem


class PathName(click.ParamType):
    """The path of a file or a folder, as text. An empty text, which is the current folder for `Path`, is refused."""

    name = "path"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if not value.strip():
            self.fail("the path is empty", param, ctx)
        return value

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Files and folders; the shell lists them."""
        return [CompletionItem(incomplete, type="file")]


PATH = PathName()


def complete_model(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names of models, and folders for checkpoints."""
    from ..catalog import list_models

    names = [CompletionItem(name) for name in list_models() if name.startswith(incomplete)]
    return [CompletionItem(incomplete, type="dir"), *names]
