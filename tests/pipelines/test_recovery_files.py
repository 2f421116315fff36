"""The recovery note in every format: it comes back, and other readers do not mind it."""

from __future__ import annotations

import hashlib
import json
import os

import numpy as np
import pytest
from model_contract import UTM, torus_cloud, with_attributes

from pcsr_zoo import Cloud, read, recover, sample, write
from pcsr_zoo._open3d import import_open3d
from pcsr_zoo.errors import FileError
from pcsr_zoo.io import WRITE_SUFFIXES, describe

POINTS = torus_cloud(400)
IN_HEADER = (".ply", ".pcd", ".las", ".laz", ".npz", ".e57")


@pytest.fixture(scope="module")
def few() -> Cloud:
    cloud = with_attributes(POINTS)
    cloud.attributes = {name: cloud.attributes[name] for name in ("normals", "colors", "intensity")}
    return sample(Cloud(POINTS, cloud.attributes), 8)


def stored(cloud: Cloud, path) -> Cloud:
    if path.suffix in (".las", ".laz"):
        pytest.importorskip("laspy")
    write(cloud, path)
    return read(path)


@pytest.mark.parametrize("suffix", WRITE_SUFFIXES)
def test_the_note_comes_back(few, tmp_path, suffix):
    path = tmp_path / f"a.few{suffix}"
    result = stored(few, path)
    assert result.metadata["pcsr"] == few.metadata["pcsr"]
    assert sorted(os.listdir(tmp_path)) == [path.name] + [f"{path.name}.pcsr.json"] * (suffix not in IN_HEADER)
    assert describe(path)["recovery"] == few.metadata["pcsr"]
    again = stored(result, tmp_path / f"b{suffix}")
    assert again.metadata["pcsr"] == few.metadata["pcsr"]
    if suffix in IN_HEADER:  # from one format into another
        assert stored(result, tmp_path / "c.ply").metadata["pcsr"] == few.metadata["pcsr"]
    np.testing.assert_allclose(result.positions, few.positions, atol=1e-4)


@pytest.mark.parametrize("suffix", WRITE_SUFFIXES)
def test_what_is_no_sample_has_no_note(few, tmp_path, suffix):
    """Not even where a sample of the same name was, and not from the cloud that styles it."""
    path = tmp_path / f"a{suffix}"
    stored(few, path)
    dense = recover(few, 2, model="midpoint")
    write(dense, path, like=few)
    assert "pcsr" not in read(path).metadata
    assert os.listdir(tmp_path) == [path.name]
    assert b"pcsr-zoo {" not in path.read_bytes()


def test_the_note_of_the_sample_not_of_its_source(few, tmp_path):
    fewer = sample(few, 2)
    write(fewer, tmp_path / "a.ply", like=few)
    assert read(tmp_path / "a.ply").metadata["pcsr"]["points"] == 50


# -- other readers --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".ply", ".pcd", ".xyz", ".xyzn", ".xyzrgb", ".pts"])
def test_open3d_reads_the_samples(few, tmp_path, suffix):
    o3d = import_open3d()
    write(few, tmp_path / f"a{suffix}")
    legacy = o3d.io.read_point_cloud(str(tmp_path / f"a{suffix}"))
    np.testing.assert_allclose(np.asarray(legacy.points), few.positions, atol=1e-6)
    if suffix in (".ply", ".pcd"):
        tensor = o3d.t.io.read_point_cloud(str(tmp_path / f"a{suffix}"))
        np.testing.assert_allclose(tensor.point["positions"].numpy(), few.positions, atol=1e-6)
        np.testing.assert_array_equal(np.rint(np.asarray(legacy.colors) * 255), few.attributes["colors"])


@pytest.mark.parametrize("suffix", [".las", ".laz"])
def test_laspy_reads_the_samples(few, tmp_path, suffix):
    laspy = pytest.importorskip("laspy")
    path = tmp_path / f"a{suffix}"
    write(few, path)
    las = laspy.read(path)
    np.testing.assert_allclose(las.xyz, few.positions, atol=1e-4)
    (record,) = [v for v in las.header.vlrs if v.user_id == "pcsr-zoo"]
    assert json.loads(record.record_data) == few.metadata["pcsr"]
    stored(read(path), path)  # not twice
    assert len([v for v in laspy.read(path).header.vlrs if v.user_id == "pcsr-zoo"]) == 1


