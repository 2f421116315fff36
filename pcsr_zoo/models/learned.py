"""Models with a network: how they are saved, loaded, trained, and put on the Hugging Face Hub."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

if TYPE_CHECKING:
    from ..training.recipe import Recipe

try:
    from huggingface_hub import PyTorchModelHubMixin
except ImportError:  # a bare machine that only trains: everything works there but the Hub
    if not TYPE_CHECKING:

        class PyTorchModelHubMixin:
            def __init_subclass__(cls, **about_the_library: Any) -> None:
                super().__init_subclass__()


T = TypeVar("T", bound="Learned")


class Learned(PyTorchModelHubMixin, library_name="pcsr-zoo", tags=["point-cloud", "3d"]):
    """What a model with a network adds, mixed in before `Upsampler` or `Sampler`: it is saved, loaded and trained.

    It is a `PyTorchModelHubMixin` of huggingface_hub, so `from_pretrained`, `save_pretrained` and `push_to_hub` are the
    Hub's verbs. How that class itself loads and saves is replaced: it has no checksum, loads what does not fit
    (`strict=False`) and falls back to pickle. Here both directions go through `checkpoints`, as those of `load` do.

    Attributes:
        arguments: what JSON can hold; `cls(**arguments)` is the same model with untrained weights.
        network: the torch module with its weights, on the CPU in evaluation mode unless somebody moved it.
        dtypes: of floats in which the network computes, the first of which it is trained in.
        origin: config.json of the checkpoint that it was loaded from; None for a model that was made here.
        address: under which that is on the Hub, at its commit, if it was loaded from there by an address.
    """

    arguments: dict[str, Any]
    network: Any
    dtypes: ClassVar[tuple[str, ...]] = ("float32",)
    origin: Mapping[str, Any] | None = None
    address: str | None = None

    _pushed_to: str | None = None  # the repository, while push_to_hub saves the model for it

    def recipe(self, **options: Any) -> Recipe:
        """How this model is trained, see `training.recipe`.

        Raises:
            OptionError: an option makes no sense.
        """
        raise NotImplementedError

    @classmethod
    def from_pretrained(  # type: ignore[override]  # the client passes on **kwargs to a constructor; there are none here
        cls: type[T],
        pretrained_model_name_or_path: str | PathLike[str],
        *,
        revision: str | None = None,
        token: str | bool | None = None,
        cache_dir: str | Path | None = None,
        force_download: bool = False,
        local_files_only: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> T:
        """A checkpoint of this class, its weights checked.

        Args:
            pretrained_model_name_or_path: a folder, "owner/repo" on the Hub, or a name that `load` knows.
            revision: a branch, tag or commit of a repository; by default "main".
            token, cache_dir, force_download, local_files_only: as everywhere in huggingface_hub.
            device, dtype: see `load`.

        Raises:
            FileError: it cannot be had, is damaged, or is of another class; the message says what to do.
            OptionError: a device or dtype that is not there.
        """
        from ..errors import FileError
        from ..hub.address import Address
        from ..hub.fetch import Transfer
        from ..registry import load, names_a_checkpoint

        wanted: Any = pretrained_model_name_or_path
        transfer = Transfer(token, cache_dir, force_download, local_files_only)
        if revision is not None or not (Path(wanted).is_dir() or names_a_checkpoint(str(wanted))):
            text = str(wanted).removeprefix("hf:")
            wanted = Address.parse(f"hf:{text}@{revision}" if revision is not None else f"hf:{text}")
        model = load(wanted, device=device, dtype=dtype, transfer=transfer)
        if not isinstance(model, cls):
            raise FileError(f"{wanted} holds a {type(model).__name__}, not a {cls.__name__}; use pcsr_zoo.load")
        return model

    def save_pretrained(  # type: ignore[override]
        self,
        save_directory: str | PathLike[str],
        *,
        repo_id: str | None = None,
        push_to_hub: bool = False,
        config: None = None,
        model_card_kwargs: Mapping[str, Any] | None = None,
        **push_to_hub_kwargs: Any,
    ) -> str | None:
        """Write the checkpoint's folder, atomically; see `checkpoints.save_checkpoint`.

        Facts of the checkpoint that the model was loaded from are kept while its weights are the same; a model with
        other weights keeps its licence, and remembers where it comes from.

        Args:
            save_directory: made if it is not there; an older checkpoint in it is replaced.
            repo_id, push_to_hub, push_to_hub_kwargs: push it, too; by default to the folder's name.
            config: None: config.json is the checkpoint's own.
            model_card_kwargs: facts for config.json and the card, such as licence="MIT"; see `cards`.

        Returns:
            What `push_to_hub` gives, where it is asked for.

        Raises:
            OptionError, FileError: see `checkpoints.save_checkpoint`.
        """
        from ..checkpoints import save_checkpoint
        from ..errors import OptionError

        if config is not None:
            raise OptionError("config: config.json is the checkpoint's own; facts go into model_card_kwargs")
        about = {**self._facts(), **(model_card_kwargs or {})}
        address = f"hf:{self._pushed_to}" if self._pushed_to else None
        save_checkpoint(save_directory, self, address=address, **about)
        if not push_to_hub:
            return None
        return self.push_to_hub(
            repo_id or Path(save_directory).name, model_card_kwargs=dict(model_card_kwargs or {}), **push_to_hub_kwargs
        )

    def _save_pretrained(self, save_directory: Path) -> None:
        self.save_pretrained(save_directory)

    @classmethod
    def _from_pretrained(cls: type[T], *, model_id: str, **options: Any) -> T:  # type: ignore[override]
        """The mixin's own, which would try pickle, is out of reach."""
        return cls.from_pretrained(model_id, **options)

    def push_to_hub(self, repo_id: str, **options: Any) -> Any:  # type: ignore[override]
        """Upload the model to the repository "owner/repo", which is made if it is not there: the client's own method.

        Args:
            options: commit_message, private, token, branch, create_pr, ... of `ModelHubMixin.push_to_hub`.

        Returns:
            The address of the commit.

        Raises:
            FileError: the Hub refuses, or cannot be reached; the message says what to do.
        """
        from ..hub.faults import explained
        from ..hub.fetch import forget_asked

        self._pushed_to = repo_id
        try:
            with explained(f"hf:{repo_id}", "push"):
                return super().push_to_hub(repo_id, **options)
        finally:
            del self._pushed_to
            forget_asked()

    def _facts(self) -> dict[str, Any]:
        from ..checkpoints import weights_digest

        if self.origin is None:
            return {}
        about = dict(self.origin["about"])
        if weights_digest(self) == self.origin["sha256"]:
            return about
        kept = {key: about[key] for key in ("licence", "paper", "ours") if key in about}
        return {**kept, "parent": self.origin["name"], "parent_sha256": self.origin["sha256"]}
