"""Translate errors of huggingface_hub into `FileError`s that name the repository and say what to do."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator

from ..errors import FileError, PcsrError
from .untrusted_text import one_line

_LOGIN = "log in (hf auth login) or set HF_TOKEN"
_CANNOT_WRITE = {
    errno.ENOSPC: "the disk is full: free some space, or set HF_HOME to a folder on another disk",
    errno.EROFS: "it is read-only: set HF_HOME to a folder that you may write to",
    errno.EACCES: "you may not write to it: set HF_HOME to a folder of your own",
    errno.EPERM: "you may not write to it: set HF_HOME to a folder of your own",
    errno.ENOTDIR: "a part of its path is a file: set HF_HOME to a folder",
    errno.EEXIST: "a part of its path is a file: set HF_HOME to a folder",
    errno.ENAMETOOLONG: "its path is too long: set HF_HOME to a shorter one",
}
if hasattr(errno, "EDQUOT"):  # not on Windows
    _CANNOT_WRITE[errno.EDQUOT] = _CANNOT_WRITE[errno.ENOSPC]


@contextlib.contextmanager
def explained(address: str, what: str, cache: str | os.PathLike[str] | None = None) -> Iterator[None]:
    """A context that translates the exceptions of huggingface_hub into `FileError`.

    Args:
        address: the repository's address as the user wrote it.
        what: name of the file that is fetched, or "push".
        cache: folder of the cache; None for the default one.
    """
    try:
        yield
    except PcsrError:
        raise
    except Exception as error:
        if "Invalid metadata in README.md" in str(error):  # the Hub checks a card before it accepts it
            what_is_wrong = one_line(str(error).partition("README.md")[2]).lstrip(". ")
            raise FileError(
                f"{address}: the Hub refuses the front matter of README.md: {what_is_wrong}; correct it"
            ) from error
        reason = (
            error.__cause__ if isinstance(error, ValueError) and error.__cause__ else error
        )  # raised by a forced download
        raise FileError(f"{address}: {_explain(reason, address, what, cache)}") from error


def is_unreachable(error: BaseException) -> bool:
    """Whether the Hub did not answer, or answered with a temporary error. A later try may succeed."""
    status = status_of(error)
    if status is not None:
        return status >= 500 or status in (408, 429)
    return not isinstance(error, (PcsrError, UnicodeError)) and getattr(error, "errno", None) not in _CANNOT_WRITE


def _explain(error: BaseException, address: str, what: str, cache: str | os.PathLike[str] | None) -> str:
    from huggingface_hub import constants, errors

    repository = address.removeprefix("hf:").partition("@")[0]
    page = f"{constants.ENDPOINT}/{repository}"
    status = status_of(error)
    if isinstance(error, errors.LocalEntryNotFoundError):
        return _not_in_the_cache(error, address, cache)
    if isinstance(error, errors.GatedRepoError):
        return f"access is given on request only; request it at {page}, then {_LOGIN}"
    if isinstance(error, errors.DisabledRepoError):
        return f"the repository was disabled; see {page}"
    if isinstance(error, errors.RepositoryNotFoundError):
        return f"no such repository at {constants.ENDPOINT}, or it is private; check the name, or {_LOGIN}"
    if isinstance(error, errors.RevisionNotFoundError):
        return f"the repository has no such revision; see its branches and tags at {page}"
    if isinstance(error, errors.EntryNotFoundError):
        return f"the repository has no {what}, so it is not a checkpoint of pcsr-zoo (pickle files are not read)"
    if status == 412:
        return "the repository changed during this command; check its content, then try again"
    if isinstance(error, errors.OfflineModeIsEnabled):
        return "HF_HUB_OFFLINE is set, so no request is made; unset it"
    if isinstance(error, UnicodeError):
        return "the token contains invalid characters and was not sent; check HF_TOKEN, or log in (hf auth login)"
    if status in (401, 403):
        doing = "pushing to it" if what == "push" else "access to it"
        return f"the Hub refuses {doing} (status {status}); {_LOGIN}, and check the permissions of the token"
    if status == 429:
        return "the Hub refuses more requests for now (status 429); wait a while, then try again"
    if status is not None:
        return f"the Hub answered with an error (status {status}); try again later, or see {page}"
    number = getattr(error, "errno", None)
    if number is not None and number in _CANNOT_WRITE:
        return f"cannot write to the cache {cache or constants.HF_HUB_CACHE}; {_CANNOT_WRITE[number]}"
    if "Consistency check failed" in str(error):
        return f"the download of {what} was incomplete and was removed; try again"
    return f"{_unreachable(error)}; check the connection (proxies, HF_ENDPOINT), then try again"


def _not_in_the_cache(error: BaseException, address: str, cache: str | os.PathLike[str] | None) -> str:
    from huggingface_hub import constants

    cause = error.__cause__
    where = f"it is not in the cache {cache or constants.HF_HUB_CACHE}"
    remedy = (
        f"fetch it while online (pcsr models pull {address}), or copy that cache, or the checkpoint's folder, from a "
        "machine that has it"
    )
    if constants.HF_HUB_OFFLINE:
        return f"{where}, and HF_HUB_OFFLINE is set, so no request is made; {remedy}"
    if cause is None:
        return f"{where}, and local_files_only allows no request to the Hub; {remedy}"
    status = status_of(cause)
    if status is not None and status < 500:
        return _explain(cause, address, "", cache)
    if status is not None:
        return f"{where}, and the Hub at {constants.ENDPOINT} has a temporary error (status {status}); try again later"
    return f"{where}, and {_unreachable(cause)}; check the connection (proxies, HF_ENDPOINT), or {remedy}"


def _unreachable(error: BaseException) -> str:
    from huggingface_hub import constants

    reason = one_line(str(error)) or type(error).__name__
    return f"the Hub at {constants.ENDPOINT} cannot be reached ({reason})"


def status_of(error: BaseException) -> int | None:
    """The HTTP status of an error that is an answer of the server; None for others."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    return status if isinstance(status, int) else None
