"""The columns of a file: their names, their order and their attributes, so that a result has the same columns.

They are `metadata["columns"]` of a cloud that was read from a text file, a .bin file or a structured array:

    kind      "text", "bin" or "npy"
    order     names of the columns, in the order of the file
    sources   attribute -> names of its columns; None -> those of x, y and z
    words     attribute -> the words that its whole numbers stand for, from 0
    ...       what else a format remembers: the delimiter, dtypes
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..cloud import Cloud
from .columns import Columns, cloud_and_sources, columns_from_cloud, free_name, numeric

KEY = "columns"
_AXES = ("x", "y", "z")


def cloud_from_named(
    columns: Mapping[str, np.ndarray],
    metadata: Mapping[str, Any],
    kind: str,
    words: Mapping[str, Sequence[str]] | None = None,
    **more: Any,
) -> Cloud:
    """`columns.cloud_from_columns`, with what the module's docstring says in the metadata.

    Args:
        columns: name -> (N,) or (N, C).
        metadata: further metadata.
        kind: the kind of file.
        words: column -> the words that its numbers stand for.
        more: further entries.

    Raises:
        CloudError: x, y or z is missing.
    """
    cloud, sources = cloud_and_sources(columns, metadata)
    meaning = {name: list(words[parts[0]]) for name, parts in sources.items() if words and parts[0] in words}
    cloud.metadata[KEY] = {"kind": kind, "order": list(columns), "sources": sources, "words": meaning, **more}
    return cloud


def named(cloud: Cloud, *kinds: str) -> dict[str, Any]:
    """What the file of these kinds said, or {}."""
    said = cloud.metadata.get(KEY) or {}
    return said if said.get("kind") in kinds else {}


def sources_of(cloud: Cloud, *kinds: str) -> frozenset[str]:
    """The attributes of a cloud that were columns of a file of these kinds."""
    return frozenset(name for name in named(cloud, *kinds).get("sources", {}) if name is not None)


def columns_as_named(cloud: Cloud, said: Mapping[str, Any]) -> tuple[Columns, dict[str, list[str]]]:
    """All positions and attributes under the names and in the order of the source; others follow.

    Returns:
        The columns; and column -> words, of the columns of words.

    Raises:
        CloudError: an attribute is not numeric, or there are too many columns.
    """
    if not said:
        return columns_from_cloud(cloud), {}
    sources = said["sources"]
    columns: Columns = dict(zip(sources[None], cloud.positions.T, strict=True))
    words: dict[str, list[str]] = {}
    others: dict[str, np.ndarray] = {}
    for name, values in cloud.attributes.items():
        parts = sources.get(name, ())
        width = 1 if values.ndim == 1 else values.shape[1]
        if len(parts) == width and not set(parts) & set(columns):
            columns.update(zip(parts, numeric(name, values).reshape(len(values), width).T, strict=True))
        elif len(parts) == 1 and parts[0] not in columns:
            columns[parts[0]] = numeric(name, values)
        else:
            others[name] = values
        meaning = said["words"].get(name)
        coded = meaning and len(parts) == 1 and values.dtype.kind in "iu"
        if coded and values.min(initial=0) >= 0 and values.max(initial=0) < len(meaning):
            words[parts[0]] = meaning
    for name, values in list(columns_from_cloud(Cloud(cloud.positions, others)).items())[3:]:
        columns[free_name(name, columns)] = values
    ordered = [name for name in said["order"] if name in columns]
    return {name: columns[name] for name in [*ordered, *(n for n in columns if n not in set(ordered))]}, words
