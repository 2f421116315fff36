"""`pcsr models`: the list of models, and the download, verification and publication of weights."""

from __future__ import annotations

import hashlib
import shutil
import sys
from typing import Any

import click

from ..errors import FileError, OptionError, PcsrError
from .app import common_options, echo, session
from .complete import PATH, complete_model
from .inspect import to_json
from .trial import try_

_SOME = 20  # the least characters of a summary that are shown
_HEADER = ("model", "tasks", "ratio", "size", "license", "weights", "best CD x 1000 (of jet)")


class _ListByDefault(click.Group):
    """A group whose first argument can be a pattern instead of a command."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if ctx.resilient_parsing:  # shell completion
            return super().parse_args(ctx, args)
        if not args or (args[0] not in self.commands and args[0] not in ctx.help_option_names):
            args = ["list", *args]
        return super().parse_args(ctx, args)


@click.group(
    cls=_ListByDefault,
    subcommand_metavar="[PATTERN | COMMAND [ARGS]...]",
    short_help="List the models; try, download, verify and publish them.",
)
@common_options
def models() -> None:
    """List the models; try, download, verify and publish them.

    PATTERN may have wildcards, in quotes. For a single name, the folder of a checkpoint or hf:OWNER/REPO, details are
    printed. The best CD is the lowest ratio to jet in a task of pcsr benchmark, under the convention pugan-2019.

    \b
    Examples:
      pcsr models 'pointlie*'
      pcsr models pointlie-x8
    """


@models.command("list")
@click.argument("pattern", shell_complete=complete_model, default="*")
@click.option("--json", "as_json", is_flag=True, help="Print a list of JSON objects.")
@common_options
def list_command(pattern: str, as_json: bool) -> None:
    """List the models, as pcsr models does without a command.

    PATTERN may have wildcards, in quotes, or be a name, the folder of a checkpoint, or hf:OWNER/REPO.

    \b
    Examples:
      pcsr models list 'jet*'
      pcsr models list --json
    """
    from ..catalog import list_models, model_info

    rows = [model_info(name, paths=False) for name in list_models(pattern)]
    if not rows:
        if any(mark in pattern for mark in "*?["):
            raise OptionError(f"no model matches '{pattern}'; list all models with: pcsr models")
        rows = [model_info(pattern)]  # a folder or an address, or an error that suggests similar names
        pattern = rows[0]["name"]
    if as_json:
        echo(to_json(rows))
    elif rows[0]["name"] == pattern:
        echo("\n".join(_details(rows[0])))
    else:
        _table(rows)


@models.command(short_help="Download weights from the Hub.")
@click.argument("names", shell_complete=complete_model, nargs=-1, metavar="NAME...")
@click.option("--all", "everything", is_flag=True, help="All weights of this version.")
@common_options
def pull(names: tuple[str, ...], everything: bool) -> None:
    """Download weights from the Hub into the Hugging Face cache (HF_HOME), and verify them.

    NAME is a checkpoint of pcsr models, or hf:OWNER/REPO[@REVISION]. Weights that come with the package are only
    verified.

    \b
    Examples:
      pcsr models pull jetnet
      pcsr models pull --all
    """
    from ..catalog import resolve
    from ..checkpoints.shipped import described

    if bool(names) == everything:
        raise click.UsageError("give the names of models, or --all")
    names = names or tuple(described())
    if not names:
        session().say("Nothing to download: all weights of this version come with the package.")
    _quieten()

    def one(name: str) -> None:
        session().say(f"{name}: {resolve(name, paths=False).with_weights()}")

    _each(names, one)


@models.command(short_help="Check weights against their hashes.")
@click.argument("names", shell_complete=complete_model, nargs=-1, metavar="[NAME]...")
@common_options
def verify(names: tuple[str, ...]) -> None:
    """Load checkpoints and check their hashes, keys and shapes.

    NAME is a checkpoint of pcsr models, a folder, or hf:OWNER/REPO[@REVISION]. By default all checkpoints of this
    version that are on this machine are checked.

    \b
    Examples:
      pcsr models verify
      pcsr models verify jetnet
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
            raise FileError(f"'{name}' is not on this machine; download it with: pcsr models pull {name}")
        config = load(found.with_weights()).config
        assert config is not None
        session().say(f"{name}: valid, {config['parameters']:,} parameters, sha256 {config['sha256']}")

    _each(names or tuple(sorted({*bundled(), *described()})), one)


