"""The command `pcsr` in this process."""

from __future__ import annotations

from click.testing import CliRunner

from pcsr_zoo.cli import main


def run(*arguments: object, code: int = 0) -> tuple[str, str]:
    """What it prints on both streams; it must end with `code`, and not by an error that nobody foresaw."""
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert "Traceback" not in result.output
    assert "unexpected" not in result.output
    assert result.exit_code == code, result.output
    return result.stdout, result.stderr