def test_numpy_reads_the_samples(few, tmp_path):
    write(few, tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz", allow_pickle=False) as arrays:
        np.testing.assert_array_equal(arrays["positions"], few.positions)
        assert json.loads(str(arrays["pcsr.json"])) == few.metadata["pcsr"]
    write(few, tmp_path / "a.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), few.positions)
    write(few, tmp_path / "a.xyz")
    np.testing.assert_allclose(np.loadtxt(tmp_path / "a.xyz")[:, :3], few.positions)


# -- what may be wrong ----------------------------------------------------------------------------------------------


def test_a_side_note_of_another_file_is_left_aside(few, tmp_path, caplog):
    path = tmp_path / "a.xyz"
    write(few, path)
    beside = json.loads((tmp_path / "a.xyz.pcsr.json").read_text())
    assert beside["file"] == f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
    np.savetxt(path, few.positions[::-1])
    assert "pcsr" not in read(path).metadata
    assert "a.xyz.pcsr.json" in caplog.text


@pytest.mark.parametrize("text", ["{", "[]", '{"model": "jet"}', "\xff", "[" * 100_000])
def test_a_damaged_note_is_told_and_left_aside(few, tmp_path, caplog, text):
    write(few, tmp_path / "a.xyz")
    (tmp_path / "a.xyz.pcsr.json").write_text(text, encoding="latin-1")
    assert len(read(tmp_path / "a.xyz")) == 50
    assert "a.xyz.pcsr.json" in caplog.text
    caplog.clear()
    write(few, tmp_path / "a.ply")
    data = (tmp_path / "a.ply").read_bytes()
    (tmp_path / "a.ply").write_bytes(data.replace(b'"points":400', b'"points":"x"'))
    assert "pcsr" not in read(tmp_path / "a.ply").metadata
    assert "a.ply" in caplog.text


def test_a_cloud_that_cannot_be_written_leaves_nothing(few, tmp_path):
    few = Cloud(few.positions + 1e9, metadata=few.metadata)
    with pytest.raises(FileError, match="float32"):
        write(few, tmp_path / "a.bin")
    assert os.listdir(tmp_path) == []


# -- a grid in LAS and LAZ ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shift", [0, UTM], ids=["here", "utm"])
def test_laz_stores_the_grid_itself(tmp_path, shift):
    laspy = pytest.importorskip("laspy")
    dense = Cloud(POINTS * 50 + shift)
    few = sample(dense, 4, bits=10)
    result = stored(few, tmp_path / "a.laz")
    np.testing.assert_array_equal(result.positions, few.positions)
    las = laspy.read(tmp_path / "a.laz")
    cells = np.stack([las.X, las.Y, las.Z], axis=1)
    assert cells.min() == 0
    assert cells.max() == 2**10 - 1
    np.testing.assert_array_equal(stored(result, tmp_path / "b.laz").positions, few.positions)
    many = Cloud(torus_cloud(4000) * 50 + shift)
    write(sample(many, 2, bits=10), tmp_path / "a.laz")
    write(sample(many, 2), tmp_path / "plain.laz")
    assert os.stat(tmp_path / "a.laz").st_size < 0.6 * os.stat(tmp_path / "plain.laz").st_size


def test_what_is_recovered_is_not_on_the_grid(tmp_path):
    """... and a LAS file that was sampled and recovered has the scale and offset that it had at first."""
    laspy = pytest.importorskip("laspy")
    header = laspy.LasHeader(point_format=6, version="1.4")
    header.scales, header.offsets = [0.001, 0.002, 0.001], [500_000, 4_600_000, 200]
    las = laspy.LasData(header)
    las.x, las.y, las.z = (POINTS * 50 + UTM).T
    las.write(tmp_path / "scan.las")
    write(sample(tmp_path / "scan.las", 4, bits=6), tmp_path / "small.laz")
    small = read(tmp_path / "small.laz")
    step = np.ptp(small.positions, axis=0).max() / 63
    dense = recover(small, model="midpoint")
    write(dense, tmp_path / "dense.laz", like=small)
    result = laspy.read(tmp_path / "dense.laz")
    np.testing.assert_array_equal(result.header.scales, header.scales)
    np.testing.assert_array_equal(result.header.offsets, header.offsets)
    assert not [v for v in result.header.vlrs if v.user_id == "pcsr-zoo"]
    assert np.abs(result.xyz - dense.positions).max() <= 0.00101
    assert step > 1
    assert len(result) == 400


def test_points_that_left_the_grid_are_not_put_back(tmp_path):
    pytest.importorskip("laspy")
    few = sample(Cloud(POINTS), 4, bits=3)
    moved = Cloud(few.positions + np.linspace(0, 0.1, 300).reshape(100, 3), metadata=few.metadata)
    np.testing.assert_allclose(stored(moved, tmp_path / "a.las").positions, moved.positions, atol=1e-5)


def test_a_grid_halves_the_bytes_of_a_ply(tmp_path):
    """Double positions need not stay double on 2^12 steps; far from the origin they must."""
    for shift, most in ((0, 0.65), (UTM, 1.05)):
        dense = Cloud(torus_cloud(2000) * 50 + shift)
        write(sample(dense, 2, bits=12), tmp_path / "grid.ply")
        write(sample(dense, 2), tmp_path / "plain.ply")
        sizes = [os.stat(tmp_path / name).st_size for name in ("grid.ply", "plain.ply")]
        assert sizes[0] < most * sizes[1]
        np.testing.assert_allclose(
            read(tmp_path / "grid.ply").positions, sample(dense, 2, bits=12).positions, rtol=1e-7
        )
