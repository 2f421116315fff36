"""Writing of text files: .xyz .xyzn .xyzrgb .pts .txt .asc .csv, with one point per line."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from ..cloud import INTENSITY, Cloud
from ..cloud import NORMALS as NORMALS_ATTRIBUTE
from ..errors import CloudError, FileError
from .atomic import atomic_path
from .columns import Columns, columns_from_cloud, float32_is_enough
from .layout import COLORS, NORMALS
from .named import columns_as_named, named, sources_of

_KIND = "text"
_ROWS_AT_A_TIME = 100_000
_MOST_EXACT = 2**53


def stored_in_text(*always: str) -> Callable[[Cloud], frozenset[str]]:
    """The attributes that an .xyz file stores: these, and those that its source had."""
    return lambda cloud: frozenset(always) | sources_of(cloud, _KIND)


def write_text(cloud: Cloud, path: str | PathLike[str], overwrite: bool = True) -> None:
    """Write a text file, with enough digits that positions are read back exactly.

    .csv has a header and all attributes. .txt and .asc have all attributes, and a comment line with the column names if
    there are any. .xyz has normals if the cloud has any. .xyzn has normals, .xyzrgb has colors in
    [0, 1]. .pts has the number of points in the first line, then x y z [intensity] [r g b]. Other attributes are left
    out.

    A cloud from a text file has the columns of that file, under their names, in their order, and words where it had
    words; in a file of the same suffix also its delimiter, its header and its decimal commas.

    Raises:
        FileError: the file cannot be written; or the cloud has no normals for .xyzn, or no colors for .xyzrgb.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    said = named(cloud, _KIND, "bin", "npy") if suffix in (".csv", ".txt", ".asc") else {}
    if suffix == ".xyz":
        said = named(cloud, _KIND)
    style = said if said.get("suffix") == suffix else {}
    try:
        if said:
            header, columns, words = _as_source(cloud, suffix, said, style)
        else:
            (header, columns), words = _layout(cloud, suffix), {}
    except CloudError as error:
        raise FileError(f"cannot write {path}: {error}") from None
    if cloud.metadata.get("position_dtype") == "float32" and float32_is_enough(cloud.positions):
        axes = said["sources"][None] if said else ("x", "y", "z")
        columns.update({axis: columns[axis].astype(np.float32) for axis in axes})
    separator = _separator(suffix, style)
    commas = style.get("commas", False)
    if said:  # what was written as whole numbers still is
        columns = {name: values if name in words else _whole(values) for name, values in columns.items()}
    quoted = {name: [_quoted(word, separator) for word in meaning] for name, meaning in words.items()}
    with atomic_path(path, overwrite) as temporary, open(temporary, "w", encoding="utf-8", newline="\n") as handle:
        handle.write(header)
        for start in range(0, len(cloud), _ROWS_AT_A_TIME):
            cells: list[Iterable[str]] = []
            for name, values in columns.items():
                part = values[start : start + _ROWS_AT_A_TIME]
                if name in quoted:
                    cells.append([quoted[name][i] for i in part.tolist()])
                else:
                    cells.append((word.replace(".", ",") for word in _format(part)) if commas else _format(part))
            handle.write("\n".join(map(separator.join, zip(*cells, strict=True))) + "\n")


def _separator(suffix: str, style: dict[str, Any]) -> str:
    if "delimiter" in style:
        return str(style["delimiter"] or " ")
    return "," if suffix == ".csv" else " "


def _as_source(
    cloud: Cloud, suffix: str, said: dict[str, Any], style: dict[str, Any]
) -> tuple[str, Columns, dict[str, list[str]]]:
    """The header, the columns and the words of a file with the columns of its source."""
    if suffix == ".xyz":
        kept = {NORMALS_ATTRIBUTE, *sources_of(cloud, _KIND)}
        cloud = Cloud(cloud.positions, {n: v for n, v in cloud.attributes.items() if n in kept}, cloud.metadata)
    columns, words = columns_as_named(cloud, said)
    separator = _separator(suffix, style)
    titles = separator.join(_quoted(style.get("raw", {}).get(name, name), separator) for name in columns)
    kind: str | None = style.get("header", "plain" if suffix == ".csv" else "comment" if suffix != ".xyz" else None)
    if kind is None and suffix in (".txt", ".asc") and len(columns) > len(said["order"]):
        kind = "comment"  # it names the new columns
    return {"plain": f"{titles}\n", "comment": f"# {titles}\n"}.get(kind or "", ""), columns, words


def _quoted(word: str, separator: str) -> str:
    """A word as a cell of the table."""
    if separator == " ":
        return "_".join(word.split()) or "-"
    if separator in word or '"' in word or word != word.strip():
        return '"' + word.replace('"', '""') + '"'
    return word


def _whole(values: np.ndarray) -> np.ndarray:
    """Integers, if all values are whole."""
    if values.dtype.kind != "f" or not values.size:
        return values
    with np.errstate(invalid="ignore"):
        whole = bool((np.rint(values) == values).all()) and bool((np.abs(values) < _MOST_EXACT).all())
    return values.astype(np.int64) if whole else values


def _layout(cloud: Cloud, suffix: str) -> tuple[str, Columns]:
    """The first line of the file, or "", and the columns in order."""
    columns = columns_from_cloud(cloud)
    names: tuple[str, ...] = ("x", "y", "z")
    has_normals = all(name in columns for name in NORMALS)
    as_float = cloud.colors_as_float()
    header = ""
    if suffix == ".csv":
        return ",".join(columns) + "\n", columns
    if suffix in (".txt", ".asc"):
        if len(columns) > 3:
            header = "# " + " ".join(columns) + "\n"
        return header, columns
    if suffix == ".pts":
        header = f"{len(cloud)}\n"
        names += ((INTENSITY,) if INTENSITY in columns else ()) + (() if as_float is None else COLORS)
    elif suffix == ".xyzrgb":
        if as_float is None:
            raise CloudError("the cloud has no colors; write .xyz instead")
        columns.update(zip(COLORS, as_float.T, strict=True))
        names += COLORS
    elif suffix == ".xyzn" or has_normals:
        if not has_normals:
            raise CloudError("the cloud has no normals; write .xyz instead")
        names += NORMALS
    return header, {name: columns[name] for name in names}


def _format(values: np.ndarray) -> Iterator[str]:
    """The shortest text that is read back as the same number."""
    if values.dtype.kind in "iu":
        return map(str, values.tolist())
    if values.dtype.itemsize <= 4:
        return map("%.9g".__mod__, values.tolist())
    return map(repr, values.tolist())
