"""Parts of all commands: --quiet and --verbose, and the printing of errors."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from ..errors import PcsrError, printable

F = TypeVar("F", bound=Callable[..., Any])

_STREAM = re.compile(r"-\.[a-z]\w*(\.gz)?", re.IGNORECASE)
INTERRUPTED = 130  # the exit status that shells use: 128 + SIGINT


@dataclass
class Session:
    """The options that are accepted before and after any command."""

    quiet: bool = False
    verbose: bool = False
    data_on_output: bool = False  # a cloud is written there

    def say(self, text: str) -> None:
        """Print a result on standard output, or on standard error if a cloud is written there; unless --quiet."""
        if not self.quiet:
            echo(text, err=self.data_on_output)

    def note(self, text: str) -> None:
        """Print a detail on standard error, if --verbose."""
        if self.verbose:
            echo(text, err=True)

    def report(self, error: BaseException, subject: str = "") -> None:
        """Print an error on standard error; `subject` (a file) is put first if the message does not name it."""
        message = describe_error(error)
        if subject and subject not in message:
            message = f"{subject}: {message.removeprefix('the cloud: ')}"
        echo(f"Error: {message}", err=True)
        if self.verbose:
            echo("".join(traceback.format_exception(error)).rstrip("\n"), err=True)


def echo(text: str, err: bool = False) -> None:
    """Print a line. All commands print through this function, which makes the text safe for a terminal.

    Raises:
        ClickException: standard output cannot be written, for example because the disk is full.
    """
    try:
        click.echo(printable(text), err=err)
    except BrokenPipeError:
        raise
    except OSError as error:
        if err:  # there is no other place to say it
            return
        with contextlib.suppress(OSError):  # what is left in the buffer must not fail again at exit
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        raise click.ClickException(f"standard output cannot be written: {error.strerror or error}") from error


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
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename or 'the output'}: {error.strerror}"
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

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """A stream with a format, such as -.csv, is no option."""
        return super().parse_args(ctx, [f"./{arg}" if _STREAM.fullmatch(arg) else arg for arg in args])

    def invoke(self, ctx: click.Context) -> Any:
        with _warnings_as_lines(ctx.find_root().ensure_object(Session)):
            try:
                return super().invoke(ctx)
            except (click.exceptions.Exit, click.Abort, BrokenPipeError, SystemExit):
                raise  # click handles these
            except click.ClickException as error:
                error.args = (printable(error.message),)
                vars(error)["message"] = error.args[0]
                raise
            except KeyboardInterrupt:
                echo("Interrupted; no incomplete file was left.", err=True)
                ctx.exit(INTERRUPTED)
            except BaseException as error:  # panics of Rust libraries are no Exception
                ctx.find_root().ensure_object(Session).report(error)
                ctx.exit(1)

    def main(self, *args: Any, **kwargs: Any) -> Any:
        _open_missing_streams()
        with _terminate_cleanly():
            return super().main(*args, **kwargs)


def _open_missing_streams() -> None:
    """Open the null device in place of closed standard streams: the next file would get their numbers, and messages."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # it gets the lowest free number


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
            echo(f"{record.levelname.capitalize()}: {record.getMessage()}", err=True)
        elif self.options.verbose:
            echo(record.getMessage(), err=True)


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
