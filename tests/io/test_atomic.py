"""A file is written whole or not at all."""

from __future__ import annotations

import builtins
import errno
import os
import sys

import numpy as np
import pytest
from attributes import utm_cloud

from pcsr_zoo.errors import FileError
from pcsr_zoo.io import WRITE_SUFFIXES, read, write
from pcsr_zoo.io.atomic import atomic_path

CONTENT = b"what was there before"


def small_cloud():
    cloud = utm_cloud(50)
    cloud.positions -= [5e5, 4e6, 0]  # KITTI can hold it
    return cloud


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, SystemExit, RuntimeError])
def test_an_interruption_leaves_the_old_file_and_nothing_else(tmp_path, interruption) -> None:
    target = tmp_path / "a.ply"
    target.write_bytes(CONTENT)
    with pytest.raises(interruption), atomic_path(target) as temporary:  # noqa: PT012
        temporary.write_bytes(b"half")
        raise interruption
    assert target.read_bytes() == CONTENT
    assert os.listdir(tmp_path) == ["a.ply"]


def test_success_replaces_and_keeps_the_mode(tmp_path) -> None:
    target = tmp_path / "a.ply"
    target.write_bytes(CONTENT)
    target.chmod(0o640)
    with atomic_path(target) as temporary:
        assert temporary.parent == tmp_path
        assert temporary.suffix == ".ply"
        temporary.write_bytes(b"new")
        assert target.read_bytes() == CONTENT
    assert target.read_bytes() == b"new"
    if os.name == "posix":
        assert target.stat().st_mode & 0o777 == 0o640
    assert os.listdir(tmp_path) == ["a.ply"]


@pytest.mark.skipif(os.name != "posix", reason="symbolic links")
def test_a_symbolic_link_is_followed(tmp_path) -> None:
    (tmp_path / "real.ply").write_bytes(CONTENT)
    (tmp_path / "link.ply").symlink_to("real.ply")
    with atomic_path(tmp_path / "link.ply") as temporary:
        temporary.write_bytes(b"new")
    assert (tmp_path / "link.ply").is_symlink()
    assert (tmp_path / "real.ply").read_bytes() == b"new"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
@pytest.mark.parametrize("suffix", [suffix for suffix in WRITE_SUFFIXES if suffix != ".e57"])  # not by Python's open
def test_full_disk(tmp_path, monkeypatch, suffix: str) -> None:
    """The kernel's own ENOSPC: every file opened for writing is /dev/full."""
    real_open, cloud, target = builtins.open, small_cloud(), tmp_path / f"a{suffix}"
    write(cloud, tmp_path / f"old{suffix}")  # the imports need `open` too
    target.write_bytes(CONTENT)

    def full(file, mode="r", *args, **options):
        if "w" in mode and str(tmp_path) in str(file):
            real_open(file, "wb").close()
            file, mode = "/dev/full", mode.replace("+", "")
        return real_open(file, mode, *args, **options)

    monkeypatch.setattr(builtins, "open", full)
    monkeypatch.setattr("io.open", full)
    with pytest.raises(FileError, match=rf"a\{suffix}: .*(space|disk)"):
        write(cloud, target)
    assert target.read_bytes() == CONTENT
    assert sorted(os.listdir(tmp_path)) == [f"a{suffix}", f"old{suffix}"]


@pytest.mark.parametrize("suffix", WRITE_SUFFIXES)
def test_interrupted_just_before_the_replacement(tmp_path, monkeypatch, suffix: str) -> None:
    target = tmp_path / f"a{suffix}"
    write(small_cloud(), target)
    before = target.read_bytes()
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        write(small_cloud()[:7], target)
    assert target.read_bytes() == before
    assert os.listdir(tmp_path) == [target.name]


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.EPERM, errno.ENOSPC])
def test_what_the_system_refuses_is_named_with_a_remedy(tmp_path, monkeypatch, number: int) -> None:
    def refuse(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(FileError, match=r"a\.ply") as caught:
        write(small_cloud(), tmp_path / "a.ply")
    assert os.strerror(number) in str(caught.value)
    assert ";" in str(caught.value)  # the remedy
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() == 0, reason="root may write anywhere")
def test_read_only_folder(tmp_path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(FileError, match="permissions"):
            write(small_cloud(), tmp_path / "a.ply")
    finally:
        tmp_path.chmod(0o700)


@pytest.mark.parametrize("suffix", WRITE_SUFFIXES)
def test_folders_and_devices_are_refused(tmp_path, suffix: str) -> None:
    (tmp_path / f"folder{suffix}").mkdir()
    with pytest.raises(FileError, match="is a folder"):
        write(small_cloud(), tmp_path / f"folder{suffix}")
    with pytest.raises(FileError, match="does not exist; create it"):
        write(small_cloud(), tmp_path / "missing" / f"a{suffix}")
    if os.path.exists("/dev/null"):
        (tmp_path / f"null{suffix}").symlink_to("/dev/null")
        with pytest.raises(FileError, match="not a regular file"):
            write(small_cloud(), tmp_path / f"null{suffix}")


def test_an_existing_file_is_replaced_by_a_readable_one(tmp_path) -> None:
    (tmp_path / "a.pcd").write_bytes(CONTENT)
    write(small_cloud(), tmp_path / "a.pcd")
    assert len(read(tmp_path / "a.pcd")) == 50
    assert np.isfinite(read(tmp_path / "a.pcd").positions).all()
