"""Any data set of Open3D-ML's kind: its splits, items and results, with clear errors whatever its class does."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import CloudError, OptionError, PcsrError
from ..io import write
from .bases import ROOT
from .convert import result_cloud


def get_split(dataset: Any, split: str) -> Any:
    """A split of a data set, whatever its class.

    Raises:
        OptionError: the data set has no such split.
    """
    try:
        return dataset.get_split(split)
    except PcsrError:
        raise
    except Exception as error:  # a foreign class may raise anything
        raise OptionError(f"{_fault(dataset, f'get_split({split!r})', error)}") from error


def read_item(dataset: Any, split: Any, index: int) -> tuple[str, Any, dict[str, Any]]:
    """The name of an item, its attributes, and its data, whatever the class of the data set.

    Raises:
        CloudError: the item has no points.
        PcsrError: the item cannot be read; the message names it.
    """
    name = f"item {index}"
    try:
        attr = split.get_attr(index)
        name = str((attr.get("name") if isinstance(attr, Mapping) else None) or index).replace("/", "_")
        data = split.get_data(index)
    except PcsrError as error:
        raise type(error)(f"{name}: {error}") from error
    except Exception as error:  # a foreign class may raise anything
        raise OptionError(f"{name}: {_fault(dataset, 'get_data', error)}") from error
    if not isinstance(data, Mapping) or data.get("point") is None:
        keys = ", ".join(map(str, data)) if isinstance(data, Mapping) else type(data).__name__
        raise CloudError(
            f"{name}: get_data of {type(dataset).__name__} must return a dict with 'point'; it has: {keys}"
        )
    return name, attr, dict(data)


def save_result(dataset: Any, result: dict[str, Any], name: str, attr: Any) -> None:
    """Store a result by the data set's own `save_test_result`.

    The classes of Open3D-ML itself can only store labels: their results are written to
    <test_result_folder>/<data set>/<item>.ply.

    Raises:
        FileError: it cannot be written.
        OptionError: `save_test_result` of a foreign class raised something.
    """
    own = getattr(type(dataset), "save_test_result", None)
    if own is None or (own.__module__ or "").partition(".")[0] == ROOT.partition(".")[0]:
        folder = Path(dataset.cfg.get("test_result_folder") or "./test", dataset.name)
        folder.mkdir(parents=True, exist_ok=True)
        write(result_cloud(result), folder / f"{name}.ply")
        return
    try:
        dataset.save_test_result(result, attr)
    except PcsrError:
        raise
    except Exception as error:  # a foreign class may raise anything
        has = f"; the result has the keys {', '.join(result)}"
        raise OptionError(f"{_fault(dataset, 'save_test_result', error)}{has}") from error


def _fault(dataset: Any, method: str, error: Exception) -> str:
    return f"{method} of the data set {type(dataset).__name__} failed: {type(error).__name__}: {error}"
