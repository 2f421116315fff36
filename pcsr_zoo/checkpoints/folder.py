"""A trained model as a folder, laid out as its Hugging Face Hub repository: config.json, model.safetensors, README.md.

config.json names the sha256 of the weights that it belongs to, so a reader can tell whether the two fit. They are two
files and cannot be replaced at once. Saving therefore puts the new configuration down beside the old one first, then
replaces the weights, then the old configuration: whenever it is killed, one of the configurations fits the weights,
and loading takes that one.
"""

from __future__ import annotations

import contextlib
import hashlib
import inspect
import json
import os
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import FileError, OptionError, PcsrError
from ..io.atomic import atomic_path
from ..io.files import read_bytes
from ..models.base import is_learned
from ..models.registry import registered_class
from .config import CONFIG, FORMAT, WEIGHTS, is_name, parse_config, to_json
from .untrusted_text import one_line
from .weights import as_dtype, fill, no_larger_than, pack

if TYPE_CHECKING:
    from ..models.base import Learned

_PENDING = "config.pending.json"
_ATTEMPTS = 3  # a reader may come between a writer's replacements, hardly ever thrice


def is_checkpoint(path: str | PathLike[str]) -> bool:
    """Whether `path` is a folder with a configuration; nothing else is looked at."""
    if path == "":  # which pathlib takes for the working directory
        return False
    try:
        return Path(path, CONFIG).is_file() or Path(path, _PENDING).is_file()
    except (OSError, ValueError):  # such as a name with a null character
        return False


def save_checkpoint(
    folder: str | PathLike[str], model: Learned, *, name: str | None = None, **about: Any
) -> dict[str, Any]:
    """Write a model with its weights; an older checkpoint in the folder is replaced.

    Args:
        folder: made if it is not there. Other files in it are left alone.
        model: of a class that the registry knows, or `load_checkpoint` would not find it.
        name: of the checkpoint, as `load` and the Hub would call it; the model's own by default.
        about: facts that JSON can hold: license, data, seed, steps, hours, hardware, ...; see `cards` for their names.

    Returns:
        What config.json says. README.md is left alone, see `cards.card.save_with_card`.

    Raises:
        OptionError: the class is not registered, or an argument, a fact or a weight cannot be saved.
        FileError: the folder or a file cannot be written; an older checkpoint is as good as before.
    """
    kind: Any = type(model)
    folder, key, name = Path(folder), kind.name, name or str(model.name)  # type: ignore[attr-defined]
    if not is_name(name):
        raise OptionError(f"'{name}' is no name for a checkpoint; use letters, digits, dots, dashes and underscores")
    try:
        known = registered_class(key) is kind
    except OptionError:
        known = False
    if not known:
        raise OptionError(f"the registry does not know {kind.__name__} as '{key}': decorate it with @register_model")
    weights, parameters = pack(model.network)
    config = {
        "format": FORMAT,
        "name": name,
        "model": key,
        "arguments": model.arguments,
        "parameters": parameters,
        "sha256": hashlib.sha256(weights).hexdigest(),
        "about": about,
    }
    text = to_json(config)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"cannot make the folder {folder}: {error.strerror or error}; choose another") from error
    _finish(folder)  # what a kill left half-way, or this save could not be undone either
    _write(folder / _PENDING, text)
    try:
        _write(folder / WEIGHTS, weights)
    except FileError:
        if not (folder / WEIGHTS).exists():  # or the folder would pass for a checkpoint
            with contextlib.suppress(OSError):
                os.unlink(folder / _PENDING)
        raise
    try:
        os.replace(folder / _PENDING, folder / CONFIG)
    except OSError as error:
        raise FileError(f"cannot write {folder / CONFIG}: {error.strerror or error}; check the folder") from error
    return json.loads(text)


def load_checkpoint(folder: str | PathLike[str], *, dtype: Any = None) -> Any:
    """The model that `save_checkpoint` wrote, on the CPU, its network in evaluation mode.

    The configuration is checked before a class is looked up, the weights against their sha256, and they must fit the
    network exactly. Nothing in the folder is executed.

    Args:
        folder: with config.json and model.safetensors.
        dtype: of the network's floats, one of its class's `dtypes` such as `torch.float32` or "float32"; by default
            that of the file.

    Raises:
        FileError: a file is missing, broken, of another version, or does not fit the others; the message names it.
        OptionError: the model does not compute in that dtype.
    """
    folder = Path(folder)
    config, weights = _fitting(folder)
    cls = trained_class(folder, config)
    wanted = as_dtype(dtype, cls)
    check_arguments(folder, config, cls)
    model = _untrained(folder, config, cls, weights)
    fill(model.network, weights, folder / WEIGHTS)
    model.network.eval()
    model.trained = True
    if wanted is not None:
        model.network.to(wanted)
    if config["name"] != cls.name:
        model.name = config["name"]
    return model


