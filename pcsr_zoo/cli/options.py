"""Options that several commands share."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import click

from .complete import PATH, complete_model

CONVENTION = "pugan-2019"
F = TypeVar("F", bound=Callable[..., Any])


def with_reading(command: F) -> F:
    """Options of reading clouds, which the command gets as one dictionary `reading`, arguments of `pcsr_zoo.read`."""

    @functools.wraps(command)
    def wrapped(*args: Any, columns: str | None, dtype: str | None, strict: bool, **options: Any) -> Any:
        return command(*args, reading={"columns": columns, "dtype": dtype, "strict": strict}, **options)

    for option in (
        click.option("--strict", is_flag=True, help="Refuse clouds with points that are NaN or infinite."),
        click.option("--dtype", type=click.Choice(["float32", "float64"]), help="Type of the numbers of .bin files."),
        click.option(
            "--columns", metavar="NAMES", help="Columns of text and .bin files, such as x,y,z,r,g,b,_ (_: left out)."
        ),
    ):
        wrapped = option(wrapped)
    return wrapped  # type: ignore[return-value]


def with_folders(command: F) -> F:
    """--recursive and --name, which the command gets as one dictionary `folders`, arguments of `plan_outputs`."""

    @functools.wraps(command)
    def wrapped(*args: Any, recursive: bool, name: str | None, **options: Any) -> Any:
        return command(*args, folders={"recursive": recursive, "name": name}, **options)

    for option in (
        click.option(
            "--name", metavar="TEMPLATE", help='Names of the outputs, such as "{stem}_x{ratio}{suffix}"; also {tag}.'
        ),
        click.option("--recursive", is_flag=True, help="Also take the clouds in folders of a folder."),
    ):
        wrapped = option(wrapped)
    return wrapped  # type: ignore[return-value]


with_seed = click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of the random numbers."
)
with_device = click.option("--device", metavar="D", help="cpu, cuda, cuda:1 or mps [default: cpu].")
with_output = click.option(
    "-o",
    "--output",
    type=PATH,
    metavar="OUT",
    help="Output file, whose suffix sets the format; or folder; or - for standard output (-.ply: as PLY).",
)
with_distance = click.option(
    "--distance",
    is_flag=True,
    help="Add to all points their distance to the nearest measured point, and flag new points as synthetic.",
)
with_drawn_points = click.option(
    "--points", type=click.IntRange(min=1), metavar="N", help="Number of points to draw from a mesh [default: 8192]."
)
with_temperature = click.option(
    "--temperature",
    type=click.FloatRange(min=0),
    default=1.0,
    show_default=True,
    metavar="T",
    help="Factor on the standard deviation of what a generative model draws; 0 gives the mean.",
)
with_mesh = click.option("--mesh", type=PATH, metavar="MESH", help="The true surface, in the same frame: adds P2F.")
with_convention = click.option(
    "--convention", default=CONVENTION, show_default=True, metavar="ID", help="pugan-2019, half-2024 or plain."
)


def with_models(text: str) -> Callable[[F], F]:
    """-m NAME, repeatable, which the command gets as `models`; `text` is the help."""
    return click.option(
        "-m", "--model", "models", shell_complete=complete_model, multiple=True, metavar="NAME", help=text
    )


def with_origin(subject: str = "") -> Callable[[F], F]:
    """--origin X Y Z, the place of a spinning sensor; `subject` is put first in the help."""
    text = f"{subject}the place of the sensor in the file; by default it is found."
    return click.option("--origin", type=float, nargs=3, metavar="X Y Z", help=text[0].upper() + text[1:])
