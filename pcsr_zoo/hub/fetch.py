"""A checkpoint from the Hub, by way of the cache of huggingface_hub: fetched, checked, and its folder there."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .._version import __version__
from ..checkpoint_config import AGAIN, LONGEST, UPDATE
from ..checkpoints import CONFIG, WEIGHTS, check_arguments, read_config, trained_class
from ..errors import FileError
from ..quoting import quoted
from .address import Address
from .faults import explained, is_unreachable, status_of

_log = logging.getLogger(__name__)

_SAME = 10.0  # seconds during which a branch is asked for once, so that the steps of one command see one commit
# Seconds before the Hub is asked again that did not answer, where the cache has nothing either. The client's download
# would go on for 24 seconds, and no argument or variable of it says otherwise; its question for metadata does not.
_PAUSES = (0.5, 1.0)
_SLOW = 2.0  # seconds after which no answer is one: what timed out is not asked again
_ETAG, _COMMIT = re.compile(r"[A-Za-z0-9._-]{1,128}"), re.compile(r"[0-9a-f]{40}")
_asked: dict[tuple[Address, Transfer], tuple[float, Path]] = {}


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
    known = _asked.get((address, transfer))
    if known and time.monotonic() - known[0] < _SAME and not transfer.force and (known[1] / WEIGHTS).is_file():
        return known[1]
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
    found = _sha256(weights)
    if found != config["sha256"]:
        hashes = f"sha256 {found[:12]}…, not {config['sha256'][:12]}…"
        what = f"{WEIGHTS} is not the file that {CONFIG} belongs to ({hashes})"
        _refuse(address, [weights, path], what)
    if not address.fixed:
        _asked[address, transfer] = time.monotonic(), folder
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


def forget_asked() -> None:
    """After a push, a branch is another commit."""
    _asked.clear()


def _file(address: Address, name: str, transfer: Transfer, shown: Address | None = None) -> Path:
    """A file of the repository in the cache; messages name the address that the user gave, `shown`."""
    shown = shown or address
    from huggingface_hub import hf_hub_download

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
            if path is None:
                _ask_again(silence, address, name, transfer, shown)
            else:
                commit = path.parent.name
                _log.warning("the Hub cannot be reached: '%s' is taken from the cache (commit %s)", shown, commit)
                return path
        return Path(hf_hub_download(**options, force_download=transfer.force, local_files_only=transfer.local_only))


def _ask_again(silence: Silence, address: Address, name: str, transfer: Transfer, shown: Address) -> None:
    """Until the Hub answers.

    Raises:
        LocalEntryNotFoundError: it does not, as the client says it.
    """
    from huggingface_hub.errors import LocalEntryNotFoundError

    for pause in _PAUSES:
        if silence.is_a_limit:
            return  # the client knows how long to wait
        if silence.seconds > _SLOW:
            break
        time.sleep(pause)
        again = _silence(address, name, transfer, shown)
        if again is None:
            return
        silence = again
    raise LocalEntryNotFoundError("neither on the Hub nor in the cache") from silence.error


@dataclass(frozen=True)
class Silence:
    """That the Hub did not answer: how, and after how many seconds."""

    error: Exception
    seconds: float

    @property
    def is_a_limit(self) -> bool:
        """Whether it is there, but was asked too often."""
        return status_of(self.error) == 429


def _silence(address: Address, name: str, transfer: Transfer, shown: Address) -> Silence | None:
    """None if the Hub is there. Its answer is looked at before the client makes paths of it.

    Raises:
        FileError: it would lead out of the cache, to an absurd file, or to another commit than was asked for.
    """
    from huggingface_hub import get_hf_file_metadata, hf_hub_url

    start = time.monotonic()
    try:
        url = hf_hub_url(address.repository, name, revision=address.revision)
        answer = get_hf_file_metadata(url, token=transfer.token)
    except Exception as error:  # a refusal comes again when the client asks
        return Silence(error, time.monotonic() - start) if is_unreachable(error) else None
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
    return name in (_sha256(path), git_blob(path))


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


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()
