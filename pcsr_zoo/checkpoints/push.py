"""Publishing: the files of a checkpoint's folder, as one commit of a repository on the Hub."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

from ..errors import FileError, OptionError
from ..io.files import read_bytes
from .address import Address
from .config import CARD, CONFIG, WEIGHTS
from .folder import checkpoint_class, load_checkpoint, read_config
from .hub_errors import explained
from .shipped import is_ours

# What a repository holds beside the three files, where the folder has it; never a training's state or data.
_MORE = ("train.yml", "LICENSE")


Render = Callable[..., str]  # `cards.card.render_card`


@dataclass(frozen=True)
class Change:
    """A file that would be there: its content, and what the repository has under its name."""

    file: str
    content: bytes = field(repr=False)
    state: str  # "new", "changed", "same"


@dataclass(frozen=True)
class Upload:
    """The files of a push, prepared without the network.

    Attributes:
        address: the repository and the branch.
        name, sha256: name and sha256 of the checkpoint.
        files: file name -> content.
    """

    address: Address
    name: str
    sha256: str
    files: Mapping[str, bytes] = field(repr=False)


@dataclass(frozen=True)
class Plan:
    """What a push would do.

    Attributes:
        address: the repository, and the branch.
        name, sha256: of the checkpoint.
        exists: whether the repository is there; it is made otherwise.
        branch_exists: whether it has the branch; otherwise that is made, from its main one.
        head: the commit that was looked at, "" where there is none.
        changes: the files of the checkpoint.
        others: files of the repository that the checkpoint does not have; they stay.
    """

    address: Address
    name: str
    sha256: str
    exists: bool
    branch_exists: bool
    head: str
    changes: list[Change]
    others: list[str]

    @property
    def nothing_to_do(self) -> bool:
        return self.branch_exists and all(change.state == "same" for change in self.changes)


def prepare_push(folder: str | PathLike[str], to: str | Address, render: Render) -> Upload:
    """Check a checkpoint and collect the files that a push uploads. No request is made and no token is needed.

    The checkpoint is loaded, its hashes are compared, and the front matter of its card is parsed.

    Args:
        folder: the folder of the checkpoint.
        to: "owner/repo" or "owner/repo@branch".
        render: `cards.card.render_card`.

    Raises:
        FileError: the checkpoint cannot be loaded, or its card has an invalid front matter.
        OptionError: `to` is not a repository, or names a commit.
    """
    folder, address = Path(folder), to if isinstance(to, Address) else Address.parse(to)
    if address.fixed:
        raise OptionError(f"'{address}' is a commit, which cannot be changed; name a branch, or none")
    config, files = _files(folder, address, render)
    return Upload(address, config["name"], config["sha256"], files)


def plan_push(
    folder: str | PathLike[str], to: str | Address, render: Render, *, token: str | bool | None = None
) -> Plan:
    """What pushing a checkpoint would change; the repository is only looked at.

    The whole checkpoint is loaded first: what cannot be loaded is not published. A card that was rendered for the
    folder is rendered for the repository; one that somebody wrote goes as it is.

    Args:
        folder: of the checkpoint.
        to: "owner/repo" or "owner/repo@branch".
        render: `cards.card.render_card`.
        token: as everywhere; by default the one that is logged in.

    Raises:
        FileError: the checkpoint is no good, or the Hub cannot be asked.
        OptionError: `to` is no repository.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

    upload = prepare_push(folder, to, render)
    address, files = upload.address, upload.files
    info: Any = None
    branch_exists = False
    with explained(str(address), "push"):
        api = HfApi(token=token, library_name="pcsr-zoo")
        try:
            info = api.model_info(address.repository, revision=address.revision, files_metadata=True)
            branch_exists = True
        except GatedRepoError:
            raise
        except RepositoryNotFoundError:
            pass
        except RevisionNotFoundError:
            info = api.model_info(address.repository, files_metadata=True)
    there = {sibling.rfilename: sibling for sibling in info.siblings or []} if info else {}
    head = str(info.sha) if info else ""
    changes = [Change(name, content, _state(content, there.get(name))) for name, content in files.items()]
    others = sorted(there.keys() - files.keys() - {".gitattributes"})
    return Plan(address, upload.name, upload.sha256, info is not None, branch_exists, head, changes, others)


