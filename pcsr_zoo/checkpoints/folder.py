"""A trained model as a folder, laid out as its Hugging Face Hub repository: config.json, model.safetensors, README.md.

config.json has the sha256 of its weights, so a reader can check that both files belong together. Two files cannot be
replaced at once. Saving therefore writes the new configuration beside the old one, replaces the weights, then replaces
the old configuration. Whenever it is killed, one of the two configurations fits the weights, and loading uses that one.
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
from ..io.files import read_bytes, readable_file
from ..models.base import is_learned
from ..models.registry import registered_class
from .config import CONFIG, FORMAT, WEIGHTS, is_name, most_bytes, parse_config, to_json
from .untrusted_text import one_line
from .weights import as_dtype, fill, no_larger_than, pack

if TYPE_CHECKING:
    from ..models.base import Learned

_PENDING = "config.pending.json"
_ATTEMPTS = 3  # reads, while another process may replace the files


def is_checkpoint(path: str | PathLike[str]) -> bool:
    """Whether a path is a folder with a configuration. Nothing else is checked."""
    if path == "":  # pathlib takes it for the working directory
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
        folder: the folder; it is made if it does not exist. Other files in it are kept, README.md included: see
            `cards.card.save_with_card`.
        model: a model of a registered class.
        name: the checkpoint's name, as `load` and the Hub use it; by default, the model's name.
        about: facts that JSON can hold, such as license, data, seed, steps; `cards.card` lists their names.

    Returns:
        The content of config.json.

    Raises:
        OptionError: the class is not registered, or an argument, a fact or a weight cannot be saved.
        FileError: the folder or a file cannot be written. An older checkpoint stays valid.
    """
    kind: Any = type(model)
    folder, key, name = Path(folder), kind.name, name or str(model.name)  # type: ignore[attr-defined]
    if not is_name(name):
        raise OptionError(f"'{name}' is not a valid checkpoint name; use letters, digits, dots, dashes and underscores")
    try:
        known = registered_class(key) is kind
    except OptionError:
        known = False
    if not known:
        raise OptionError(f"{kind.__name__} is not registered as the model '{key}'; decorate it with @register_model")
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
    _finish(folder)  # complete a save that was killed, so that this one can be undone
    _write(folder / _PENDING, text)
    try:
        _write(folder / WEIGHTS, weights)
    except FileError:
        if not (folder / WEIGHTS).exists():  # a folder with a configuration looks like a checkpoint
            with contextlib.suppress(OSError):
                os.unlink(folder / _PENDING)
        raise
    try:
        os.replace(folder / _PENDING, folder / CONFIG)
    except OSError as error:
        raise FileError(f"cannot write {folder / CONFIG}: {error.strerror or error}; check the folder") from error
    return json.loads(text)


