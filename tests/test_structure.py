"""The package imports downwards: no circles of modules, and no circles of folders."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pcsr_zoo

ROOT = Path(pcsr_zoo.__file__).parent
FILES = {".".join(path.relative_to(ROOT.parent).with_suffix("").parts): path for path in ROOT.rglob("*.py")}
MODULES = {name.removesuffix(".__init__"): path for name, path in FILES.items()}


def imported(module: str, node: ast.AST) -> Iterator[str]:
    """The modules of the package that the code below a node imports, that of functions included."""
    if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
        node = ast.Module(node.orelse, [])
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names if alias.name in MODULES)
    elif isinstance(node, ast.ImportFrom):
        package = module if MODULES[module].name == "__init__.py" else module.rpartition(".")[0]
        above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
        source = ".".join([*above, *filter(None, [node.module])])
        names = {f"{source}.{alias.name}" for alias in node.names}
        yield from (name if name in MODULES else source for name in names if source in MODULES)
    for child in ast.iter_child_nodes(node):
        yield from imported(module, child)


def imports() -> dict[str, set[str]]:
    return {name: set(imported(name, ast.parse(path.read_text("utf-8")))) for name, path in MODULES.items()}


def circle(graph: dict[str, set[str]]) -> list[str]:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return error.args[1]
    return []


def test_no_circle_of_modules():
    assert circle(imports()) == []


def test_no_circle_of_folders():
    """Every folder has its place; modules of the package's own folder lie below some and above others."""
    folders = {name: path.parent.relative_to(ROOT).as_posix() for name, path in MODULES.items()}
    graph: dict[str, set[str]] = {folder: set() for folder in folders.values() if folder != "."}
    for module, needed in imports().items():
        if (folder := folders[module]) != ".":
            graph[folder] |= {folders[name] for name in needed} - {folder, "."}
    assert "geometry" in graph["pipelines"]
    assert circle(graph) == []


def test_imports_are_found_wherever_they_stand():
    text = "def f():\n from .io import read\nif TYPE_CHECKING:\n from . import zoo\nelse:\n import re, pcsr_zoo.cloud"
    assert set(imported("pcsr_zoo.catalog", ast.parse(text))) == {"pcsr_zoo.io", "pcsr_zoo.cloud"}
    text = "from ..io.files import file_sha256\nfrom .. import errors\nfrom .base import Context"
    below = {"pcsr_zoo.io.files", "pcsr_zoo.errors", "pcsr_zoo.models.base"}
    assert set(imported("pcsr_zoo.models.densify", ast.parse(text))) == below
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"a"}}) != []
