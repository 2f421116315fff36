"""Addresses on the Hub: what is one, and that nothing else is ever asked for or made a path of."""

# ruff: noqa: F811 - the fixture of hub_server is imported and asked for by name

from __future__ import annotations

import re

import pytest
from hub_server import hub  # noqa: F401

from pcsr_zoo import load
from pcsr_zoo.checkpoints.address import Address
from pcsr_zoo.errors import OptionError


def test_addresses():
    assert Address.parse("hf:a/b") == Address("a/b", "main")
    assert Address.parse("hf://a-1/b.c_d@v1.0") == Address("a-1/b.c_d", "v1.0")
    assert str(Address("a/b")) == "hf:a/b"
    assert str(Address("a/b", "refs/pr/1")) == "hf:a/b@refs/pr/1"
    assert Address("a/b", "0" * 40).fixed
    assert not Address("a/b", "0" * 39).fixed


@pytest.mark.parametrize(
    "text",
    [
        *("hf:", "hf:a", "hf:a/b/c", "hf:../b", "hf:a/..", "hf:../../etc/passwd", "hf:a/b@", "hf:/a/b", "hf:a\\b/c"),
        *("hf:a/b@../../x", "hf:a/b@/etc", "hf:a/b@x/../y", "hf:a/b@x\n", "hf:a/b@-x", "hf:a--b/c", "hf:a /b"),
        *("hf:a/b@x/", "hf:a/b.git", "hf:" + "a" * 60 + "/" + "b" * 60, "hf:a/b@" + "x" * 300, "hf:a/b@\x1b[31m"),
    ],
)
def test_what_is_not_an_address(hub, text):
    with pytest.raises(OptionError, match=re.escape("hf:owner/repo")) as caught:
        load(text)
    assert str(caught.value).isprintable()
    assert hub.requests == []
