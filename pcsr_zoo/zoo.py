"""`load` returns a model that is ready to use; `upsample`, `sample` and `recover` are functions for single calls.

Every call takes a `Cloud`, a NumPy array or torch tensor of shape (N, 3) or (N, 3 + C), a legacy or tensor Open3D
cloud, or a path. It returns the kind that it was given; for a path it returns a `Cloud`.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
from .models.base import Model, Progress, is_learned
from .pipelines import recovery, resample
from .pipelines.arguments import as_ratio
from .pipelines.same_kind import same_kind, same_kind_method

if TYPE_CHECKING:
    from typing import TypeAlias

    import torch

    from .cloud import Cloud
    from .pipelines.same_kind import CloudLike

    ModelLike: TypeAlias = str | PathLike[str] | Address | Resolved | Model | type[Model] | "LoadedModel"

__all__ = ["LoadedModel", "list_models", "load", "recover", "sample", "upsample"]

RECOVERER = "jetnet"  # recovers what a plain sampler selected


class LoadedModel:
    """A model that is ready to use, with its configuration.

    Attributes:
        model: the object of the model class.
        resolved: the result of `catalog.resolve` for its name.
        device: the torch device, such as "cuda"; the argument `device` of a call takes precedence.
    """

    def __init__(self, model: Any, resolved: Resolved, device: str = "cpu") -> None:
        self.model, self.resolved, self.device = model, resolved, device

    def __repr__(self) -> str:
        return f"LoadedModel({self.name!r}, {', '.join(self.tasks)})"

    @property
    def name(self) -> str:
        """Name of the checkpoint, or of the model class."""
        return self.resolved.name

    @property
    def tasks(self) -> tuple[str, ...]:
        """The tasks it can do: some of "sample", "upsample" and "recover"."""
        return self.resolved.tasks

    @property
    def ratio(self) -> float | None:
        """The ratio that it was trained for; None if it works at any ratio."""
        ratio = getattr(self.model, "ratio", None)
        return None if ratio is None else float(ratio)

    @property
    def config(self) -> Mapping[str, Any] | None:
        """The contents of the checkpoint's config.json; None if the model is not from a checkpoint."""
        return self.resolved.config

    @property
    def weights(self) -> str | None:
        """ "sha256:..." of the current weights; None for a model without a network."""
        return f"sha256:{weights_digest(self.model)}" if is_learned(self.model) else None

    # -- sampling, upsampling, recovery -------------------------------------------------------------------------------

    @same_kind_method
    def upsample(
        self,
        x: CloudLike,
        ratio: float | None = 4,
        *,
        n: int | None = None,
        seed: int = 0,
        device: str | None = None,
        keep_input: bool | None = None,
        noise: float | None = None,
        progress: Progress | None = None,
    ) -> CloudLike:
        """Return a denser cloud; see `pcsr_zoo.upsample`."""
        self._require("upsample")
        cloud, back = open_cloud(x)
        options: dict[str, Any] = {"seed": seed, "keep_input": keep_input, "noise": noise, "progress": progress}
        return back(resample.upsample(cloud, ratio, n=n, model=self.model, device=self._at(device), **options))

    @same_kind_method
    def sample(
        self,
        x: CloudLike,
        ratio: float | None = None,
        *,
        n: int | None = None,
        seed: int = 0,
        device: str | None = None,
        snap: bool = False,
        bits: int | None = None,
        progress: Progress | None = None,
    ) -> CloudLike:
        """Return a sparser cloud; see `pcsr_zoo.sample`."""
        self._require("sample")
        cloud, back = open_cloud(x)
        options: dict[str, Any] = {"seed": seed, "snap": snap, "bits": bits, "progress": progress}
        few = resample.sample(cloud, ratio, n=n, model=self.model, device=self._at(device), **options)
        few.metadata[KEY] = self._note(len(cloud), len(few), bits)
        return back(few)

    @same_kind_method
    def recover(
        self,
        x: CloudLike,
        ratio: float | None = None,
        *,
        n: int | None = None,
        seed: int = 0,
        device: str | None = None,
        temperature: float = 1.0,
        progress: Progress | None = None,
    ) -> CloudLike:
        """Return the dense cloud of a sampled one; see `pcsr_zoo.recover`."""
        self._require("recover")
        cloud, back = open_cloud(x)
        options: dict[str, Any] = {"seed": seed, "temperature": temperature, "progress": progress}
        return back(recovery.recover(cloud, ratio, n=n, model=self.model, device=self._at(device), **options))

    def _require(self, task: str) -> None:
        if task not in self.tasks:
            raise OptionError(f"'{self.name}' cannot {task}; it can {' and '.join(self.tasks)}")

    def _at(self, device: str | None) -> str:
        return self.device if device is None else as_device(device)

    def _note(self, size: int, sampled: int, bits: int | None) -> dict[str, Any]:
        """The recovery note of a sampled cloud, see `io.recovery_note`."""
        own, address = "recover" in self.tasks, self.resolved.address
        recoverer = self if own else resolve(RECOVERER, paths=False)
        weights = recoverer.weights
        note = {"model": recoverer.name, "weights": weights, "points": size, "sampled": sampled, "sampler": self.name}
        if own and address is not None and weights == self.resolved.weights:  # not if they were changed since
            note["address"] = str(address)
        return note if bits is None else {**note, "bits": bits}

    # -- saving -------------------------------------------------------------------------------------------------------

    def save(self, folder: str | PathLike[str], *, name: str | None = None, **facts: Any) -> Path:
        """Write config.json, model.safetensors and the model card to a folder, atomically.

        If the weights were not changed since loading, all facts of the original checkpoint are kept. If they were
        changed, the license is kept and the original checkpoint is recorded as the parent.

        Args:
            folder: the folder; it is created if needed, and a checkpoint in it is replaced.
            name: name of the new checkpoint; by default this model's name, with "-modified" added if the weights
                were changed.
            facts: entries for config.json and the card, such as license="MIT"; see `cards.card`.

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
        """Publish the model on the Hugging Face Hub in one commit.

        Args:
            to: "owner/repo" or "owner/repo@branch"; the repository or branch is created if it does not exist.
            message: the commit message.
            private: whether a newly created repository is private.
            token: a Hugging Face token; by default the one of `hf auth login` or HF_TOKEN.
            facts: see `save`.

        Returns:
            The commit hash, 40 hexadecimal digits. `load("hf:owner/repo@COMMIT")` always loads these weights.

        Raises:
            OptionError: see `save`.
            FileError: see `save`; or the Hub refuses the request or cannot be reached.
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