def trained_class(folder: str | PathLike[str], config: Mapping[str, Any]) -> Any:
    """`checkpoint_class`, which must have a network.

    Raises:
        FileError: it has none, or the registry does not know it.
    """
    cls = checkpoint_class(folder, config)
    if not is_learned(cls):
        raise FileError(f"{Path(folder, CONFIG)}: '{config['model']}' has no network to load weights into")
    return cls


def check_arguments(folder: str | PathLike[str], config: Mapping[str, Any], cls: Any) -> None:
    """Refuse arguments that the class does not have, before anything is built.

    Raises:
        FileError: there is one.
    """
    try:
        inspect.signature(cls).bind(**config["arguments"])
    except TypeError as error:
        raise _misfit(folder, config, error) from error


def _untrained(folder: Path, config: Mapping[str, Any], cls: Any, weights: bytes) -> Any:
    import torch

    try:
        # untrained weights are drawn, which is nobody's business
        with no_larger_than(weights), torch.random.fork_rng(devices=[]):
            return cls(**config["arguments"])
    except Exception as error:  # whatever a class says to arguments of the wrong kind
        raise _misfit(folder, config, error) from error


def _misfit(folder: str | PathLike[str], config: Mapping[str, Any], error: BaseException) -> FileError:
    reason = str(error) if isinstance(error, (PcsrError, TypeError)) else f"{type(error).__name__}: {error}"
    return FileError(
        f"{Path(folder, CONFIG)}: 'arguments' do not make a '{config['model']}': {one_line(reason)}; "
        "was it saved by another version of pcsr-zoo?"
    )


def read_config(folder: str | PathLike[str]) -> dict[str, Any]:
    """What config.json says, its form checked, without a look at the weights.

    Raises:
        FileError: it is missing, broken, or of another version.
    """
    _require_checkpoint(Path(folder))
    config, pending = Path(folder, CONFIG), Path(folder, _PENDING)
    return parse_config(pending if pending.is_file() and not config.is_file() else config)


def checkpoint_class(folder: str | PathLike[str], config: Mapping[str, Any]) -> Any:
    """The model class that the checkpoint of `read_config` needs: one of the registry, never a path to import.

    Raises:
        FileError: the registry does not know it.
    """
    try:
        return registered_class(config["model"])
    except OptionError as error:
        raise FileError(
            f"{Path(folder, CONFIG)} needs the model class '{config['model']}', which is not known here ({error}); "
            "update pcsr-zoo, or, if it is one of your own, import the module that registers it, for the command pcsr "
            "by the environment variable PCSR_IMPORT=MODULE"
        ) from None


def write_about(folder: str | PathLike[str], about: dict[str, Any]) -> dict[str, Any]:
    """Replace the facts in config.json, and nothing else; returns the whole of it.

    Raises:
        FileError: there is no good config.json, or it cannot be written.
        OptionError: JSON cannot hold a fact.
    """
    text = to_json({**read_config(folder), "about": about})
    _write(Path(folder, CONFIG), text)
    return json.loads(text)


def weights_digest(model: Learned) -> str:
    """The sha256 that the model's weights, as they are now, would have in a checkpoint."""
    return hashlib.sha256(pack(model.network)[0]).hexdigest()


def _require_checkpoint(folder: Path) -> None:
    """Say what a checkpoint is where there is none."""
    if is_checkpoint(folder):
        return
    if folder.is_file():
        raise FileError(f"{folder} is a file; name the checkpoint's folder, with {CONFIG} and {WEIGHTS} in it")
    what = " is no checkpoint" if folder.is_dir() else ": no such folder"
    raise FileError(f"{folder}{what}; a checkpoint is a folder with {CONFIG} and {WEIGHTS} in it, as pcsr train makes")


def _fitting(folder: Path) -> tuple[dict[str, Any], bytes]:
    """A configuration of the folder and the weights that it names."""
    for _ in range(_ATTEMPTS):
        config = read_config(folder)
        weights = read_bytes(folder / WEIGHTS)
        found = hashlib.sha256(weights).hexdigest()
        if found == config["sha256"]:
            return config, weights
        with contextlib.suppress(FileError):  # a writer was killed, or has just gone on
            config = parse_config(folder / _PENDING)
            if found == config["sha256"]:
                return config, weights
    if weights.startswith(b"version https://git-lfs."):
        raise FileError(
            f"{folder / WEIGHTS} is only Git LFS's pointer to the weights; in that clone, run: git lfs pull"
        )
    raise FileError(
        f"{folder / WEIGHTS} is not the file that {CONFIG} belongs to (sha256 {found[:12]}… instead of "
        f"{config['sha256'][:12]}…): it is damaged or from another checkpoint; get or save the checkpoint again"
    )


def _finish(folder: Path) -> None:
    """If an earlier save was killed after it had replaced the weights: replace the configuration too."""
    with contextlib.suppress(FileError, OSError):
        found = hashlib.sha256(read_bytes(folder / WEIGHTS)).hexdigest()
        if parse_config(folder / _PENDING)["sha256"] == found:
            os.replace(folder / _PENDING, folder / CONFIG)


def _write(path: Path, content: bytes) -> None:
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)