@models.command(short_help="Publish a checkpoint on the Hub.")
@click.argument("folder", type=PATH, metavar="DIR")
@click.option("--to", required=True, metavar="OWNER/REPO", help="The repository, or OWNER/REPO@BRANCH.")
@click.option("--dry-run", is_flag=True, help="Check the checkpoint and list the files, without the Hub.")
@click.option("--private", is_flag=True, help="Make a new repository private.")
@click.option("--message", metavar="TEXT", help="The commit message.")
@common_options
def push(folder: str, to: str, dry_run: bool, private: bool, message: str | None) -> None:
    """Publish the checkpoint in DIR in the Hub's repository OWNER/REPO: configuration, weights and card in one commit.

    The checkpoint is loaded first; an invalid one is not published. Publishing requires a token with write access: run
    hf auth login, or set HF_TOKEN. --dry-run requires neither a token nor a network.

    \b
    Examples:
      pcsr models push runs/mine --to OWNER/REPO --dry-run
      pcsr models push runs/mine --to OWNER/REPO@BRANCH --dry-run
    """
    from ..cards.card import render_card
    from ..checkpoints.push import plan_push, prepare_push
    from ..checkpoints.push import push as push_now

    if dry_run:
        upload = prepare_push(folder, to, render_card)
        address = upload.address
        echo(f"{upload.name} -> https://huggingface.co/{address.repository}, branch {address.revision}")
        for file, content in upload.files.items():
            echo(f"  {file:18} {len(content):>11,} bytes  sha256 {hashlib.sha256(content).hexdigest()}")
        echo("The checkpoint is valid. Nothing was uploaded, and the Hub was not contacted (--dry-run).")
        return
    _quieten()
    plan = plan_push(folder, to, render_card)
    say = session().say
    created = "" if plan.branch_exists else " (new)"
    say(f"{plan.name} -> {plan.address.repository}, branch {plan.address.revision}{created}")
    for change in plan.changes:
        say(f"  {change.state:8} {change.file:18} {_size(len(change.content)):>9}")
    for file in plan.others:
        say(f"  {'kept':8} {file}")
    if plan.nothing_to_do:
        say("Nothing to push: the repository is up to date.")
    else:
        commit = push_now(plan, message=message, private=private or None)
        say(f'Pushed. To load exactly these weights: pcsr_zoo.load("hf:{plan.address.repository}@{commit}")')


models.add_command(try_)


def _each(names: tuple[str, ...], work: Any) -> None:
    """Do `work` on every name. An error is printed, and the exit status is then 1."""
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
    """Print a table with a header. In a narrow terminal each model takes two lines; lines to a file are never cut."""
    seen = sys.stdout.isatty()
    cells = [(*_HEADER, "summary"), *((*_cells(row), row["summary"]) for row in rows)]
    *widths, _ = (max(map(len, column)) for column in zip(*cells, strict=True))
    room = shutil.get_terminal_size().columns
    narrow = seen and sum(widths) + 2 * len(widths) > room - _SOME
    for *cell, summary in cells:
        *padded, best = (text.ljust(width) for text, width in zip(cell, widths, strict=True))
        lines = [" ".join(padded), f"    {best}  {summary}"] if narrow else ["  ".join([*padded, best, summary])]
        for line in lines:
            echo(line[: room - 1].rstrip() + "…" if seen and len(line.rstrip()) > room else line.rstrip())


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    best = row.get("best")
    figure = ""
    if best:
        jet = f" ({best['jet']:.3f})" if best["jet"] else ""
        figure = f"{best['task']} {best['cd']:.3f}{jet}"
    # Trained weights work at one ratio or at any; a class without weights declares the ratios that it is trained for.
    ratios = [row["ratio"]] if row.get("ratio") else [] if "weights" in row else row["ratios"]
    ratio = " ".join(f"x{value:g}" for value in ratios) or "any"
    size, license = (_size(row.get("bytes")), row.get("license") or "") if "weights" in row else ("", "")
    return (row["name"], _tasks(row), ratio, size, license, row.get("where", ""), figure)


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
