"""What is written comes back, in every format, at UTM coordinates."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from attributes import utm_cloud

from pcsr_zoo.cloud import Cloud
from pcsr_zoo.io import READ_SUFFIXES, WRITE_SUFFIXES, read, write

EVERYTHING = ("colors", "normals", "intensity", "labels", "gps_time", "features", "echo")
HELD = {
    ".ply": EVERYTHING,
    ".pcd": EVERYTHING,
    ".las": EVERYTHING,
    ".laz": EVERYTHING,
    ".txt": EVERYTHING,
    ".asc": EVERYTHING,
    ".csv": EVERYTHING,
    ".npz": EVERYTHING,
    ".xyz": ("normals",),
    ".xyzn": ("normals",),
    ".xyzrgb": ("colors",),
    ".pts": ("intensity", "colors"),
    ".npy": ("features",),
    ".e57": EVERYTHING,
}
EXACT = (
    ".ply",
    ".pcd",
    ".npz",
    ".e57",
)  # dtypes survive too; in text they become what NumPy parses, in LAS what LAS has
LAS = (".las", ".laz")


def test_the_table_above_covers_every_written_format() -> None:
    assert set(HELD) | {".bin"} == set(WRITE_SUFFIXES)
    assert set(WRITE_SUFFIXES) < set(READ_SUFFIXES)


@pytest.mark.parametrize("suffix", HELD)
def test_everything_that_the_format_holds_survives(tmp_path, suffix: str) -> None:
    cloud = utm_cloud()
    write(cloud, tmp_path / f"cloud{suffix}")
    back = read(tmp_path / f"cloud{suffix}")
    np.testing.assert_allclose(back.positions, cloud.positions, rtol=0, atol=2e-4 if suffix in LAS else 0)
    for name in HELD[suffix]:
        given, found = cloud.attributes[name], back.attributes[name]
        if suffix in EXACT:
            assert found.dtype == given.dtype, name
        if name == "colors" and suffix in LAS:
            given = given.astype(np.uint16) * 257
        if name == "colors" and suffix == ".xyzrgb":
            np.testing.assert_allclose(found, given / 255, rtol=1e-12)
            continue
        np.testing.assert_array_equal(found.astype(given.dtype), given, err_msg=name)
        assert found.shape == given.shape
    extra = set(back.attributes) - set(HELD[suffix])
    assert not extra or suffix in LAS  # LAS has its standard dimensions


@pytest.mark.parametrize("suffix", HELD)
def test_a_second_round_changes_nothing(tmp_path, suffix: str) -> None:
    write(utm_cloud(), tmp_path / f"a{suffix}")
    first = read(tmp_path / f"a{suffix}")
    write(first, tmp_path / f"b{suffix}")
    second = read(tmp_path / f"b{suffix}")
    np.testing.assert_array_equal(first.positions, second.positions)
    assert set(first.attributes) == set(second.attributes)
    for name, values in first.attributes.items():
        np.testing.assert_allclose(second.attributes[name], values, rtol=0, atol=1e-9, err_msg=name)


@pytest.mark.parametrize("suffix", WRITE_SUFFIXES)
@pytest.mark.parametrize("n", [0, 1])
def test_none_and_one_point(tmp_path, suffix: str, n: int) -> None:
    cloud = utm_cloud(2)[:n]
    if suffix == ".bin":
        cloud.positions -= [5e5, 4e6, 0]
    write(cloud, tmp_path / f"c{suffix}")
    if n == 0 and suffix in (".bin", ".xyz", ".xyzn", ".xyzrgb"):
        assert (tmp_path / f"c{suffix}").stat().st_size == 0  # nothing to tell it from a file cut to nothing
        return
    back = read(tmp_path / f"c{suffix}")
    assert len(back) == n
    np.testing.assert_allclose(back.positions, cloud.positions, atol=1e-3)


@pytest.mark.parametrize("suffix", [".ply", ".pcd", ".xyz", ".npy"])
def test_float32_sources_stay_float32_only_where_that_loses_nothing(tmp_path, suffix: str) -> None:
    near = Cloud(np.random.default_rng(0).random((100, 3)).astype(np.float32), None, {"position_dtype": "float32"})
    far = Cloud(near.positions + np.array([5e5, 4e6, 0]), None, {"position_dtype": "float32"})
    for name, cloud in (("near", near), ("far", far)):
        write(cloud, tmp_path / f"{name}{suffix}")
        back = read(tmp_path / f"{name}{suffix}").positions
        if name == "near":
            back = back.astype(np.float32)
        np.testing.assert_array_equal(back, cloud.positions)
    if suffix != ".xyz":
        sizes = [(tmp_path / f"{name}{suffix}").stat().st_size for name in ("near", "far")]
        assert 1000 < sizes[1] - sizes[0] < 1400  # 100 points x 3 x 4 bytes


def test_what_does_not_fit_is_reported(tmp_path, caplog) -> None:
    with caplog.at_level(logging.WARNING, "pcsr_zoo"):
        write(utm_cloud(), tmp_path / "a.pts")
    assert "normals" in caplog.text
    assert "gps_time" in caplog.text
    assert "intensity" not in caplog.text
    caplog.clear()
    with caplog.at_level(logging.WARNING, "pcsr_zoo"):
        write(utm_cloud(), tmp_path / "a.ply")
    assert not caplog.text


def test_float_and_16_bit_colors(tmp_path) -> None:
    colors = np.array([[0, 0.5, 1], [0.2, 0.4, 0.6]])
    for suffix in (".ply", ".pcd", ".csv", ".las"):
        write(Cloud(np.eye(3)[:2], {"colors": colors}), tmp_path / f"f{suffix}")
        np.testing.assert_allclose(read(tmp_path / f"f{suffix}").colors_as_float(), colors, atol=0.5 / 255 + 1e-9)
        deep = (colors * 65535).astype(np.uint16)
        write(Cloud(np.eye(3)[:2], {"colors": deep}), tmp_path / f"d{suffix}")
        atol = 0.5 / 255 + 1e-9 if suffix in (".pcd", ".ply") else 1e-9
        np.testing.assert_allclose(read(tmp_path / f"d{suffix}").colors_as_float(), deep / 65535, atol=atol)
