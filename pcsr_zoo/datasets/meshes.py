"""Meshes to train on: which files a folder or a table of meshes names, and which of them may be used."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import FileError, OptionError

MESH_SUFFIXES = (".ply", ".obj", ".off", ".stl", ".glb", ".gltf")
TEST_SETS = ("pugan", "punet")  # folders of shapes that are tested on
_UNKNOWN = "unknown"


@dataclass(frozen=True)
class MeshSource:
    """One mesh file and what is known of where it comes from.

    Attributes:
        name: unique within one training file, for example "trimesh/torus".
        path: the file.
        license, license_class, source: as the table of meshes says; "unknown" for a mesh without a table.
    """

    name: str
    path: Path
    license: str = _UNKNOWN
    license_class: str = _UNKNOWN
    source: str = _UNKNOWN


def find_meshes(
    inputs: Iterable[str | os.PathLike[str]], license_classes: Sequence[str] | None = None
) -> list[MeshSource]:
    """The meshes of files, folders (with subfolders) and tables, in this order, without duplicates.

    A table is a .csv with the columns `file` (relative to the table's folder), `license`, `license_class`, `source`.

    Args:
        inputs: at least one path.
        license_classes: keep only these; meshes without a table have the class "unknown". None keeps all.

    Raises:
        FileError: a path is missing, is not a mesh, has no meshes, or belongs to a test set (see `check_not_test`).
        OptionError: no mesh has one of the `license_classes`.
    """
    found: dict[Path, MeshSource] = {}
    for given in inputs:
        path = Path(given)
        for mesh in _table(path) if path.suffix.lower() == ".csv" else _files(path):
            found.setdefault(mesh.path.resolve(), mesh)
    kept = [mesh for mesh in found.values() if license_classes is None or mesh.license_class in license_classes]
    if found and not kept:
        there = ", ".join(sorted({mesh.license_class for mesh in found.values()}))
        raise OptionError(f"no mesh has the license class {' or '.join(license_classes or ())}; they have: {there}")
    for mesh in kept:
        check_not_test(mesh.path)
    return _unique_names(kept)


def check_not_test(path: Path) -> None:
    """Refuse a file of a test set: a model trained on it could not be compared with published numbers.

    Raises:
        FileError: a folder above `path`, as given or behind symbolic links, is named `pugan` or `punet`.
    """
    for parent in (*path.absolute().parents, *path.resolve().parents):
        if parent.name.lower() in TEST_SETS:
            raise FileError(
                f"{path}: refused, because it is in '{parent.name}', a test set that models are measured on. Train on "
                "other meshes, or rename the folder if it is not the test set"
            )


def _files(path: Path) -> list[MeshSource]:
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.suffix.lower() in MESH_SUFFIXES and file.is_file())
        if not files:
            raise FileError(f"{path}: no meshes in this folder ({', '.join(MESH_SUFFIXES)})")
        return [MeshSource(file.relative_to(path).with_suffix("").as_posix(), file) for file in files]
    if not path.is_file():
        raise FileError(f"{path}: no such file or folder")
    if path.suffix.lower() not in MESH_SUFFIXES:
        raise FileError(f"{path}: not a mesh; use {', '.join(MESH_SUFFIXES)}, a folder of these, or a .csv table")
    return [MeshSource(path.stem, path)]


def _table(path: Path) -> list[MeshSource]:
    try:
        with open(path, newline="", encoding="utf-8") as handle:
            reader = csv.DictReader(handle)
            rows, columns = list(reader), reader.fieldnames or []
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise FileError(f"{path}: cannot be read as a table of meshes: {error}") from None
    columns = [column.replace("licence", "license") for column in columns]  # either spelling
    rows = [{key.replace("licence", "license"): value for key, value in row.items() if key} for row in rows]
    for column in ("file", "license", "license_class", "source"):
        if column not in columns:
            raise FileError(f"{path}: the column '{column}' is missing; it has: {', '.join(columns) or 'none'}")
    if not rows:
        raise FileError(f"{path}: the table has no rows")
    meshes = []
    for line, row in enumerate(rows, start=2):
        if not row["file"]:
            raise FileError(f"{path}, row {line}: the column 'file' is empty")
        file = path.parent / row["file"]
        if not file.is_file():
            raise FileError(f"{path}, row {line}: {file} does not exist")
        name = Path(row["file"]).with_suffix("").as_posix().removeprefix("meshes/")
        known = {key: (row[key] or "").strip() or _UNKNOWN for key in ("license", "license_class", "source")}
        meshes.append(MeshSource(name, file, **known))
    return meshes


def _unique_names(meshes: list[MeshSource]) -> list[MeshSource]:
    """Append a number to repeated names, because the split is by name."""
    taken: set[str] = set()
    named = []
    for mesh in meshes:
        name, number = mesh.name, 2
        while name in taken:
            name, number = f"{mesh.name}-{number}", number + 1
        taken.add(name)
        named.append(MeshSource(name, mesh.path, mesh.license, mesh.license_class, mesh.source))
    return named
