"""`pcsr completion`: the script that completes commands and options in a shell."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from .app import common_options, echo

SHELLS = ("bash", "zsh", "fish")


@click.command(short_help="Print the completion script of a shell.")
@click.argument("shell", type=click.Choice(SHELLS))
@common_options
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the script that completes commands and options of pcsr with the Tab key.

    Add one line to the startup file of your shell, then open a new terminal. bash must be version 4.4 or later. In zsh
    the line must come after the one with compinit.

    \b
    ~/.bashrc                   eval "$(pcsr completion bash)"
    ~/.zshrc                    eval "$(pcsr completion zsh)"
    ~/.config/fish/config.fish  pcsr completion fish | source

    \b
    Examples:
      pcsr completion bash
      pcsr completion fish
    """
    # Not `source()` of click: it runs bash to ask for its version, and ends in an error where bash is missing or old.
    found = get_completion_class(shell)
    assert found is not None
    script = found(ctx.find_root().command, {}, "pcsr", "_PCSR_COMPLETE")
    echo(script.source_template % script.source_vars())
