"""Resolution of names: `resolve` finds the model of a name, a path, an address on the Hub or an object."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from os import PathLike
from pathlib import Path
from typing import Any

from .checkpoints.address import Address, is_address
from .checkpoints.config import WEIGHTS
from .checkpoints.fetch import Transfer, cached, fetch
from .checkpoints.folder import checkpoint_class, is_checkpoint, read_config, weights_digest
from .checkpoints.shipped import bundled, described, pinned
from .errors import FileError, OptionError, suggestion
from .models.base import is_learned, tasks_of
from .models.registry import is_registered, model_names, registered_class, without_alias

Name = str | PathLike[str] | Address


@dataclass(frozen=True)
class Resolved:
    """The result of `resolve`.

    Attributes:
        name: name of the checkpoint or of the model class.
        kind: "checkpoint" (weights in a folder), "model" (a class that has no weights, or only random ones), or
            "object" (a model object that the caller made).
        model_class: the model class.
        folder: the folder with the checkpoint's config.json, else None. `with_weights` downloads weights that are only
            on the Hub.
        config: the contents of the checkpoint's config.json, else None.
        address: the address on the Hub, with its commit, of a checkpoint that was named by address, else None.
        where: the place of the checkpoint: "package", "cache", "Hub" or "folder"; "" for other kinds.
        model: the model object of kind "object", else None.
    """

    name: str
    kind: str
    model_class: Any
    folder: Path | None = None
    config: Mapping[str, Any] | None = None
    address: Address | None = None
    where: str = ""
    model: Any = None

    @property
    def tasks(self) -> tuple[str, ...]:
        """The tasks it can do: some of "sample", "upsample" and "recover"."""
        return tasks_of(self.model_class)

    @property
    def ratio(self) -> float | None:
        """The ratio that it was trained for; None if it works at any ratio or is not trained."""
        if self.config is not None:
            ratio = self.config["arguments"].get("ratio")
        else:
            ratio = getattr(self.model, "ratio", None)
        return float(ratio) if isinstance(ratio, (int, float)) else None

    @property
    def weights(self) -> str | None:
        """ "sha256:..." of its weights, for an object of its current weights; None if it has no weights."""
        if self.config is not None:
            return f"sha256:{self.config['sha256']}"
        return f"sha256:{weights_digest(self.model)}" if self.model is not None and is_learned(self.model) else None

    @property
    def untrained(self) -> bool:
        """Whether it has a network with random weights."""
        trained = self.config is not None or getattr(self.model, "trained", False)
        return is_learned(self.model_class) and not trained

    def with_weights(self, transfer: Transfer | None = None) -> Path:
        """The folder with the checkpoint's weights; they are downloaded if they are not on this machine.

        Raises:
            FileError: it is not a checkpoint, or its weights cannot be downloaded.
        """
        if self.folder is None:
            raise FileError(f"'{self.name}' has no weights: it needs none, or no checkpoint of it is published")
        if self.where in ("cache", "Hub") and self.address is None:
            return fetch(pinned()[self.name], transfer, expected=self.config)
        return self.folder


def list_models(pattern: str = "*") -> list[str]:
    """Sorted names of the model classes and checkpoints of this version that match a pattern like `pointlie*`."""
    names = {*model_names(), *bundled(), *described()}
    return sorted(name for name in names if fnmatchcase(name, pattern))


def checkpoints_of(model_class: Any) -> list[Resolved]:
    """The named checkpoints of a model class, by ratio and name."""
    found = (resolve(name, paths=False) for name in list_models())
    own = [one for one in found if one.kind == "checkpoint" and one.model_class is model_class]
    return sorted(own, key=lambda one: (one.ratio or 0, one.name))


def resolve(name: Any, *, transfer: Transfer | None = None, paths: bool = True) -> Resolved:
    """Find the model of a name. Weights are not read; only checkpoints named by address are downloaded.

    Args:
        name: one of the following, tried in this order: a model object or class; a path or a string that is the
            folder of a checkpoint; "hf:owner/repo" or "hf:owner/repo@revision", a checkpoint on the Hub, which is
            downloaded; a class added by `register_model`; a checkpoint of this version; a model class.
        transfer: settings of downloads from the Hub.
        paths: False: strings are names only, even if a folder has that name.

    Raises:
        OptionError: the name is unknown; the message suggests similar names.
        FileError: the checkpoint's configuration cannot be read or downloaded.
    """
    if not isinstance(name, (str, PathLike, Address)):
        return _of_object(name)
    if isinstance(name, PathLike) or (isinstance(name, str) and paths and is_checkpoint(name)):
        return _checkpoint(Path(name), "folder")
    if is_address(name):
        address = name if isinstance(name, Address) else Address.parse(str(name))
        folder = fetch(address, transfer)
        return _checkpoint(folder, "cache", address.at(folder.name))
    name = str(name)
    if not is_registered(name):
        name = without_alias(name)
        if name in bundled():
            return _checkpoint(bundled()[name], "package")
        if name in described():
            return _checkpoint(described()[name], "cache" if cached(pinned()[name]) else "Hub")
    if name in model_names():
        return Resolved(name, "model", registered_class(name))
    looks_like_a_path = any(mark in name for mark in "/\\") or name.startswith((".", "~")) or os.path.exists(name)
    if paths and looks_like_a_path:
        return _checkpoint(Path(name), "folder")
    raise OptionError(f"unknown model '{name}'; {suggestion(name, list_models())}")


def _checkpoint(folder: Path, where: str, address: Address | None = None) -> Resolved:
    config = read_config(folder)
    return Resolved(config["name"], "checkpoint", checkpoint_class(folder, config), folder, config, address, where)


def _of_object(model: Any) -> Resolved:
    if not tasks_of(model):
        raise OptionError(f"{model!r} is not a model; give a name, the folder of a checkpoint, or a model object")
    if isinstance(model, type):
        return Resolved(model.name, "model", model)  # type: ignore[attr-defined]
    return Resolved(model.name, "object", type(model), model=model)


def model_info(name: Name, *, paths: bool = True) -> dict[str, Any]:
    """Facts about a model, as `pcsr models` prints them.

    Nothing is downloaded for names of this version.

    Returns:
        A dictionary with name, tasks, kind, summary, source, ratio (the trained ratio, None for any) and ratios (those
        that the class declares; empty for any). A checkpoint adds parameters, weights ("sha256:..."), bytes, license,
        where ("package", "cache", "Hub" or "folder"), best (see `cards.measured.best_row`) and, if it is on the Hub,
        repository. A class with random weights adds where = "untrained".

    Raises:
        OptionError: see `resolve`.
        FileError: see `resolve`.
    """
    found = resolve(name, paths=paths)
    cls, config = found.model_class, found.config
    row = {"name": found.name, "tasks": list(found.tasks), "kind": cls.kind, "summary": cls.summary}
    row |= {"source": cls.source, "ratio": found.ratio, "ratios": list(cls.ratios)}
    if config is None or found.folder is None:
        return {**row, "where": "untrained"} if found.untrained else row
    from .cards.measured import best_row  # which imports all tasks of the benchmark

    weights, about = found.folder / WEIGHTS, config["about"]
    row |= {
        "summary": about.get("summary") or cls.summary,
        "parameters": config["parameters"],
        "weights": found.weights,
        "bytes": weights.stat().st_size if weights.is_file() else 4 * config["parameters"],
        "license": about.get("license"),
        "where": found.where,
        "best": best_row(about.get("measured") or [], config["name"]),
    }
    address = found.address or (pinned().get(found.name) if found.where != "folder" else None)
    return row | ({"repository": str(address)} if address else {})
