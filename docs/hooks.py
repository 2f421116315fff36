"""What the site does beyond plain mkdocs: model cards, files of the repository, a nav that may be ahead of the pages.

- `<!-- cards: sspu-net* -->` becomes the model cards of the checkpoints in hub_configs whose names match, folded.
- `<!-- commands -->` becomes the help of all commands.
- A link out of docs/, as to ../CONTRIBUTING.md, leads to a copy in the site, so that it works on both.
- Entries of nav whose file does not exist are left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import click
from mkdocs.structure.files import File, Files

from pcsr_zoo.cli import main

ROOT = Path(__file__).resolve().parents[1]
COPIES = "repository"
_CARDS = re.compile(r"<!-- cards: (\S+) -->")
_COMMANDS = "<!-- commands -->"
_OUTWARD = re.compile(r"\]\(((?:\.\./)+)([^)#\s]+)(#[^)\s]*)?\)")


def on_config(config: Any) -> Any:
    config.nav = _existing(config.nav, Path(config.docs_dir))
    return config


def _existing(entries: list[Any], docs: Path) -> list[Any]:
    kept = []
    for entry in entries:
        ((title, value),) = entry.items()
        if isinstance(value, list):
            kept.append({title: _existing(value, docs)})
        elif (docs / value).exists():
            kept.append(entry)
    return kept


def on_files(files: Files, config: Any) -> Files:
    """Add the files of the repository that pages link to, and those that the added pages link to."""
    queue = [(page.src_uri, page.content_string) for page in files.documentation_pages()]
    while queue:
        where, text = queue.pop()
        for target in _targets(where, text):
            if files.get_file_from_path(f"{COPIES}/{target}") is None and (ROOT / target).is_file():
                copy = File.generated(config, f"{COPIES}/{target}", abs_src_path=str(ROOT / target))
                copy.inclusion = copy.inclusion.NOT_IN_NAV
                files.append(copy)
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    where = page.file.src_uri
    if where.startswith(f"{COPIES}/"):
        return _LINK.sub(lambda found: found[1], markdown)  # copies are read by themselves
    markdown = _CARDS.sub(lambda found: _cards(found[1]), markdown)
    if _COMMANDS in markdown:
        markdown = markdown.replace(_COMMANDS, "\n\n".join(_help(main, None, "pcsr")))
    up = "../" * where.count("/")
    return _OUTWARD.sub(lambda found: _inward(where, up, found), markdown)


_LINK = re.compile(r"(?<!!)\[([^\]]+)\]\((?!https?://)[^)\s]+\)")


def _targets(where: str, text: str) -> list[str]:
    """Paths of files in the repository, outside docs/, that a page links to."""
    found = (_resolved(where, up, path) for up, path, _ in _OUTWARD.findall(text))
    return [target for target in found if target]


def _resolved(where: str, up: str, path: str) -> str | None:
    """The path from the root of the repository; None for a page of docs/."""
    depth = where.count("/") + 1  # of the page, below the root
    return path if up.count("../") == depth else None


def _inward(where: str, up: str, found: re.Match[str]) -> str:
    target = _resolved(where, found[1], found[2])
    return found[0] if target is None else f"]({up}{COPIES}/{target}{found[3] or ''})"


def _cards(pattern: str) -> str:
    folders = sorted(
        p.parent for p in (ROOT / "hub_configs").glob("*/README.md") if fnmatchcase(p.parent.name, pattern)
    )
    if not folders:
        return "No weights come with this version: train them yourself."
    return "\n\n".join(_card(folder / "README.md") for folder in folders)


def _card(path: Path) -> str:
    """The card without its front matter and its title, its headings too deep for the table of contents."""
    text = path.read_text(encoding="utf-8")
    if text.startswith("---\n"):
        text = text.partition("\n---\n")[2]
    lines, code = [f'??? note "{path.parent.name}"'], False
    for line in text.strip().splitlines()[1:]:
        code ^= line.startswith("```")
        lines.append(f"    ###{line}" if line.startswith("#") and not code else f"    {line}".rstrip())
    return "\n".join(lines)


def _help(command: click.Command, parent: click.Context | None, name: str) -> Iterator[str]:
    """A section with what `--help` prints, for a command and all below it."""
    context = click.Context(command, info_name=name, parent=parent, terminal_width=78, **command.context_settings)
    with context:
        yield f"## {context.command_path}\n\n```text\n{command.get_help(context)}\n```"
    if isinstance(command, click.Group):
        for below in command.list_commands(context):
            yield from _help(command.commands[below], context, below)
