"""Parts of all commands: --quiet and --verbose, and the printing of errors."""

from __future__ import annotations

import contextlib
import logging
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from ..errors import PcsrError

F = TypeVar("F", bound=Callable[..., Any])

INTERRUPTED = 130  # the exit status that shells use: 128 + SIGINT


@dataclass
class Session:
    """The options that are accepted before and after any command."""

    quiet: bool = False
    verbose: bool = False

    def say(self, text: str) -> None:
        """Print a result on standard output, unless --quiet."""
        if not self.quiet:
            click.echo(text)

    def note(self, text: str) -> None:
        """Print a detail on standard error, if --verbose."""
        if self.verbose:
            click.echo(text, err=True)

    def report(self, error: BaseException, subject: str = "") -> None:
        """Print an error on standard error; `subject` (a file) is put first if the message does not name it."""
        message = describe_error(error)
        if subject and subject not in message:
            message = f"{subject}: {message.removeprefix('the cloud: ')}"
        click.echo(f"Error: {message}", err=True)
        if self.verbose:
            click.echo("".join(traceback.format_exception(error)), err=True, nl=False)


@contextlib.contextmanager
def named(subject: str) -> Iterator[None]:
    """Put `subject` (a file or a folder) first in the message of an error that does not name it."""
    try:
        yield
    except PcsrError as error:
        text = str(error)
        if subject in text:
            raise
        raise type(error)(f"{subject}: {text.removeprefix('the cloud: ')}") from error


def describe_error(error: BaseException) -> str:
    if isinstance(error, PcsrError):
        return str(error)
    if isinstance(error, click.ClickException):
        return error.format_message()
    if isinstance(error, MemoryError) or "OutOfMemory" in type(error).__name__:
        return "out of memory; make fewer points, sample the input first (pcsr sample), or split it into parts"
    return (
        f"unexpected {type(error).__name__}: {error}\n"
        "This is a bug. Please run the command again with --verbose and report the output."
    )


def session() -> Session:
    return click.get_current_context().find_root().ensure_object(Session)


def common_options(command: F) -> F:
    """Add --quiet and --verbose to a group or a command."""

    def remember(ctx: click.Context, param: click.Parameter, value: bool) -> None:
        if value and param.name:
            setattr(ctx.find_root().ensure_object(Session), param.name, True)

    def flag(*names: str, text: str) -> Callable[[F], F]:
        return click.option(*names, is_flag=True, expose_value=False, callback=remember, help=text)

    quiet = flag("-q", "--quiet", text="Print errors only, and no progress bar.")
    verbose = flag("-v", "--verbose", text="Print details, and the tracebacks of errors.")
    return quiet(verbose(command))


class App(click.Group):
    """A group of commands that prints every exception as one line and sets the exit status."""

    def invoke(self, ctx: click.Context) -> Any:
        with _warnings_as_lines(ctx.find_root().ensure_object(Session)):
            try:
                return super().invoke(ctx)
            except (click.exceptions.Exit, click.ClickException, click.Abort, BrokenPipeError):
                raise  # click prints these, and ignores a closed pipe
            except KeyboardInterrupt:
                click.echo("Interrupted; no incomplete file was left.", err=True)
                ctx.exit(INTERRUPTED)
            except Exception as error:
                ctx.find_root().ensure_object(Session).report(error)
                ctx.exit(1)

    def main(self, *args: Any, **kwargs: Any) -> Any:
        with _terminate_cleanly():
            return super().main(*args, **kwargs)


@contextlib.contextmanager
def _terminate_cleanly() -> Iterator[None]:
    """Turn SIGTERM into an exception, so that temporary files are removed."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class _OneLine(logging.Handler):
    """Prints each log record of the package as one line on standard error."""

    def __init__(self, options: Session) -> None:
        super().__init__()
        self.options = options

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.WARNING and not self.options.quiet:
            click.echo(f"{record.levelname.capitalize()}: {record.getMessage()}", err=True)
        elif self.options.verbose:
            click.echo(record.getMessage(), err=True)


@contextlib.contextmanager
def _warnings_as_lines(options: Session) -> Iterator[None]:
    log = logging.getLogger("pcsr_zoo")
    handler = _OneLine(options)
    log.addHandler(handler)
    before, log.propagate = log.propagate, False
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.propagate = before
