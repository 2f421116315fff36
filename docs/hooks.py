"""What the site does beyond plain mkdocs: pages from elsewhere, tables, model cards, links that work in both places.

- The page of each family of models, `pcsr_zoo/models/FAMILY/page.md`, becomes models/NAME.md, and an entry of the
  section Models of the navigation.
- `<!-- models -->` becomes the table of all models.
- `<!-- cards: sspu-net* -->` becomes the model cards of the checkpoints in hub_configs whose names match, folded.
- `<!-- commands -->` becomes the help of all commands.
- Links are written for the repository, relative to the file that they stand in. Here they lead to the same page of the
  site, or to a copy of the file, as of ../CONTRIBUTING.md.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import click
import overview  # the module beside this one
from mkdocs.structure.files import File, Files

from pcsr_zoo.cli import main

ROOT = Path(__file__).resolve().parents[1]
SECTION = "Models"  # of mkdocs.yml's nav, where the pages of the families belong
COPIES = "repository"
_CARDS = re.compile(r"<!-- cards: (\S+) -->")
_COMMANDS = "<!-- commands -->"
_LINK = re.compile(r"\]\((?!\w+:)([^)#\s]+)(#[^)\s]*)?\)")
_WHOLE_LINK = re.compile(r"(?<!!)\[([^\]]+)\]\((?!https?://)[^)\s]+\)")


def on_config(config: Any) -> Any:
    (section,) = (entry for entry in config.nav if SECTION in entry)
    section[SECTION] = [*section[SECTION], *overview.navigation()]
    return config


def on_files(files: Files, config: Any) -> Files:
    """Add the pages of the families, the files of the repository that pages link to, and those that these link to."""
    for page in overview.pages().values():
        files.append(File.generated(config, page.uri, abs_src_path=str(page.path)))
    queue = [(_source(page.src_uri), page.content_string) for page in files.documentation_pages()]
    while queue:
        source, text = queue.pop()
        for target, _ in _LINK.findall(text):
            uri = _uri(source, target)
            if uri is not None and uri.startswith(f"{COPIES}/") and files.get_file_from_path(uri) is None:
                path = ROOT / uri.removeprefix(f"{COPIES}/")
                copy = File.generated(config, uri, abs_src_path=str(path))
                copy.inclusion = copy.inclusion.NOT_IN_NAV
                files.append(copy)
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    where = page.file.src_uri
    if where.startswith(f"{COPIES}/"):
        return _WHOLE_LINK.sub(lambda found: found[1], markdown)  # copies are read by themselves
    source = _source(where)
    if overview.BEGIN in markdown:
        markdown = markdown.replace(overview.BEGIN, overview.model_table("../" * source.count("/")))
    markdown = _CARDS.sub(lambda found: _cards(found[1]), markdown)
    if _COMMANDS in markdown:
        markdown = markdown.replace(_COMMANDS, "\n\n".join(_help(main, None, "pcsr")))

    def inward(found: re.Match[str]) -> str:
        uri = _uri(source, found[1])
        if uri is None:
            return found[0]
        return f"]({posixpath.relpath(uri, posixpath.dirname(where) or '.')}{found[2] or ''})"

    return _LINK.sub(inward, markdown)


def _source(uri: str) -> str:
    """The file of a page, as a path in the repository."""
    moved = {page.uri: page.path for page in overview.pages().values()}
    return Path(os.path.relpath(moved[uri], ROOT)).as_posix() if uri in moved else f"docs/{uri}"


def _uri(source: str, target: str) -> str | None:
    """Where a link of a file of the repository leads in the site; None if there is no such file."""
    path = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
    if not (ROOT / path).is_file():
        return None
    for page in overview.pages().values():
        if page.path.samefile(ROOT / path):
            return page.uri
    return path.removeprefix("docs/") if path.startswith("docs/") else f"{COPIES}/{path}"


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