class LoadedFamily(LoadedModel):
    """A model class with a checkpoint for each of several ratios; every call uses the one that suits its ratio.

    That is the checkpoint with the largest ratio that is not above 2^floor(log2 r) for a call at ratio r, as PointLIE
    (Zhao et al., IJCAI 2021, sec. 3) counts its rescale layers, and the smallest ratio otherwise. Single checkpoints,
    which can be saved and published, are loaded by their own names.
    """

    def __init__(self, resolved: Resolved, members: Mapping[float, Resolved], **options: Any) -> None:
        super().__init__(None, resolved)
        self._members, self._options = dict(sorted(members.items())), options
        self._loaded: dict[float, LoadedModel] = {}

    def member(self, ratio: float | None) -> LoadedModel:
        """The checkpoint for a ratio; for None, the class's default ratio."""
        if ratio is None:
            ratio = getattr(self.resolved.model_class(), "ratio", None) or next(iter(self._members))
        wanted = as_ratio(ratio, "a ratio is at least 1")
        trained = [own for own in self._members if own <= 2 ** math.floor(math.log2(wanted))] or [min(self._members)]
        if trained[-1] not in self._loaded:
            self._loaded[trained[-1]] = load(self._members[trained[-1]], **self._options)
        return self._loaded[trained[-1]]

    @property
    def weights(self) -> str | None:
        """None: the checkpoints have their own."""
        return None

    @same_kind_method
    def upsample(self, x: CloudLike, ratio: float | None = 4, *, n: int | None = None, **options: Any) -> CloudLike:
        """Return a denser cloud; see `pcsr_zoo.upsample`."""
        self._require("upsample")
        cloud, back = open_cloud(x)
        return back(self.member(_between(cloud, n) or ratio).upsample(cloud, ratio, n=n, **options))

    @same_kind_method
    def sample(self, x: CloudLike, ratio: float | None = None, *, n: int | None = None, **options: Any) -> CloudLike:
        """Return a sparser cloud; see `pcsr_zoo.sample`."""
        self._require("sample")
        cloud, back = open_cloud(x)
        return back(self.member(_between(cloud, n) or ratio).sample(cloud, ratio, n=n, **options))

    @same_kind_method
    def recover(self, x: CloudLike, ratio: float | None = None, *, n: int | None = None, **options: Any) -> CloudLike:
        """Return the dense cloud of a sampled one; see `pcsr_zoo.recover`."""
        self._require("recover")
        cloud, back = open_cloud(x)
        note = note_of(cloud.metadata) if n is None and ratio is None else None
        remembered = note["points"] / note["sampled"] if note is not None else None
        return back(self.member(_between(cloud, n) or ratio or remembered).recover(cloud, ratio, n=n, **options))

    def _save(self, folder: Any, name: str | None, facts: Mapping[str, Any], address: str | None) -> Path:
        names = " or ".join(member.name for member in self._members.values())
        raise OptionError(f"'{self.name}' has a checkpoint for each ratio; load {names} to save it")


