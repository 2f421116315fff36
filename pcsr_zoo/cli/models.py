"""`pcsr models`: what is in the zoo, and its weights: here, on the Hub, in order, published."""

from __future__ import annotations

import shutil
import sys
from typing import Any

import click

from ..errors import FileError, OptionError, PcsrError
from .app import common_options, session
from .inspect import to_json

_SOME = 20  # characters of a summary that are worth showing
_HEADER = ("model", "does", "ratio", "size", "license", "weights", "best CD x 1000 (jet's)")


class _ListByDefault(click.Group):
    """A group whose first word may be a pattern instead of a command."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0] not in self.commands and args[0] not in ctx.help_option_names):
            args = ["list", *args]
        return super().parse_args(ctx, args)


@click.group(
    cls=_ListByDefault,
    subcommand_metavar="[PATTERN | COMMAND [ARGS]...]",
    short_help="List the models; fetch, verify and publish weights.",
)
@common_options
def models() -> None:
    """List the models by name; fetch, verify and publish their weights.

    \b
    pcsr models                     all of them
    pcsr models 'pointlie*'         some: PATTERN may have wildcards (quote it)
    pcsr models pointlie-x8         more of one
    pcsr models --json
    pcsr models pull pointlie-x8    from the Hub into the cache, for later without a network
    """


@models.command("list")
@click.argument("pattern", default="*")
@click.option("--json", "as_json", is_flag=True, help="A list of objects.")
@common_options
def list_command(pattern: str, as_json: bool) -> None:
    """List the models, as pcsr models does without a command; PATTERN may have wildcards (quote it: 'jet*')."""
    from ..catalog import list_models, model_info

    rows = [model_info(name, paths=False) for name in list_models(pattern)]
    if not rows:
        raise OptionError(f"no model is called '{pattern}'; see them all with: pcsr models")
    if as_json:
        click.echo(to_json(rows))
    elif rows[0]["name"] == pattern:
        click.echo("\n".join(_details(rows[0])))
    else:
        _table(rows)


@models.command(short_help="Fetch weights from the Hub.")
@click.argument("names", nargs=-1, metavar="NAME...")
@click.option("--all", "everything", is_flag=True, help="All of pcsr-zoo's own.")
@common_options
def pull(names: tuple[str, ...], everything: bool) -> None:
    """Have the weights on this machine: from the Hub into the Hugging Face cache (HF_HOME), verified.

    NAME is one of pcsr models, or hf:owner/repo[@revision].
    """
    from ..catalog import resolve
    from ..checkpoints.shipped import described

    if bool(names) == everything:
        raise click.UsageError("name models, or give --all")
    names = names or tuple(described())
    if not names:
        session().say("Nothing to fetch: all weights of this version come with the package.")
    _quieten()

    def one(name: str) -> None:
        session().say(f"{name}: {resolve(name, paths=False).with_weights()}")

    _each(names, one)


@models.command(short_help="Check weights against their hashes.")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@common_options
def verify(names: tuple[str, ...]) -> None:
    """Load checkpoints and check every hash, key and shape; by default all of pcsr-zoo's own that are on this machine.

    NAME is one of pcsr models, a folder, or hf:owner/repo[@revision].
    """
    from ..catalog import resolve
    from ..checkpoints.shipped import bundled, described
    from ..zoo import load

    _quieten()

    def one(name: str) -> None:
        found = resolve(name, paths=bool(names))
        if not names and (found.where == "Hub" or found.config is None):
            return
        if found.where == "Hub":
            raise FileError(f"'{name}' is not on this machine; fetch it with: pcsr models pull {name}")
        config = load(found.with_weights()).config
        assert config is not None
        session().say(f"{name}: good, {config['parameters']:,} parameters, sha256 {config['sha256']}")

    _each(names or tuple(sorted({*bundled(), *described()})), one)


@models.command(short_help="Publish a checkpoint on the Hub.")
@click.argument("folder", metavar="DIR")
@click.option("--to", required=True, metavar="OWNER/REPO", help="Or OWNER/REPO@BRANCH.")
@click.option("--dry-run", is_flag=True, help="Only say what would change.")
@click.option("--private", is_flag=True, help="If the repository is made, for you alone.")
@click.option("--message", metavar="TEXT", help="Of the commit.")
@common_options
def push(folder: str, to: str, dry_run: bool, private: bool, message: str | None) -> None:
    """Publish the checkpoint in DIR as the Hub's repository OWNER/REPO: config.json, weights and card, in one commit.

    It is loaded first, and is not published if that fails. Needs a token that may write: hf auth login, or HF_TOKEN.
    """
    from ..cards.card import render_card
    from ..checkpoints.push import plan_push
    from ..checkpoints.push import push as push_now

    _quieten()
    plan = plan_push(folder, to, render_card)
    say = session().say if not dry_run else click.echo
    there = "" if plan.branch_exists else (" (would be made)" if dry_run else " (is made)")
    say(f"{plan.name} -> {plan.address.repository}, branch {plan.address.revision}{there}")
    for change in plan.changes:
        say(f"  {change.state:8} {change.file:18} {_size(len(change.content)):>9}")
    for file in plan.others:
        say(f"  {'stays':8} {file}")
    if plan.nothing_to_do:
        say("Nothing to push: the repository has all of it.")
    elif not dry_run:
        commit = push_now(plan, message=message, private=private or None)
        say(f'Pushed. These weights for ever: pcsr_zoo.load("hf:{plan.address.repository}@{commit}")')


def _each(names: tuple[str, ...], work: Any) -> None:
    """All of them, though one may fail; then the exit status says so."""
    failed = False
    for name in names:
        try:
            work(name)
        except PcsrError as error:
            failed = True
            session().report(error, name)
    if failed:
        click.get_current_context().exit(1)


def _quieten() -> None:
    if session().quiet:
        from huggingface_hub.utils import disable_progress_bars

        disable_progress_bars()


def _table(rows: list[dict[str, Any]]) -> None:
    """For a person with a header, in two lines a model where the terminal is narrow; for a program one line, whole."""
    seen = sys.stdout.isatty()
    cells = [(*_cells(row), row["summary"]) for row in rows]
    if seen:
        cells.insert(0, (*_HEADER, "summary"))
    *widths, _ = (max(map(len, column)) for column in zip(*cells, strict=True))
    room = shutil.get_terminal_size().columns
    narrow = seen and sum(widths) + 2 * len(widths) > room - _SOME
    for *cell, summary in cells:
        *padded, best = (text.ljust(width) for text, width in zip(cell, widths, strict=True))
        lines = ["  ".join(padded), f"    {best}  {summary}"] if narrow else ["  ".join([*padded, best, summary])]
        for line in lines:
            click.echo(line[: room - 1].rstrip() + "…" if seen and len(line.rstrip()) > room else line.rstrip())


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    best = row.get("best")
    figure = ""
    if best:
        jet = f" ({best['jet']:.3f})" if best["jet"] else ""
        figure = f"{best['task']} {best['cd']:.3f}{jet}"
    if "weights" not in row:
        return (row["name"], _tasks(row), "any", "", "", row.get("where", ""), figure)
    ratio = f"x{row['ratio']:g}" if row.get("ratio") else "any"
    license = row.get("license") or ""
    return (row["name"], _tasks(row), ratio, _size(row.get("bytes")), license, row.get("where", ""), figure)


def _tasks(row: dict[str, Any]) -> str:
    return " ".join(row["tasks"])


def _details(row: dict[str, Any]) -> list[str]:
    lines = [row["name"], f"  {row['summary']}"]
    shown = dict(zip(_HEADER[1:], _cells(row)[1:], strict=True))
    shown |= {"parameters": f"{row['parameters']:,}"} if "parameters" in row else {}
    shown |= {key: row[key] for key in ("repository",) if key in row}
    shown |= {"sha256": row["weights"].removeprefix("sha256:")} if "weights" in row else {}
    shown |= {"source": row["source"]}
    return lines + [f"  {key}: {value}" for key, value in shown.items() if value]


def _size(count: int | None) -> str:
    if count is None:
        return ""
    return f"{count / 1e6:.1f} MB" if count >= 1e5 else f"{count / 1e3:.1f} kB"
