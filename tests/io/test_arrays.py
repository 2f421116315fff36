"""KITTI .bin, .npy and .npz against NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from attributes import utm_cloud

from pcsr_zoo.cloud import Cloud
from pcsr_zoo.errors import FileError
from pcsr_zoo.io import read, write


def test_kitti(tmp_path) -> None:
    table = np.random.default_rng(0).normal(size=(100, 4)).astype("<f4")
    table[:, 3] = np.abs(table[:, 3])
    table.tofile(tmp_path / "a.bin")
    cloud = read(tmp_path / "a.bin")
    np.testing.assert_array_equal(cloud.positions, table[:, :3])
    np.testing.assert_array_equal(cloud.attributes["intensity"], table[:, 3])
    write(cloud, tmp_path / "b.bin")
    assert (tmp_path / "b.bin").read_bytes() == (tmp_path / "a.bin").read_bytes()
    write(Cloud(cloud.positions), tmp_path / "c.bin")
    np.testing.assert_array_equal(np.fromfile(tmp_path / "c.bin", "<f4").reshape(-1, 4)[:, 3], 0)


@pytest.mark.parametrize("size", [1, 15, 17, 12, 1604])
def test_kitti_of_odd_size(tmp_path, size: int) -> None:
    (tmp_path / "a.bin").write_bytes(bytes(size))
    with pytest.raises(FileError, match=rf"a\.bin .*{size} bytes"):
        read(tmp_path / "a.bin")


def test_kitti_cannot_hold_utm(tmp_path) -> None:
    with pytest.raises(FileError, match=r"a\.bin.*float32"):
        write(utm_cloud(), tmp_path / "a.bin")
    assert not (tmp_path / "a.bin").exists()
    scan = np.random.default_rng(0).random((1000, 3)) * [80, 80, 5]
    write(Cloud(scan), tmp_path / "b.bin")
    np.testing.assert_allclose(read(tmp_path / "b.bin").positions, scan, atol=1e-5)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16, np.int32])
@pytest.mark.parametrize("width", [3, 4, 7])
def test_npy(tmp_path, dtype, width: int) -> None:
    table = (np.random.default_rng(0).normal(size=(50, width)) * 100).astype(dtype)
    np.save(tmp_path / "a.npy", table)
    cloud = read(tmp_path / "a.npy")
    np.testing.assert_array_equal(cloud.positions, table[:, :3])
    if width > 3:
        np.testing.assert_array_equal(cloud.attributes["features"], table[:, 3:])
    write(cloud, tmp_path / "b.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "b.npy"), table)


@pytest.mark.parametrize("name", ["positions", "xyz", "points", "pos", "only_one"])
def test_npz_names(tmp_path, name: str) -> None:
    points = np.random.default_rng(0).random((5, 3))
    others = {} if name == "only_one" else {"labels": np.arange(5), "mesh": np.zeros((9, 3)), "title": np.array("cat")}
    np.savez_compressed(tmp_path / "a.npz", **{name: points}, **others)
    cloud = read(tmp_path / "a.npz")
    np.testing.assert_array_equal(cloud.positions, points)
    assert list(cloud.attributes) == (["labels"] if others else [])


def test_npz_is_read_by_numpy(tmp_path) -> None:
    cloud = utm_cloud()
    cloud.attributes["file"] = np.arange(len(cloud))  # np.savez(file=...) would fail
    write(cloud, tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz") as archive:
        assert set(archive.files) == {"positions", *cloud.attributes}
        np.testing.assert_array_equal(archive["positions"], cloud.positions)
        for name, values in cloud.attributes.items():
            assert archive[name].dtype == values.dtype
            np.testing.assert_array_equal(archive[name], values)


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_broken_arrays(tmp_path, suffix: str) -> None:
    path, good = tmp_path / f"broken{suffix}", tmp_path / f"good{suffix}"
    write(Cloud(np.random.default_rng(0).random((40, 3))), good)
    whole = good.read_bytes()
    contents = [whole[: len(whole) // 2], whole[:-7], whole[:20], b"nonsense", b"\x93NUMPY", b"PK\x03\x04"]
    for content in contents:
        path.write_bytes(content)
        with pytest.raises(FileError, match=rf"broken\{suffix}"):
            read(path)


@pytest.mark.parametrize(
    "array",
    [np.zeros(5), np.zeros((5, 2)), np.zeros((2, 5, 3)), np.array([["a", "b", "c"]]),
     np.zeros((5, 3), complex), np.array([[1, 2, None]], dtype=object)],
)  # fmt: skip
def test_arrays_that_are_no_clouds(tmp_path, array: np.ndarray) -> None:
    np.save(tmp_path / "a.npy", array)
    np.savez(tmp_path / "a.npz", positions=array)
    for name in ("a.npy", "a.npz"):
        with pytest.raises(FileError, match=name):
            read(tmp_path / name)


def test_a_pickle_is_never_loaded(tmp_path) -> None:
    class Trap:
        def __reduce__(self):
            return (exec, (f"open({str(tmp_path / 'sprung')!r}, 'w').close()",))

    np.save(tmp_path / "a.npy", np.array([Trap()], dtype=object))
    np.savez(tmp_path / "a.npz", positions=np.array([Trap()], dtype=object))
    for name in ("a.npy", "a.npz"):
        with pytest.raises(FileError):
            read(tmp_path / name)
    assert not (tmp_path / "sprung").exists()


def test_npz_without_positions_lists_what_there_is(tmp_path) -> None:
    np.savez(tmp_path / "a.npz", alpha=np.zeros(3), beta=np.zeros(3))
    with pytest.raises(FileError, match="alpha, beta"):
        read(tmp_path / "a.npz")