def _between(cloud: Cloud, n: int | None) -> float | None:
    """The ratio between the size of a cloud and n, at least 1; None if no count is given or the cloud is empty."""
    if not isinstance(n, int) or n < 1 or not len(cloud):
        return None  # the call itself reports it
    return max(n / len(cloud), len(cloud) / n)


def load(
    name: ModelLike,
    *,
    device: str | torch.device | None = None,
    dtype: str | torch.dtype | None = None,
    transfer: Transfer | None = None,
    allow_untrained: bool = False,
) -> LoadedModel:
    """Load a model: `load("jet").upsample(points, 4)`, `load("runs/mine").upsample(points, 4)`.

    The weights are checked against their sha256 on every load. No code is executed: only config.json and
    model.safetensors are read.

    Args:
        name: a name (see `list_models`), the folder of a checkpoint, "hf:owner/repo" or "hf:owner/repo@revision" on
            the Hugging Face Hub, or a model object; see `catalog.resolve` for the order. A `LoadedModel` is returned
            as it is. For a name such as `pointlie`, whose checkpoints have ratios, every call chooses one by its ratio.
        device: the torch device, such as "cuda"; by default the CPU.
        dtype: floating-point type of the network, one of its class's `dtypes`; by default float32.
        transfer: settings of downloads from the Hub, see `checkpoints.fetch`.
        allow_untrained: accept a network with random weights, for experiments.

    Raises:
        OptionError: the model, device or dtype does not exist; or the model has random weights and `allow_untrained`
            is False.
        FileError: the checkpoint does not exist, is broken, or cannot be downloaded.
    """
    if isinstance(name, LoadedModel):
        return _placed(name, device, dtype)
    found = name if isinstance(name, Resolved) else resolve(name, transfer=transfer)
    if found.kind == "checkpoint":
        try:
            model = load_checkpoint(found.with_weights(transfer))
        except FileError as error:
            if found.address is not None:  # name the address: users do not know the folder in the cache
                raise FileError(f"{found.address}: {error}") from None
            raise
    else:
        if found.untrained and not allow_untrained:
            return _family(found, device=device, dtype=dtype, transfer=transfer)
        model = found.model if found.kind == "object" else found.model_class()
    return _placed(LoadedModel(model, found), device, dtype)


