"""What the site does beyond plain mkdocs: pages from elsewhere, tables, model cards, links that work in both places.

- The page of each family of models, `pcsr_zoo/models/FAMILY/page.md`, becomes models/NAME.md, and an entry of the
  section Models of the navigation.
- Its section "Class" becomes a page of its own, models/NAME-classes.md: the reference of class, network, recipe.
- `<!-- cards: sspu-geo* -->` becomes a list of links to the model cards in hub_configs whose names match.
- `<!-- commands -->` becomes the help of `pcsr` and a list of links to a page for each command, which the hook adds.
- Links are written for the repository, relative to the file that they stand in. Here they lead to the same page of the
  site, or to a copy of the file, as of ../CONTRIBUTING.md.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import overview  # the module beside this one
from mkdocs.structure.files import File, Files

from pcsr_zoo.cli import main

ROOT = Path(__file__).resolve().parents[1]
MODELS, REFERENCE = "Models", "Reference"  # sections of mkdocs.yml's nav: families and commands are added to them
COPIES = "repository"
_CARDS = re.compile(r"<!-- cards: (\S+) -->")
_COMMANDS = "<!-- commands -->"
_CLASSES = re.compile(r"^## Class(?:es)?\n(.*?)(?=^## Model card|\Z)", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"\]\((?!\w+:)([^)#\s]+)(#[^)\s]*)?\)")
_WHOLE_LINK = re.compile(r"(?<!!)\[([^\]]+)\]\((?!https?://)([^)\s]+)\)")


def on_config(config: Any) -> Any:
    added = {MODELS: overview.navigation(), REFERENCE: [{"Commands": [{name: uri} for name, uri in _commands()]}]}
    for entry in config.nav:
        for section, pages in added.items():
            if section in entry:
                entry[section] = [*entry[section], *pages]
    return config


def on_files(files: Files, config: Any) -> Files:
    """Add pages of families and commands, and, link by link, the files of the repository that pages lead to."""
    for page in overview.pages().values():
        files.append(File.generated(config, page.uri, abs_src_path=str(page.path)))
        if found := _CLASSES.search(page.path.read_text(encoding="utf-8")):
            text = f"# {page.title}: classes\n\n{found[1]}"
            files.append(_out_of_nav(File.generated(config, _classes(page.uri), content=text)))
    for name, uri in _commands():
        files.append(File.generated(config, uri, content="\n\n".join(_help(name.split()[1:]))))
    queue = [(_source(page.src_uri), page.content_string) for page in files.documentation_pages()]
    while queue:
        source, text = queue.pop()
        for target, _ in _LINK.findall(_with_cards(text, source)):
            uri = _uri(source, target)
            if uri is not None and uri.startswith(f"{COPIES}/") and files.get_file_from_path(uri) is None:
                path = ROOT / uri.removeprefix(f"{COPIES}/")
                if path.parent.name == "benchmarks" or path.name == "BENCHMARKS.md":  # its pages link to each other
                    queue.append((path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")))
                files.append(_out_of_nav(File.generated(config, uri, abs_src_path=str(path))))
    return files


def _out_of_nav(file: File) -> File:
    file.inclusion = file.inclusion.NOT_IN_NAV
    return file


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    where = page.file.src_uri
    copied = where.startswith(f"{COPIES}/")
    source = where.removeprefix(f"{COPIES}/") if copied else _source(where)
    if not copied and source != f"docs/{where}":  # the page of a family
        link = f"## Classes\n\n[Arguments, network and training recipe]({posixpath.basename(_classes(where))})\n\n"
        markdown = _CLASSES.sub(link, markdown)
    markdown = _with_cards(markdown, source)
    if _COMMANDS in markdown:
        links = [f"- [{name}]({uri})" for name, uri in _commands()]
        markdown = markdown.replace(_COMMANDS, "\n".join([*_help([])[1:], "", *links]))

    def leads_out(found: re.Match[str]) -> bool:
        uri = _uri(source, re.sub(r"#.*", "", found[2]))
        return uri is None or files.get_file_from_path(uri) is None

    if copied:  # of what a copy links to, the site has only a part
        markdown = _WHOLE_LINK.sub(lambda found: found[1] if leads_out(found) else found[0], markdown)

    def inward(found: re.Match[str]) -> str:
        uri = _uri(source, found[1])
        if uri is None:
            return found[0]
        return f"]({posixpath.relpath(uri, posixpath.dirname(where) or '.')}{found[2] or ''})"

    return _LINK.sub(inward, markdown)


def _classes(uri: str) -> str:
    """The address of the page with the classes of a family, from that of its page."""
    return f"{uri.removesuffix('.md')}-classes.md"


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


def _with_cards(text: str, source: str) -> str:
    """The text of the file `source` of the repository, with links in place of `<!-- cards: PATTERN -->`."""

    def links(found: re.Match[str]) -> str:
        cards = sorted((ROOT / "hub_configs").glob(f"{found[1]}/README.md"))
        up = "../" * source.count("/")
        lines = [f"- [{card.parent.name}]({up}hub_configs/{card.parent.name}/README.md)" for card in cards]
        return "\n".join(lines) or "This version has no weights for this model: train them yourself."

    return _CARDS.sub(links, text)


def _commands() -> list[tuple[str, str]]:
    """Each command and the address of its page, such as ("pcsr models pull", "cli/models-pull.md")."""

    def below(group: click.Group, words: list[str]) -> Iterator[list[str]]:
        for name in group.list_commands(click.Context(group)):
            command = group.commands[name]
            yield [*words, name]
            if isinstance(command, click.Group):
                yield from below(command, [*words, name])

    return [(" ".join(["pcsr", *words]), f"cli/{'-'.join(words)}.md") for words in below(main, [])]


def _help(words: list[str]) -> list[str]:
    """A title and what `pcsr WORDS --help` prints."""
    command: click.Command = main
    context = click.Context(main, info_name="pcsr", terminal_width=78, **main.context_settings)
    for word in words:
        assert isinstance(command, click.Group)
        command = command.commands[word]
        context = click.Context(command, info_name=word, parent=context, terminal_width=78, **command.context_settings)
    with context:
        return [f"# {context.command_path}\n", f"```text\n{command.get_help(context)}\n```"]
