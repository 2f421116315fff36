"""`read`, `write`, `find_clouds` and `describe`, whatever the format."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from attributes import utm_cloud

import pcsr_zoo
from pcsr_zoo.cloud import Cloud
from pcsr_zoo.errors import FileError
from pcsr_zoo.io import READ_SUFFIXES, WRITE_SUFFIXES, describe, find_clouds, read, write


@pytest.mark.parametrize("suffix", READ_SUFFIXES)
def test_missing_empty_and_folder(tmp_path, suffix: str) -> None:
    with pytest.raises(FileError, match=rf"missing\{suffix}: no such file"):
        read(tmp_path / f"missing{suffix}")
    (tmp_path / f"empty{suffix}").touch()
    with pytest.raises(FileError, match=rf"empty\{suffix} is empty"):
        read(tmp_path / f"empty{suffix}")
    (tmp_path / f"folder{suffix}").mkdir()
    with pytest.raises(FileError, match=rf"folder\{suffix} is a folder"):
        read(tmp_path / f"folder{suffix}")


def test_unknown_suffixes(tmp_path) -> None:
    (tmp_path / "a.xls").write_text("x")
    (tmp_path / "a").write_text("x")
    for name, message in (("a.xls", r"'\.xls'"), ("a", "no suffix")):
        with pytest.raises(FileError, match=message) as caught:
            read(tmp_path / name)
        assert all(suffix in str(caught.value) for suffix in READ_SUFFIXES)
    for name in ("a.obj", "a.xls", "a"):
        with pytest.raises(FileError, match="suffix") as caught:
            write(Cloud(np.eye(3)), tmp_path / name)
        assert all(suffix in str(caught.value) for suffix in WRITE_SUFFIXES)
    with pytest.raises(FileError, match="is a folder"):
        read(tmp_path)


def test_a_file_error_is_an_os_error_and_a_plain_sentence(tmp_path) -> None:
    with pytest.raises(OSError) as caught:
        read(str(tmp_path / "a.ply"))
    assert str(caught.value) == f"{tmp_path / 'a.ply'}: no such file"


def test_suffixes_in_capitals(tmp_path) -> None:
    write(utm_cloud(), tmp_path / "A.PLY")
    assert len(read(tmp_path / "A.PLY")) == 257
    write(utm_cloud(), tmp_path / "A.XYZ")
    assert "normals" in read(tmp_path / "A.XYZ").attributes


def test_the_public_functions(tmp_path) -> None:
    cloud = utm_cloud()
    pcsr_zoo.write(cloud, tmp_path / "a.ply")
    np.testing.assert_array_equal(pcsr_zoo.read(tmp_path / "a.ply").positions, cloud.positions)


def test_find_clouds(tmp_path) -> None:
    for name in ("b.ply", "A.LAS", "c.txt", "notes.md", ".hidden.ply", "weights.safetensors"):
        (tmp_path / name).touch()
    (tmp_path / "sub.ply").mkdir()
    assert [p.name for p in find_clouds(tmp_path)] == ["A.LAS", "b.ply", "c.txt"]
    assert find_clouds(str(tmp_path / "notes.md")) == [tmp_path / "notes.md"]
    with pytest.raises(FileError, match="nothing"):
        find_clouds(tmp_path / "nothing")
    with pytest.raises(FileError, match=r"sub\.ply.* \.npz"):
        find_clouds(tmp_path / "sub.ply")


@pytest.mark.parametrize("suffix", WRITE_SUFFIXES)
def test_describe(tmp_path, suffix: str) -> None:
    cloud = utm_cloud()
    if suffix == ".bin":
        cloud.positions -= [5e5, 4e6, 0]
    path = tmp_path / f"a{suffix}"
    write(cloud, path)
    about = describe(path)
    assert json.loads(json.dumps(about)) == about
    assert about["kind"] == "cloud"
    assert about["points"] == 257
    assert about["bytes"] == path.stat().st_size
    assert about["bits_per_point"] == pytest.approx(8 * path.stat().st_size / 257)
    np.testing.assert_allclose(about["bounds"], cloud.bounds, atol=2e-4)
    assert about["invalid_points"] == 0
    back = read(path)
    assert set(about["attributes"]) == set(back.attributes)
    for name, text in about["attributes"].items():
        assert text.split(" x ")[0] == str(back.attributes[name].dtype)


def test_describe_a_mesh_and_odd_clouds(tmp_path) -> None:
    (tmp_path / "a.off").write_text("OFF\n3 1 0\n0 0 0\n1 0 0\n0 1 0\n3 0 1 2\n")
    about = describe(tmp_path / "a.off")
    assert (about["kind"], about["points"], about["triangles"]) == ("mesh", 3, 1)
    assert about["bits_per_point"] is None
    (tmp_path / "a.xyz").write_text("0 0 0\nnan 0 0\n")
    about = describe(tmp_path / "a.xyz")
    assert about["invalid_points"] == 1
    assert about["bounds"] == [[0, 0, 0], [0, 0, 0]]
    (tmp_path / "b.xyz").write_text("# nothing\n")
    assert describe(tmp_path / "b.xyz")["bounds"] is None
    (tmp_path / "a.ply").write_text(
        "ply\nformat ascii 1.0\ncomment by hand\nelement vertex 1\nproperty float x\nproperty float y\n"
        "property double z\nend_header\n1 2 3\n"
    )
    about = describe(tmp_path / "a.ply")
    assert about["encoding"] == "ascii"
    assert about["details"] == {"comments": ["by hand"]}


def test_like_gives_metadata_and_types(tmp_path) -> None:
    (tmp_path / "a.ply").write_text(
        "ply\nformat ascii 1.0\ncomment by hand\nelement vertex 2\nproperty float x\nproperty float y\n"
        "property float z\nproperty ushort intensity\nproperty uchar red\nproperty uchar green\n"
        "property uchar blue\nend_header\n1 2 3 4 5 6 7\n1 2 3 4 5 6 7\n"
    )
    source = read(tmp_path / "a.ply")
    new = Cloud(np.eye(3), {"intensity": [0.6, 70000.0, -3.0], "colors": np.full((3, 3), 0.5), "curvature": [0.1] * 3})
    write(new, tmp_path / "b.ply", like=source)
    back = read(tmp_path / "b.ply")
    assert back.metadata["ply"]["comments"] == ["by hand"]
    assert back.attributes["intensity"].dtype == np.uint16
    assert back.attributes["intensity"].tolist() == [1, 65535, 0]
    assert back.attributes["colors"].dtype == np.uint8
    assert (np.abs(back.attributes["colors"].astype(int) - 127.5) <= 0.5).all()
    assert back.attributes["curvature"].tolist() == [0.1] * 3
    assert new.metadata == {}  # the caller's cloud is as it was


def test_nothing_but_our_errors_leaves_a_broken_file(tmp_path) -> None:
    """1,500 damaged files: bytes changed, cut out, doubled. Each is read, or refused with its name."""
    rng = np.random.default_rng(0)
    cloud = utm_cloud(30)
    near = Cloud(cloud.positions - [5e5, 4e6, 0], cloud.attributes)
    suffixes = [suffix for suffix in WRITE_SUFFIXES if suffix != ".laz"]  # lazrs may abort Python on absurd sizes
    refused = unnamed = 0
    for suffix in suffixes:
        write(near, tmp_path / f"good{suffix}")
        whole = (tmp_path / f"good{suffix}").read_bytes()
        path = tmp_path / f"bad{suffix}"
        for _ in range(115):
            data = bytearray(whole)
            start = int(rng.integers(0, min(len(data), 600)))
            kind = rng.integers(0, 3)
            if kind == 0:
                for at in rng.integers(0, min(len(data), 600), 3):
                    data[at] = rng.integers(0, 256)
            elif kind == 1:
                del data[start : start + int(rng.integers(1, 200))]
            else:
                data[start:start] = data[start : start + int(rng.integers(1, 100))]
            path.write_bytes(data)
            try:
                read(path)
            except FileError as error:
                refused += 1
                unnamed += f"bad{suffix}" not in str(error)
    assert refused > 300
    assert unnamed == 0


def test_importing_is_cheap() -> None:
    code = "import sys, pcsr_zoo.io; print(*{'open3d', 'torch', 'scipy', 'laspy'} & set(sys.modules))"
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.strip() == ""
