"""A checkpoint from the Hub, by way of the cache of huggingface_hub: fetched, checked, and its folder there."""

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
from .config import AGAIN, CONFIG, LONGEST, UPDATE, WEIGHTS
from .folder import check_arguments, read_config, trained_class
from .hub_errors import explained, is_unreachable, status_of
from .untrusted_text import quoted

_log = logging.getLogger(__name__)

_ETAG, _COMMIT = re.compile(r"[A-Za-z0-9._-]{1,128}"), re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class Transfer:
    """How the client gets files; the defaults are its own."""

    token: str | bool | None = None
    cache_dir: str | Path | None = None
    force: bool = False
    local_only: bool = False


def fetch(address: Address, transfer: Transfer | None = None, expected: Mapping[str, Any] | None = None) -> Path:
    """The folder in the cache with a checkpoint's config.json and model.safetensors, of one commit, checked.

    A commit that is in the cache is taken from there without a request. A branch is asked for; if the Hub cannot be
    reached, the copy in the cache is taken, and a warning says so.

    Args:
        address: where it is.
        transfer: token, cache, and so on.
        expected: the configuration that it must have, so far as weights depend on it.

    Raises:
        FileError: it cannot be had, or is no good; the message names the repository and says what to do. What is
            damaged is removed from the cache.
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
            raise FileError(f"{address}: its '{differ[0]}' is not the one that this version knows; update pcsr-zoo")
    weights = _file(address.at(commit), WEIGHTS, transfer, shown=address)
    found = file_sha256(weights)
    if found != config["sha256"]:
        hashes = f"sha256 {found[:12]}…, not {config['sha256'][:12]}…"
        what = f"{WEIGHTS} is not the file that {CONFIG} belongs to ({hashes})"
        _refuse(address, [weights, path], what)
    return folder


def cached(address: Address, transfer: Transfer | None = None) -> Path | None:
    """The folder of the cache where it is, unchecked; None where it is not. Makes no request."""
    from huggingface_hub import try_to_load_from_cache

    folder = (transfer or Transfer()).cache_dir
    found: Any = None
    for name in (WEIGHTS, CONFIG):
        found = try_to_load_from_cache(address.repository, name, cache_dir=folder, revision=address.revision)
        if not isinstance(found, str):  # None, or an object that stands for a file that does not exist
            return None
    return Path(found).parent


def _file(address: Address, name: str, transfer: Transfer, shown: Address | None = None) -> Path:
    """A file of the repository in the cache; messages name the address that the user gave, `shown`."""
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
        with contextlib.suppress(Exception):  # it is not there, which the client says better
            return Path(hf_hub_download(**options, local_files_only=True))
        return None

    with explained(str(shown), name, transfer.cache_dir):
        if (address.fixed or _offline(transfer)) and not transfer.force and (path := of_the_cache()):
            return path
        if not _offline(transfer) and (silence := _silence(address, name, transfer, shown)):
            path = of_the_cache() if not transfer.force else None
            if path is None and status_of(silence) != 429:  # there the client knows how long to wait
                raise LocalEntryNotFoundError("neither on the Hub nor in the cache") from silence
            if path is not None:
                commit = path.parent.name
                _log.warning("the Hub cannot be reached: '%s' is taken from the cache (commit %s)", shown, commit)
                return path
        return Path(hf_hub_download(**options, force_download=transfer.force, local_files_only=transfer.local_only))


def _silence(address: Address, name: str, transfer: Transfer, shown: Address) -> Exception | None:
    """Why the Hub did not answer; None if it did. Its answer is looked at before the client makes paths of it.

    Raises:
        FileError: it would lead out of the cache, to an absurd file, or to another commit than was asked for.
    """
    from huggingface_hub import get_hf_file_metadata, hf_hub_url

    try:
        url = hf_hub_url(address.repository, name, revision=address.revision)
        answer = get_hf_file_metadata(url, token=transfer.token)
    except Exception as error:  # a refusal comes again when the client asks
        return error if is_unreachable(error) else None
    if not _ETAG.fullmatch(answer.etag or "x") or ".." in (answer.etag or ""):
        raise FileError(f"{shown}: the server's name for {name} leads out of the cache; is HF_ENDPOINT right?")
    if not _COMMIT.fullmatch(answer.commit_hash or "0" * 40):
        named = quoted(answer.commit_hash)
        raise FileError(f"{shown}: the server names no commit but {named}; is HF_ENDPOINT right?")
    if address.fixed and answer.commit_hash not in (None, address.revision):
        other = f"{answer.commit_hash} for {address.revision}"
        raise FileError(f"{shown}: the server gives another commit, {other}; is HF_ENDPOINT right?")
    if name == CONFIG and (answer.size or 0) > LONGEST:
        raise FileError(f"{shown}: {CONFIG} has {answer.size:,} bytes, so it is none of ours; it was not fetched")
    return None


def _offline(transfer: Transfer) -> bool:
    from huggingface_hub import constants

    return transfer.local_only or constants.HF_HUB_OFFLINE


def _refuse(address: Address, paths: list[Path], what: str) -> None:
    """Remove files from the cache and say why.

    Raises:
        FileError: always.
    """
    whole = all(_arrived_whole(path) for path in paths)
    if whole and what.endswith(UPDATE):
        raise FileError(f"{address}: {what}")
    left = [path for path in paths if not _remove(path)]
    gone = f"delete {left[0]}" if left else "it was removed from the cache"
    if whole:
        raise FileError(f"{address}: {what}: the repository itself is at fault; {gone}; tell its owner")
    raise FileError(
        f"{address}: {what}: it was damaged on the way or in the cache; {gone}; to fetch it anew, try again"
    )


def _arrived_whole(path: Path) -> bool:
    """Whether a file in the cache is the one that the server named by its hash, a git blob's or a sha256."""
    name = Path(os.path.realpath(path)).name
    return name in (file_sha256(path), git_blob(path))


def _remove(path: Path) -> bool:
    """A file of the cache: what the snapshot shows, and what it links to."""
    blob = Path(os.path.realpath(path))
    for place in {path, blob}:
        with contextlib.suppress(OSError):
            place.unlink(missing_ok=True)
    return not os.path.lexists(path) and not blob.exists()


def git_blob(path: Path) -> str:
    """The name that git has for a file's content."""
    content = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