def load_checkpoint(folder: str | PathLike[str], *, dtype: Any = None) -> Any:
    """Load the model of a checkpoint folder onto the CPU, with its network in evaluation mode.

    The configuration is checked first, then the sha256 of the weights; the weights must match the network exactly.
    Nothing in the folder is executed.

    Args:
        folder: a folder with config.json and model.safetensors.
        dtype: the dtype of the network's floats, one of its class's `dtypes`, such as `torch.float32` or "float32"; by
            default, that of the file.

    Raises:
        FileError: a file is missing, broken, of another version, or does not match the other; the message names it.
        OptionError: the model does not compute in this dtype.
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
    """`checkpoint_class`; the class must have a network.

    Raises:
        FileError: the class has no network, or is not registered.
    """
    cls = checkpoint_class(folder, config)
    if not is_learned(cls):
        raise FileError(f"{Path(folder, CONFIG)}: '{config['model']}' has no network to load weights into")
    return cls


def check_arguments(folder: str | PathLike[str], config: Mapping[str, Any], cls: Any) -> None:
    """Check the names of the constructor arguments, before a model is made.

    Raises:
        FileError: the class does not take one of them.
    """
    try:
        inspect.signature(cls).bind(**config["arguments"])
    except TypeError as error:
        raise _misfit(folder, config, error) from error


def _untrained(folder: Path, config: Mapping[str, Any], cls: Any, weights: bytes) -> Any:
    import torch

    try:
        # the initial weights are random; drawing them must not change the caller's random state
        with no_larger_than(weights), torch.random.fork_rng(devices=[]):
            return cls(**config["arguments"])
    except Exception as error:  # classes raise anything for arguments of the wrong type
        raise _misfit(folder, config, error) from error


def _misfit(folder: str | PathLike[str], config: Mapping[str, Any], error: BaseException) -> FileError:
    reason = str(error) if isinstance(error, (PcsrError, TypeError)) else f"{type(error).__name__}: {error}"
    return FileError(
        f"{Path(folder, CONFIG)}: 'arguments': '{config['model']}' cannot be made with them: {one_line(reason)}; "
        "was it saved by another version of pcsr-zoo?"
    )


def read_config(folder: str | PathLike[str]) -> dict[str, Any]:
    """Read and check config.json of a checkpoint, without its weights.

    Raises:
        FileError: the file is missing, broken, or of another version.
    """
    _require_checkpoint(Path(folder))
    config, pending = Path(folder, CONFIG), Path(folder, _PENDING)
    return parse_config(pending if pending.is_file() and not config.is_file() else config)


def checkpoint_class(folder: str | PathLike[str], config: Mapping[str, Any]) -> Any:
    """The registered model class of a checkpoint. A configuration cannot name code to import.

    Raises:
        FileError: the class is not registered.
    """
    try:
        return registered_class(config["model"])
    except OptionError as error:
        raise FileError(
            f"{Path(folder, CONFIG)} needs the model class '{config['model']}', which is not registered ({error}); "
            "update pcsr-zoo. For a class of your own, import the module that registers it; for the command pcsr, set "
            "the environment variable PCSR_IMPORT=MODULE"
        ) from None


def write_about(folder: str | PathLike[str], about: dict[str, Any]) -> dict[str, Any]:
    """Replace "about" in config.json.

    Returns:
        The new content of config.json.

    Raises:
        FileError: config.json is missing or invalid, or cannot be written.
        OptionError: JSON cannot hold a fact.
    """
    text = to_json({**read_config(folder), "about": about})
    _write(Path(folder, CONFIG), text)
    return json.loads(text)


def weights_digest(model: Learned) -> str:
    """The sha256 that the model's present weights would have in a checkpoint."""
    return hashlib.sha256(pack(model.network)[0]).hexdigest()


def _require_checkpoint(folder: Path) -> None:
    """Raise a FileError that says what a checkpoint is, unless the folder is one."""
    if is_checkpoint(folder):
        return
    if folder.is_file():
        raise FileError(f"{folder} is a file; give the checkpoint's folder, which has {CONFIG} and {WEIGHTS}")
    what = " is not a checkpoint" if folder.is_dir() else ": no such folder"
    raise FileError(f"{folder}{what}; a checkpoint is a folder with {CONFIG} and {WEIGHTS}, such as pcsr train makes")


def _fitting(folder: Path) -> tuple[dict[str, Any], bytes]:
    """A configuration of the folder and the weights that match it."""
    for _ in range(_ATTEMPTS):
        config = read_config(folder)
        if (size := readable_file(folder / WEIGHTS).stat().st_size) > most_bytes(config):
            raise FileError(f"{folder / WEIGHTS} has {size:,} bytes, more than {CONFIG} says; get it again")
        weights = read_bytes(folder / WEIGHTS)
        found = hashlib.sha256(weights).hexdigest()
        if found == config["sha256"]:
            return config, weights
        with contextlib.suppress(FileError):  # a save was killed, or is in progress
            config = parse_config(folder / _PENDING)
            if found == config["sha256"]:
                return config, weights
    if weights.startswith(b"version https://git-lfs."):
        raise FileError(f"{folder / WEIGHTS} is a Git LFS pointer, not the weights; in that clone, run: git lfs pull")
    raise FileError(
        f"{folder / WEIGHTS} does not match {CONFIG} (sha256 {found[:12]}… instead of "
        f"{config['sha256'][:12]}…): it is damaged, or belongs to another checkpoint; get or save the checkpoint again"
    )


def _finish(folder: Path) -> None:
    """If an earlier save was killed after it replaced the weights, replace the configuration, too."""
    with contextlib.suppress(FileError, OSError):
        found = hashlib.sha256(read_bytes(folder / WEIGHTS)).hexdigest()
        if parse_config(folder / _PENDING)["sha256"] == found:
            os.replace(folder / _PENDING, folder / CONFIG)


def _write(path: Path, content: bytes) -> None:
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)