def _family(found: Resolved, **options: Any) -> LoadedFamily:
    """The checkpoints of a class that has random weights.

    Raises:
        OptionError: it has none that a ratio can choose.
    """
    others = [resolve(name, paths=False) for name in list_models(f"{found.name}-*")]
    trained = [one for one in others if one.config is not None and one.model_class is found.model_class]
    members = {one.ratio: one for one in trained if one.ratio is not None}
    if found.kind == "object" or not members or len(members) < len(trained):
        instead = [*(one.name for one in trained), "the folder of a trained checkpoint"]
        raise OptionError(f"'{found.name}' has random weights; use {' or '.join(instead)}")
    return LoadedFamily(found, members, **options)


def _placed(loaded: LoadedModel, device: Any, dtype: Any) -> LoadedModel:
    """The model, moved to the device and converted to the dtype."""
    learned = is_learned(loaded.model)
    if dtype is not None:
        if not learned:
            raise OptionError(f"dtype: '{loaded.name}' has no network and takes no dtype; leave it out")
        loaded.model.network.to(as_dtype(dtype, type(loaded.model)))
    if device is not None:
        loaded.device = as_device(device)
        if learned:
            loaded.model.network.to(loaded.device)
    return loaded


@same_kind
def upsample(
    x: CloudLike,
    ratio: float | None = 4,
    *,
    n: int | None = None,
    model: ModelLike = "jetnet",
    seed: int = 0,
    device: str | None = None,
    keep_input: bool | None = None,
    noise: float | None = None,
    progress: Progress | None = None,
) -> CloudLike:
    """Upsample a cloud to exactly round(ratio N) points, or to exactly n.

    Args:
        x: a Cloud, a NumPy array or torch tensor of shape (N, 3) or (N, 3 + C), a legacy or tensor Open3D cloud, or a
            path.
        ratio: output points per input point, any number of at least 1. Ratios above the model's `max_step` are
            reached in several steps.
        n: number of output points, at least N; used instead of the ratio.
        model: a name or anything else that `load` takes.
        seed: seed of the random numbers.
        device: the torch device, such as "cpu", "cuda" or "cuda:1"; by default the device of a loaded model, else
            the CPU.
        keep_input: True keeps the input points, in their order, as the first N points of the result. False also
            projects them onto the estimated surface. By default they are kept unless the cloud is judged noisy.
        noise: standard deviation of the input's noise in units of its point spacing, 0 for a clean cloud. By default
            it is estimated.
        progress: a function that is called with (stage, fraction done).

    Returns:
        The kind that was given; a Cloud for a path. Attributes are interpolated, see `geometry.transfer`.

    Raises:
        CloudError: the cloud is empty, has NaN or infinite positions, or has fewer distinct points than the model
            needs.
        OptionError: an argument is out of its range.
    """
    options: dict[str, Any] = {"seed": seed, "keep_input": keep_input, "noise": noise, "progress": progress}
    return load(model).upsample(x, ratio, n=n, device=device, **options)


