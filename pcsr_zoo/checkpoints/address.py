"""Addresses of checkpoints on the Hub: "hf:owner/repo", "hf:owner/repo@revision"."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from ..errors import OptionError
from .untrusted_text import quoted

PREFIX = "hf:"
_PART = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"
_REPOSITORY = re.compile(rf"{_PART}/{_PART}")
_LONGEST = 96  # characters of owner/repo, by the Hub's own rules
_REVISION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,199}")
_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class Address:
    """A repository on the Hub at a revision.

    Both become parts of paths in the cache, so they are checked against path traversal.

    Attributes:
        repository: "owner/repo".
        revision: a branch, a tag, or a commit of 40 hexadecimal digits, which never changes.

    Raises:
        OptionError: the repository or the revision is not valid.
    """

    repository: str
    revision: str = "main"

    def __post_init__(self) -> None:
        name, revision = self.repository, self.revision
        if not _REPOSITORY.fullmatch(name) or any(mark in name for mark in ("..", "--")) or name.endswith(".git"):
            raise OptionError(f"{quoted(name)} is not a repository on the Hub; write hf:owner/repo")
        if len(name) > _LONGEST:
            raise OptionError(f"{quoted(name)} has more than {_LONGEST} characters; write hf:owner/repo")
        if not _REVISION.fullmatch(revision) or ".." in revision or revision.endswith(("/", ".lock")):
            raise OptionError(f"{quoted(revision)} is not a revision; write hf:owner/repo@ and a branch, tag or commit")

    @classmethod
    def parse(cls, text: str) -> Address:
        """Parse "hf:owner/repo" or "hf:owner/repo@revision"; "hf://" is accepted, too.

        Raises:
            OptionError: the text is not a valid address.
        """
        repository, at, revision = text.removeprefix(PREFIX).removeprefix("//").partition("@")
        return cls(repository, revision) if at else cls(repository)

    @property
    def fixed(self) -> bool:
        """Whether the revision is a commit."""
        return _COMMIT.fullmatch(self.revision) is not None

    def at(self, revision: str) -> Address:
        """The same repository at another revision."""
        return replace(self, revision=revision)

    def __str__(self) -> str:
        return f"{PREFIX}{self.repository}" + (f"@{self.revision}" if self.revision != "main" else "")


def is_address(text: object) -> bool:
    """Whether a value is an `Address` or a text that begins with "hf:", valid or not."""
    return isinstance(text, Address) or (isinstance(text, str) and text.startswith(PREFIX))
