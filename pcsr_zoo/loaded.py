"""The handles that `load` returns: one model, or a family with a checkpoint for each of several ratios."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .cards.card import render_card, save_with_card
from .catalog import Resolved, resolve
from .checkpoints.address import Address
from .checkpoints.folder import weights_digest
from .checkpoints.push import plan_push, push
from .checkpoints.weights import as_dtype
from .devices import as_device
from .errors import OptionError
from .io import open_cloud
from .io.recovery_note import KEY, note_of
from .models.base import Progress, is_learned
from .pipelines import recovery, resample
from .pipelines.arguments import as_count, as_ratio
from .pipelines.marks import marked
from .pipelines.same_kind import same_kind_method

if TYPE_CHECKING:
    from .cloud import Cloud
    from .pipelines.same_kind import CloudLike

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
        even: bool = False,
        origin: Sequence[float] | None = None,
        renumber_rings: bool = False,
        synthetic: bool | None = None,
        distance: bool = False,
        progress: Progress | None = None,
    ) -> CloudLike:
        """Return a denser cloud; see `pcsr_zoo.upsample`."""
        self._require("upsample")
        cloud, back = open_cloud(x)
        own = self._for(cloud, ratio, n)
        options: dict[str, Any] = {"seed": seed, "keep_input": keep_input, "noise": noise, "progress": progress}
        options |= {"even": even, "origin": origin, "renumber_rings": renumber_rings}
        dense = resample.upsample(cloud, ratio, n=n, model=own.model, device=self._at(device), **options)
        return back(marked(dense, cloud, synthetic, distance))

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
        own = self._for(cloud, ratio, n)
        options: dict[str, Any] = {"seed": seed, "snap": snap, "bits": bits, "progress": progress}
        few = resample.sample(cloud, ratio, n=n, model=own.model, device=self._at(device), **options)
        few.metadata[KEY] = own._note(len(cloud), len(few), bits)
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
        synthetic: bool | None = None,
        distance: bool = False,
        progress: Progress | None = None,
    ) -> CloudLike:
        """Return the dense cloud of a sampled one; see `pcsr_zoo.recover`."""
        self._require("recover")
        cloud, back = open_cloud(x)
        own = self._for(cloud, ratio, n, recovers=True)
        options: dict[str, Any] = {"seed": seed, "temperature": temperature, "progress": progress}
        dense = recovery.recover(cloud, ratio, n=n, model=own.model, device=self._at(device), **options)
        return back(marked(dense, cloud, synthetic, distance))

    def _require(self, task: str) -> None:
        if task not in self.tasks:
            raise OptionError(f"'{self.name}' cannot {task}; it can {' and '.join(self.tasks)}")

    def _for(self, cloud: Cloud, ratio: Any, n: Any, recovers: bool = False) -> LoadedModel:
        """The loaded model for a call with this ratio or count, or, in recovery, with those of the cloud's note."""
        return self

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

    def place(self, device: Any = None, dtype: Any = None) -> LoadedModel:
        """Move the model to a device and convert it to a dtype, if they are given, and return it; see `load`."""
        learned = is_learned(self.model)
        if dtype is not None:
            if not learned:
                raise OptionError(f"dtype: '{self.name}' has no network and takes no dtype; leave it out")
            self.model.network.to(as_dtype(dtype, type(self.model)))
        if device is not None:
            self.device = as_device(device)
            if learned:
                self.model.network.to(self.device)
        return self

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

    Args:
        resolved: the class.
        members: ratio -> checkpoint.
        load: loads a checkpoint.
    """

    def __init__(
        self, resolved: Resolved, members: Mapping[float, Resolved], load: Callable[[Resolved], LoadedModel]
    ) -> None:
        super().__init__(None, resolved)
        self._members, self._load = dict(sorted(members.items())), load
        self._loaded: dict[float, LoadedModel] = {}

    def member(self, ratio: float | None) -> LoadedModel:
        """The checkpoint for a ratio; for None, the class's default ratio."""
        if ratio is None:
            ratio = getattr(self.resolved.model_class(), "ratio", None) or min(self._members)
        most = 2 ** math.floor(math.log2(as_ratio(ratio, "a ratio is at least 1")))
        chosen = max((own for own in self._members if own <= most), default=min(self._members))
        if chosen not in self._loaded:
            self._loaded[chosen] = self._load(self._members[chosen])
        return self._loaded[chosen]

    @property
    def weights(self) -> str | None:
        """None: the checkpoints have their own."""
        return None

    def place(self, device: Any = None, dtype: Any = None) -> LoadedModel:
        """Do so with all checkpoints, those that are loaded later included."""
        load = self._load
        self._load = lambda found: load(found).place(device, dtype)
        for member in self._loaded.values():
            member.place(device, dtype)
        if device is not None:
            self.device = as_device(device)
        return self

    def _for(self, cloud: Cloud, ratio: Any, n: Any, recovers: bool = False) -> LoadedModel:
        if n is not None:
            size, count = max(len(cloud), 1), as_count(n)
            ratio = max(count / size, size / count)
        elif ratio is None and recovers and (note := note_of(cloud.metadata)) is not None:
            ratio = note["points"] / note["sampled"]
        return self.member(ratio)

    def _save(self, folder: Any, name: str | None, facts: Mapping[str, Any], address: str | None) -> Path:
        names = " or ".join(member.name for member in self._members.values())
        raise OptionError(f"'{self.name}' has a checkpoint for each ratio; load {names} to save it")