@same_kind
def sample(
    x: CloudLike,
    ratio: float | None = None,
    *,
    n: int | None = None,
    model: ModelLike = "fps",
    seed: int = 0,
    device: str | None = None,
    snap: bool = False,
    bits: int | None = None,
    progress: Progress | None = None,
) -> CloudLike:
    """Sample exactly round(N / ratio) points (at least 1), or exactly n, with their attributes.

    The result has a recovery note, which `write` stores in the file and `recover` reads; see `io.recovery_note`.

    Args:
        x, model, seed, device, progress: see `upsample`.
        ratio: input points per output point, at least 1; by default the ratio that the model was trained for.
        n: number of output points, at most N; used instead of the ratio.
        snap: return points of the input only, even if the model moves points. A moved point takes its attributes
            from the input points around it.
        bits: round the positions to a grid of 2^bits steps along their bounding cube, 1 to 24, and order them along a
            space-filling curve, which makes LAZ and other compressed files small. Points that coincide on the grid
            are kept.

    Raises:
        CloudError: the cloud is empty or has NaN or infinite positions; or the model returns the wrong number of
            points.
        OptionError: an argument is out of its range.
    """
    options: dict[str, Any] = {"seed": seed, "snap": snap, "bits": bits, "progress": progress}
    return load(model).sample(x, ratio, n=n, device=device, **options)


@same_kind
def recover(
    x: CloudLike,
    ratio: float | None = None,
    *,
    n: int | None = None,
    model: ModelLike | None = None,
    seed: int = 0,
    device: str | None = None,
    temperature: float = 1.0,
    progress: Progress | None = None,
) -> CloudLike:
    """Recover a dense cloud of exactly round(ratio N) points, or of exactly n, from a sampled one.

    Without further arguments, the model and the number of points are those in the cloud's recovery note (see
    `io.recovery_note`). For a cloud without a note the model is `jetnet`, and the ratio is the one that the model was
    trained for.

    Args:
        x: see `upsample`; only a Cloud or a path can have a recovery note.
        ratio: output points per input point, at least 1.
        n: number of output points, at least N; used instead of the ratio.
        model: a name or anything else that `load` takes. A model made for recovery computes all points anew; an
            upsampler keeps the sampled points as the first points of the result and adds others. None: the model in
            the note. A warning is logged if its weights have changed since sampling; naming the model accepts them.
        seed: seed of the random numbers. A generative model returns another result for each seed.
        device: see `upsample`.
        temperature: factor on the standard deviation of what a generative model draws at random; 0 gives the mean.
        progress: a function that is called with (stage, fraction done).

    Returns:
        The kind that was given; a Cloud for a path. Attributes are interpolated from the sampled points, see
        `geometry.transfer`.

    Raises:
        CloudError: the cloud is empty, has NaN or infinite positions, or has fewer distinct points than the model
            needs.
        OptionError: an argument is out of its range; or the cloud has no recovery note and neither ratio nor n was
            given.
    """
    cloud, back = open_cloud(x)
    loaded = load(remembered_model(cloud.metadata) if model is None else model)
    options: dict[str, Any] = {"seed": seed, "temperature": temperature, "progress": progress}
    return back(loaded.recover(cloud, ratio, n=n, device=device, **options))


def remembered_model(metadata: Mapping[str, Any]) -> Resolved:
    """Resolve the model that a cloud's recovery note names; without a note, the default model.

    A note is untrusted text. It can select a model of this version, or a checkpoint whose address and commit are
    already in the cache; it never starts a download from an address. A warning is logged if the weights differ from
    those that sampled.

    Raises:
        OptionError: the note names a checkpoint that is not on this machine; the message says how to name it.
    """
    note = note_of(metadata)
    if note is None:
        return resolve(RECOVERER, paths=False)
    name, weights = note.get("address") or note["model"], note["weights"]
    if is_address(name) and cached(Address.parse(name)) is None:
        raise OptionError(
            f"the recovery note names '{note['model']}' of {name}, which is not on this machine; a note never starts "
            f"a download: to download it, name it as the model (-m {name})"
        )
    found = resolve(name, paths=False) if is_address(name) or name in list_models() else None
    if found is None or (weights and found.weights is None):
        raise OptionError(
            f"the recovery note names the custom checkpoint '{name}' ({recovery.short(weights)}), which is not part of "
            "this version; name its folder, or another model, as the model (-m FOLDER)"
        )
    recovery.compare_weights(name, weights, found.weights)
    return found
