"""Fetch a checkpoint from the Hub into the cache of huggingface_hub, and check it."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .._version import __version__
from ..errors import FileError
from ..io.files import file_sha256
from .address import Address
from .config import AGAIN, CONFIG, LONGEST, UPDATE, WEIGHTS, most_bytes
from .folder import check_arguments, read_config, trained_class
from .hub_errors import explained, is_unreachable, status_of
from .untrusted_text import quoted

_log = logging.getLogger(__name__)

_ETAG, _COMMIT = re.compile(r"[A-Za-z0-9._-]{1,128}"), re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class Transfer:
    """Options of huggingface_hub for fetching files, with its defaults.

    Attributes:
        token: an access token; None for the saved one, False for none.
        cache_dir: folder of the cache; None for the default one.
        force: fetch files again that are in the cache.
        local_only: make no request.
    """

    token: str | bool | None = None
    cache_dir: str | Path | None = None
    force: bool = False
    local_only: bool = False


def fetch(address: Address, transfer: Transfer | None = None, expected: Mapping[str, Any] | None = None) -> Path:
    """Fetch and check config.json and model.safetensors of one commit.

    A commit that is in the cache is used without a request. A branch needs a request; if the Hub cannot be reached,
    the copy in the cache is used with a warning.

    Args:
        address: the checkpoint's address.
        transfer: options such as token and cache.
        expected: a configuration whose model, arguments and sha256 the fetched one must have.

    Returns:
        The folder in the cache.

    Raises:
        FileError: the checkpoint cannot be fetched or is invalid. Damaged files are removed from the cache.
    """
    transfer = transfer or Transfer()
    path = _file(address, CONFIG, transfer)
    folder, commit = path.parent, path.parent.name
    try:
        config = read_config(folder)
    except FileError as error:
        _refuse(address, [path], str(error).replace(str(path), CONFIG).removesuffix(f"; {AGAIN}"))
    try:
        check_arguments(folder, config, trained_class(folder, config))
    except FileError as error:
        raise FileError(f"{address}: {error}") from None
    if expected is not None:
        differ = [key for key in ("model", "arguments", "sha256") if config[key] != expected[key]]
        if differ:
            raise FileError(
                f"{address}: its '{differ[0]}' differs from the one that this version expects; update pcsr-zoo"
            )
    weights = _file(address.at(commit), WEIGHTS, transfer, shown=address, most=most_bytes(config))
    found = file_sha256(weights)
    if found != config["sha256"]:
        hashes = f"sha256 {found[:12]}…, not {config['sha256'][:12]}…"
        what = f"{WEIGHTS} does not match {CONFIG} ({hashes})"
        _refuse(address, [weights, path], what)
    return folder


def cached(address: Address, transfer: Transfer | None = None) -> Path | None:
    """The folder of a checkpoint in the cache, unchecked; None if it is not there. Makes no request."""
    from huggingface_hub import try_to_load_from_cache

    folder = (transfer or Transfer()).cache_dir
    found: Any = None
    for name in (WEIGHTS, CONFIG):
        found = try_to_load_from_cache(address.repository, name, cache_dir=folder, revision=address.revision)
        if not isinstance(found, str):  # None, or a marker for a file that does not exist
            return None
    return Path(found).parent


def _file(address: Address, name: str, transfer: Transfer, shown: Address | None = None, most: int = LONGEST) -> Path:
    """The path of a repository's file of at most `most` bytes in the cache, fetched if necessary.

    Messages name the address `shown`.
    """
    shown = shown or address
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    options: dict[str, Any] = {
        "repo_id": address.repository,
        "filename": name,
        "revision": address.revision,
        "cache_dir": transfer.cache_dir,
        "token": transfer.token,
        "library_name": "pcsr-zoo",
        "library_version": __version__,
    }

    def of_the_cache() -> Path | None:
        with contextlib.suppress(Exception):  # the request below gives a better message
            return Path(hf_hub_download(**options, local_files_only=True))
        return None

    with explained(str(shown), name, transfer.cache_dir):
        if (address.fixed or _offline(transfer)) and not transfer.force and (path := of_the_cache()):
            return path
        if not _offline(transfer) and (silence := _silence(address, name, transfer, shown, most)):
            path = of_the_cache() if not transfer.force else None
            if path is None and status_of(silence) != 429:  # on 429, the client retries after the right time
                raise LocalEntryNotFoundError("neither on the Hub nor in the cache") from silence
            if path is not None:
                commit = path.parent.name
                _log.warning("the Hub cannot be reached; using '%s' from the cache (commit %s)", shown, commit)
                return path
        return Path(hf_hub_download(**options, force_download=transfer.force, local_files_only=transfer.local_only))


def _silence(address: Address, name: str, transfer: Transfer, shown: Address, most: int) -> Exception | None:
    """Check the server's metadata of a file before the client derives paths from it.

    Returns:
        The exception if the Hub did not answer; None if it did.

    Raises:
        FileError: the metadata leads out of the cache, to a file that is too large, or to another commit.
    """
    from huggingface_hub import get_hf_file_metadata, hf_hub_url

    try:
        url = hf_hub_url(address.repository, name, revision=address.revision)
        answer = get_hf_file_metadata(url, token=transfer.token)
    except Exception as error:  # the download repeats a refusal, and explains it
        return error if is_unreachable(error) else None
    if not _ETAG.fullmatch(answer.etag or "x") or ".." in (answer.etag or ""):
        raise FileError(f"{shown}: the server's name for {name} leads out of the cache; is HF_ENDPOINT right?")
    if not _COMMIT.fullmatch(answer.commit_hash or "0" * 40):
        named = quoted(answer.commit_hash)
        raise FileError(f"{shown}: the server gives {named} instead of a commit; is HF_ENDPOINT right?")
    if address.fixed and answer.commit_hash not in (None, address.revision):
        other = f"{answer.commit_hash} for {address.revision}"
        raise FileError(f"{shown}: the server gives another commit, {other}; is HF_ENDPOINT right?")
    if (answer.size or 0) > most:
        why = "too many for a checkpoint" if name == CONFIG else f"more than {CONFIG} says"
        raise FileError(f"{shown}: {name} has {answer.size:,} bytes, {why}; it was not fetched")
    return None


def _offline(transfer: Transfer) -> bool:
    from huggingface_hub import constants

    return transfer.local_only or constants.HF_HUB_OFFLINE


def _refuse(address: Address, paths: list[Path], what: str) -> None:
    """Remove files from the cache and report why.

    Raises:
        FileError: always.
    """
    whole = all(_arrived_whole(path) for path in paths)
    if whole and what.endswith(UPDATE):
        raise FileError(f"{address}: {what}")
    left = [path for path in paths if not _remove(path)]
    gone = f"delete {left[0]}" if left else "it was removed from the cache"
    if whole:
        raise FileError(f"{address}: {what}: the fault is in the repository; {gone}; tell its owner")
    raise FileError(
        f"{address}: {what}: the file was damaged in transfer or in the cache; {gone}; try again to fetch it"
    )


def _arrived_whole(path: Path) -> bool:
    """Whether a file in the cache has the hash by which the server named it: of a git blob or a sha256."""
    name = Path(os.path.realpath(path)).name
    return name in (file_sha256(path), git_blob(path))


def _remove(path: Path) -> bool:
    """Remove a file of the cache: the link in the snapshot, and its target. Returns whether both are gone."""
    blob = Path(os.path.realpath(path))
    for place in {path, blob}:
        with contextlib.suppress(OSError):
            place.unlink(missing_ok=True)
    return not os.path.lexists(path) and not blob.exists()


def git_blob(path: Path) -> str:
    """The hash that git gives to a file's content."""
    content = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
