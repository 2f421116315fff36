"""Names resolved once: every part of the package asks `resolve` what a name, a path, an address or an object means."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from os import PathLike
from pathlib import Path
from typing import Any

from .cards.measured import best_row
from .checkpoints.address import Address, is_address
from .checkpoints.config import WEIGHTS
from .checkpoints.fetch import Transfer, cached, fetch
from .checkpoints.folder import checkpoint_class, is_checkpoint, read_config, weights_digest
from .checkpoints.shipped import bundled, described, pinned
from .errors import FileError, OptionError, suggestion
from .models.base import is_learned, tasks_of
from .models.registry import is_registered, model_names, registered_class

Name = str | PathLike[str] | Address


@dataclass(frozen=True)
class Resolved:
    """What a name means.

    Attributes:
        name: of the checkpoint or of the model class.
        kind: "checkpoint" (weights in a folder), "model" (a class that needs none, or has only random ones), or
            "object" (a model object that the caller made).
        model_class: the class behind it.
        folder: of a checkpoint: where its config.json is. Weights that are only on the Hub are fetched by `weights`.
        config: of a checkpoint: what its config.json says.
        address: of a checkpoint that was named by an address: that address, at the commit that was found.
        where: of a checkpoint: "package", "cache", "Hub" or "folder".
        model: of an object: that object.
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
        """What it does, of "sample", "upsample" and "recover"."""
        return tasks_of(self.model_class)

    @property
    def ratio(self) -> float | None:
        """The ratio that it was trained for; None for any."""
        if self.config is not None:
            ratio = self.config["arguments"].get("ratio")
        else:
            ratio = getattr(self.model, "ratio", None)
        return float(ratio) if isinstance(ratio, (int, float)) else None

    @property
    def weights(self) -> str | None:
        """ "sha256:..." of its weights (those of an object as they are now); None where there are none."""
        if self.config is not None:
            return f"sha256:{self.config['sha256']}"
        return f"sha256:{weights_digest(self.model)}" if self.model is not None and is_learned(self.model) else None

    @property
    def untrained(self) -> bool:
        """Whether it has a network with random weights only."""
        trained = self.config is not None or getattr(self.model, "trained", False)
        return is_learned(self.model_class) and not trained

    def with_weights(self, transfer: Transfer | None = None) -> Path:
        """The folder with the checkpoint's weights, which are fetched if they are not on this machine.

        Raises:
            FileError: it is not a checkpoint, or its weights cannot be had.
        """
        if self.folder is None:
            raise FileError(f"'{self.name}' has no weights: the model needs none, or no checkpoint of it is published")
        if self.where in ("cache", "Hub") and self.address is None:
            return fetch(pinned()[self.name], transfer, expected=self.config)
        return self.folder


def list_models(pattern: str = "*") -> list[str]:
    """The names of all model classes and of the checkpoints of this package that match a pattern like `pointlie*`."""
    names = {*model_names(), *bundled(), *described()}
    return sorted(name for name in names if fnmatchcase(name, pattern))


def resolve(name: Any, *, transfer: Transfer | None = None, paths: bool = True) -> Resolved:
    """What a name means; weights are not read, and those of this package's names are not fetched.

    Args:
        name: in this order: a model object or class; a path or a string that is the folder of a checkpoint;
            "hf:owner/repo" or "hf:owner/repo@revision", a checkpoint on the Hub, which is fetched; a class added by
            `register_model`; a checkpoint of this package; a model class.
        transfer: how files come from the Hub.
        paths: False: only names, whatever folders there are.

    Raises:
        OptionError: nothing has that name; the message suggests what may have been meant.
        FileError: the checkpoint's configuration cannot be read, or cannot be had from the Hub.
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
        if name in bundled():
            return _checkpoint(bundled()[name], "package")
        if name in described():
            return _checkpoint(described()[name], "cache" if cached(pinned()[name]) else "Hub")
    if name in model_names():
        return Resolved(name, "model", registered_class(name))
    looks_like_a_path = any(mark in name for mark in "/\\") or name.startswith((".", "~")) or os.path.exists(name)
    if paths and looks_like_a_path:
        return _checkpoint(Path(name), "folder")
    raise OptionError(f"no model is called '{name}'; {suggestion(name, list_models())}")


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
    """What `pcsr models` shows of a model: name, tasks, kind, summary, source and ratio (None for any).

    Of a checkpoint also parameters, weights (their sha256), bytes, license, where ("package", "cache", "Hub",
    "folder"), best (see `cards.measured.best_row`) and, where it is on the Hub, repository. Nothing is fetched for the
    names of this package.

    Raises:
        OptionError, FileError: see `resolve`.
    """
    found = resolve(name, paths=paths)
    cls, config = found.model_class, found.config
    row = {"name": found.name, "tasks": list(found.tasks), "kind": cls.kind, "summary": cls.summary}
    row |= {"source": cls.source, "ratio": found.ratio}
    if config is None or found.folder is None:
        return {**row, "where": "untrained"} if found.untrained else row
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
