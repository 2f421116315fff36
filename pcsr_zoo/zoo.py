"""`load` gives a model that is ready to use; `upsample`, `sample` and `recover` are its verbs as functions.

Every verb takes a Cloud, numpy or torch (N, 3) or (N, 3 + C), a legacy or tensor Open3D cloud, or a path, and gives
back the kind that it was given (a Cloud for a path).
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from .cards.card import render_card, save_with_card
from .catalog import Resolved, list_models, resolve
from .checkpoints.address import Address, is_address
from .checkpoints.fetch import Transfer, cached
from .checkpoints.folder import load_checkpoint, weights_digest
from .checkpoints.push import plan_push, push
from .checkpoints.weights import as_dtype
from .devices import as_device
from .errors import FileError, OptionError
from .io import open_cloud
from .io.recovery_note import KEY, note_of
from .models.base import Progress, is_learned
from .pipelines import recovery, resample

__all__ = ["LoadedModel", "list_models", "load", "recover", "sample", "upsample"]

RECOVERER = "jetnet"  # recovers what a plain sampler selected


class LoadedModel:
    """A model that is ready to use, with all that is known of it.

    Attributes:
        model: the object of the model class.
        resolved: what its name meant, see `catalog.resolve`.
        device: where it computes, such as "cuda"; a call may say otherwise.
    """

    def __init__(self, model: Any, resolved: Resolved, device: str = "cpu") -> None:
        self.model, self.resolved, self.device = model, resolved, device

    def __repr__(self) -> str:
        return f"LoadedModel({self.name!r}, {', '.join(self.tasks)})"

    @property
    def name(self) -> str:
        """The name of the checkpoint, or of the model class."""
        return self.resolved.name

    @property
    def tasks(self) -> tuple[str, ...]:
        """What it does, of "sample", "upsample" and "recover"."""
        return self.resolved.tasks

    @property
    def ratio(self) -> float | None:
        """The ratio that it was trained for; None for any."""
        ratio = getattr(self.model, "ratio", None)
        return None if ratio is None else float(ratio)

    @property
    def config(self) -> Mapping[str, Any] | None:
        """config.json of the checkpoint; None for a model without one."""
        return self.resolved.config

    @property
    def weights(self) -> str | None:
        """ "sha256:..." of the weights as they are now; None for a model without a network."""
        return f"sha256:{weights_digest(self.model)}" if is_learned(self.model) else None

    # -- the verbs ----------------------------------------------------------------------------------------------------

    def upsample(self, x: Any, ratio: float | None = 4, *, device: str | None = None, **options: Any) -> Any:
        """A denser cloud; see `pcsr_zoo.upsample`."""
        self._require("upsample")
        cloud, back = open_cloud(x)
        return back(resample.upsample(cloud, ratio, model=self.model, device=self._at(device), **options))

    def sample(self, x: Any, ratio: float | None = None, *, device: str | None = None, **options: Any) -> Any:
        """A thinner cloud; see `pcsr_zoo.sample`."""
        self._require("sample")
        cloud, back = open_cloud(x)
        few = resample.sample(cloud, ratio, model=self.model, device=self._at(device), **options)
        few.metadata[KEY] = self._note(len(cloud), len(few), options.get("bits"))
        return back(few)

    def recover(self, x: Any, ratio: float | None = None, *, device: str | None = None, **options: Any) -> Any:
        """The dense cloud that a sampled one stands for; see `pcsr_zoo.recover`."""
        self._require("recover")
        cloud, back = open_cloud(x)
        found = recovery.recover(cloud, ratio, model=self.model, device=self._at(device), **options)
        return [back(dense) for dense in found] if isinstance(found, list) else back(found)

    def _require(self, task: str) -> None:
        if task not in self.tasks:
            other = "upsample" if task == "sample" else "sample"
            raise OptionError(f"'{self.name}' does not {task}; use it with {other}")

    def _at(self, device: str | None) -> str:
        return self.device if device is None else as_device(device)

    def _note(self, size: int, sampled: int, bits: int | None) -> dict[str, Any]:
        """What the sample remembers, see `io.recovery_note`."""
        own, address = "recover" in self.tasks, self.resolved.address
        recoverer = self if own else resolve(RECOVERER, paths=False)
        weights = recoverer.weights
        note = {"model": recoverer.name, "weights": weights, "points": size, "sampled": sampled, "sampler": self.name}
        if own and address is not None and weights == self.resolved.weights:  # not if they were changed since
            note["address"] = str(address)
        return note if bits is None else {**note, "bits": bits}

    # -- saving -------------------------------------------------------------------------------------------------------

    def save(self, folder: str | PathLike[str], *, name: str | None = None, **facts: Any) -> Path:
        """Write config.json, model.safetensors and the card to a folder, atomically.

        Facts of the checkpoint that the model was loaded from are kept while its weights are the same. A model with
        other weights keeps the license and remembers its parent.

        Args:
            folder: made if it does not exist; an older checkpoint in it is replaced.
            name: of the checkpoint; by default this one's, with "-modified" added where the weights were changed.
            facts: for config.json and the card, such as license="MIT"; see `cards.card`.

        Returns:
            The folder.

        Raises:
            OptionError: the model has no network, or a fact or a weight cannot be saved.
            FileError: the folder or a file cannot be written.
        """
        return self._save(folder, name, facts, None)

    def push(
        self,
        to: str,
        *,
        message: str | None = None,
        private: bool | None = None,
        token: str | bool | None = None,
        **facts: Any,
    ) -> str:
        """Publish the model on the Hugging Face Hub, as one commit.

        Args:
            to: "owner/repo" or "owner/repo@branch"; made if it does not exist.
            message: of the commit.
            private: of a repository that is made.
            token: by default the one that is logged in.
            facts: see `save`.

        Returns:
            The commit, 40 hexadecimal digits, at which `load("hf:owner/repo@COMMIT")` always finds these weights.

        Raises:
            OptionError, FileError: see `save`; the Hub refuses, or cannot be reached.
        """
        address = Address.parse(to)
        with tempfile.TemporaryDirectory(prefix="pcsr-") as scratch:
            folder = self._save(scratch, None, facts, str(address))
            return push(
                plan_push(folder, address, render_card, token=token), message=message, private=private, token=token
            )

    def _save(self, folder: Any, name: str | None, facts: Mapping[str, Any], address: str | None) -> Path:
        if not is_learned(self.model):
            raise OptionError(f"'{self.name}' has no network, so there is nothing to save")
        changed = self.config is not None and self.weights != self.resolved.weights
        name = name or (f"{self.name}-modified" if changed else self.name)
        return save_with_card(folder, self.model, name=name, address=address, **{**self._facts(), **facts})

    def _facts(self) -> dict[str, Any]:
        config = self.config
        if config is None:
            return {}
        about = dict(config["about"])
        if self.weights == self.resolved.weights:
            return about
        kept = {key: about[key] for key in ("license", "paper", "ours") if key in about}
        return {**kept, "parent": config["name"], "parent_sha256": config["sha256"]}


def load(
    name: Any,
    *,
    device: Any = None,
    dtype: Any = None,
    transfer: Transfer | None = None,
    allow_untrained: bool = False,
) -> LoadedModel:
    """A model, ready to use: `load("jet").upsample(points, 4)`, `load("runs/mine").upsample(points, 4)`.

    Args:
        name: a name (see `list_models`), the folder of a checkpoint, "hf:owner/repo" or "hf:owner/repo@revision" on
            the Hugging Face Hub, or a model object, in the order of `catalog.resolve`. A `LoadedModel` comes back as it
            is.
        device: where it computes, such as "cuda"; by default the CPU.
        dtype: of a network's floats, one of its class's `dtypes`; by default float32.
        transfer: how files come from the Hub, see `checkpoints.fetch`; by default as everywhere.
        allow_untrained: accept a network with random weights, for trials.

    Weights are checked against their sha256 each time. Nothing that is loaded is executed: only config.json and
    model.safetensors are read.

    Raises:
        OptionError: no such model, device or dtype; or the model has random weights only.
        FileError: no checkpoint at that path or address, or a broken one; the message says what to do.
    """
    if isinstance(name, LoadedModel):
        return _placed(name, device, dtype)
    found = name if isinstance(name, Resolved) else resolve(name, transfer=transfer)
    if found.kind == "checkpoint":
        try:
            model = load_checkpoint(found.with_weights(transfer))
        except FileError as error:
            if found.address is not None:  # the folder is somewhere in a cache
                raise FileError(f"{found.address}: {error}") from None
            raise
    else:
        if found.untrained and not allow_untrained:
            raise OptionError(_untrained(found))
        model = found.model if found.kind == "object" else found.model_class()
    return _placed(LoadedModel(model, found), device, dtype)


def _untrained(found: Resolved) -> str:
    others = (resolve(name, paths=False) for name in list_models(f"{found.name}-*"))
    trained = [other.name for other in others if other.config is not None and other.model_class is found.model_class]
    instead = f"use {' or '.join(trained)}, or " if trained else ""
    return (
        f"'{found.name}' has random weights only: {instead}name the folder of a checkpoint (-m FOLDER); for trials in "
        "Python: load(..., allow_untrained=True)"
    )


def _placed(loaded: LoadedModel, device: Any, dtype: Any) -> LoadedModel:
    """The model where it is to compute, and in which floats."""
    learned = is_learned(loaded.model)
    if dtype is not None:
        if not learned:
            raise OptionError(f"dtype: '{loaded.name}' has no network, so no dtype can be chosen; leave it out")
        loaded.model.network.to(as_dtype(dtype, type(loaded.model)))
    if device is not None:
        loaded.device = as_device(device)
        if learned:
            loaded.model.network.to(loaded.device)
    return loaded


def upsample(
    x: Any,
    ratio: float | None = 4,
    *,
    n: int | None = None,
    model: Any = "jetnet",
    seed: int = 0,
    device: str | None = None,
    keep_input: bool | None = None,
    noise: float | None = None,
    progress: Progress | None = None,
) -> Any:
    """A denser cloud of exactly round(ratio N) points, or of exactly n.

    Args:
        x: Cloud, numpy or torch (N, 3) or (N, 3 + C), legacy or tensor Open3D cloud, or a path.
        ratio: how many times denser, at least 1; any number. Ratios above the model's `max_step` take several steps.
        n: the count instead of a ratio, at least N.
        model: what `load` takes.
        seed: of everything drawn at random.
        device: where a model computes, e.g. `cpu`, `cuda`, `cuda:1`; by default where `load` was told to, else the CPU.
        keep_input: True keeps the input points, in their order, as the first N of the result; False moves them onto
            the estimated surface too. By default they are kept unless the cloud is judged noisy.
        noise: of the input, in units of its point spacing; 0 for clean. By default it is estimated.
        progress: called with (stage, fraction).

    Returns:
        The kind that was given (a path gives a Cloud). Attributes travel, see `geometry.transfer`.

    Raises:
        CloudError: the cloud is empty, not finite, or has fewer distinct points than the model needs.
        OptionError: an argument makes no sense.
    """
    options = {"seed": seed, "keep_input": keep_input, "noise": noise, "progress": progress}
    return load(model).upsample(x, ratio, n=n, device=device, **options)


def sample(
    x: Any,
    ratio: float | None = None,
    *,
    n: int | None = None,
    model: Any = "fps",
    seed: int = 0,
    device: str | None = None,
    snap: bool = False,
    bits: int | None = None,
    progress: Progress | None = None,
) -> Any:
    """Exactly round(N / ratio) points (at least 1), or exactly n, that stand for the cloud, with their attributes.

    A Cloud, and the file that it is written to, remembers what recovers it: see `io.recovery_note` and `recover`.

    Args:
        x, model, seed, device, progress: as those of `upsample`.
        ratio: how many times thinner, at least 1; by default what a model that recovers was trained for.
        n: the count instead of a ratio, at most N.
        snap: only points of the input, also from a model that would move them. What moves takes its attributes from
            the input points around it.
        bits: put the positions onto a grid of 2^bits steps over their bounding cube, 1 to 24, and order them along a
            space-filling curve, as LAZ and other coders like it. Points that fall together stay.

    Raises:
        CloudError: the cloud is empty or not finite, or the model gives another number of points than it was asked for.
        OptionError: an argument makes no sense.
    """
    options = {"seed": seed, "snap": snap, "bits": bits, "progress": progress}
    return load(model).sample(x, ratio, n=n, device=device, **options)


def recover(
    x: Any,
    ratio: float | None = None,
    *,
    n: int | None = None,
    model: Any = None,
    seed: int = 0,
    device: str | None = None,
    temperature: float = 1.0,
    draws: int = 1,
    progress: Progress | None = None,
) -> Any:
    """The dense cloud that a sampled one stands for: exactly round(ratio N) points, or exactly n.

    What is left out is what the cloud remembers (see `io.recovery_note`): the model, and as many points as it had
    before `sample`. Of a cloud that remembers nothing the model is `jetnet`, and the ratio that which the model was
    trained for.

    Args:
        x: as that of `upsample`; a Cloud or a path can remember.
        ratio, n: how dense, at least as dense as x.
        model: what `load` takes. A model for recovery makes all points anew; one that upsamples adds points, and the
            sampled ones come first in the result. None: the remembered one. If its weights differ from those of the
            sampling, a warning says so; to name it is to accept them.
        seed: of everything drawn at random.
        device: where a model computes, e.g. `cpu`, `cuda`, `cuda:1`; by default where `load` was told to, else the CPU.
        temperature: of models that draw what sampling lost: the factor on its standard deviation; 0 for the mean.
        draws: how many results, with the seeds seed, seed + 1, ...
        progress: called with (stage, fraction).

    Returns:
        The kind that was given (a path gives a Cloud); a list of them if there is more than one draw. Attributes
        travel from the sampled points, see `geometry.transfer`.

    Raises:
        CloudError: the cloud is empty, not finite, or has fewer distinct points than the model needs.
        OptionError: an argument makes no sense, or one is missing that the cloud does not remember.
    """
    cloud, back = open_cloud(x)
    loaded = load(remembered_model(cloud.metadata) if model is None else model)
    options = {"seed": seed, "temperature": temperature, "draws": draws, "progress": progress}
    found = loaded.recover(cloud, ratio, n=n, device=device, **options)
    return [back(dense) for dense in found] if isinstance(found, list) else back(found)


def remembered_model(metadata: Mapping[str, Any]) -> Resolved:
    """The model that recovers a cloud with this metadata, resolved once, for `load`.

    Files come from strangers, so what a note names is used only if the user has it already: a model of this version, or
    the checkpoint of an address where the cache has that commit. Warns if its weights are not those of the sampling.

    Raises:
        OptionError: the note names a checkpoint that is not here; the message says how to give it.
    """
    note = note_of(metadata)
    if note is None:
        return resolve(RECOVERER, paths=False)
    name, weights = note.get("address") or note["model"], note["weights"]
    if is_address(name) and cached(Address.parse(name)) is None:
        raise OptionError(
            f"the cloud was sampled with '{note['model']}' of {name}, which is not on this machine; nothing is "
            f"fetched because a file says so: to have it fetched, give it as model (-m {name})"
        )
    found = resolve(name, paths=False) if is_address(name) or name in list_models() else None
    if found is None or (weights and found.weights is None):
        raise OptionError(
            f"the cloud was sampled with the checkpoint '{name}' ({recovery.short(weights)}), which does not come with "
            "this version; give the folder of that checkpoint, or another model, as model (-m FOLDER)"
        )
    recovery.compare_weights(name, weights, found.weights)
    return found