def push(
    plan: Plan, *, message: str | None = None, private: bool | None = None, token: str | bool | None = None
) -> str:
    """Do it, as one commit; returns that commit's 40 digits, at which `load` finds these weights for ever.

    Args:
        plan: of `plan_push`.
        message: of the commit.
        private: of a repository that is made; by default as its owner's settings have it.
        token: as everywhere.

    Raises:
        FileError: the Hub refuses, cannot be reached, or has another commit by now than the plan is for.
    """
    from huggingface_hub import CommitOperationAdd, HfApi

    repository, branch = plan.address.repository, plan.address.revision
    with explained(str(plan.address), "push"):
        api = HfApi(token=token, library_name="pcsr-zoo")
        if plan.nothing_to_do:
            return plan.head
        if not plan.exists:
            api.create_repo(repository, private=private, exist_ok=True)
        if not plan.branch_exists and branch != "main":
            api.create_branch(repository, branch=branch, exist_ok=True)
        changed = [change for change in plan.changes if change.state != "same"]
        if not changed:  # it has all that the main one has
            return plan.head
        commit = api.create_commit(
            repository,
            [CommitOperationAdd(path_in_repo=change.file, path_or_fileobj=change.content) for change in changed],
            commit_message=message or f"{plan.name}, weights {plan.sha256[:12]}",
            revision=branch,
            parent_commit=plan.head or None,
        )
    return str(commit.oid)


def _files(folder: Path, address: Address, render: Render) -> tuple[dict[str, Any], dict[str, bytes]]:
    """The configuration, and name -> content of all files that a repository of the checkpoint has."""
    load_checkpoint(folder)
    config = read_config(folder)
    cls = checkpoint_class(folder, config)
    files = {}
    for name in (CONFIG, WEIGHTS, CARD, *_MORE):
        path = folder / name
        if path.is_symlink():
            raise FileError(f"{path} is a link, and is not followed to what may be no part of it; put the file there")
        if path.is_file():
            files[name] = read_bytes(path)
    if hashlib.sha256(files[WEIGHTS]).hexdigest() != config["sha256"]:
        raise FileError(f"{folder} changed while it was read, by a training perhaps; wait for its end, then try again")
    rendered = render(config, cls, folder)
    if not is_ours(folder, config) and files.get(CARD, rendered.encode()) == rendered.encode():
        files[CARD] = render(config, cls, folder, str(address)).encode()
    if CARD in files:
        _check_card(folder / CARD, files[CARD])
    return config, files


def _check_card(path: Path, content: bytes) -> None:
    """Raise a FileError if the front matter of a card is not a YAML mapping; the Hub would refuse it."""
    import yaml

    begin, *rest = content.decode("utf-8", "replace").split("\n---", 1)
    if not begin.startswith("---") or not rest:
        return
    try:
        valid = isinstance(yaml.safe_load(begin.removeprefix("---")), dict)
    except yaml.YAMLError as error:
        reason = " ".join(str(error).split())
        raise FileError(f"{path}: the front matter is not valid YAML ({reason}); correct it, then push again") from None
    if not valid:
        raise FileError(f"{path}: the front matter is not a YAML mapping; correct it, then push again")


def _state(content: bytes, there: Any) -> str:
    """By the hashes that the Hub tells: sha256 of large files, git's own of others."""
    if there is None:
        return "new"
    if there.lfs is not None:
        return "same" if there.lfs.sha256 == hashlib.sha256(content).hexdigest() else "changed"
    return "same" if there.blob_id == hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest() else "changed"
