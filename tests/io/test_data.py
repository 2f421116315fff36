"""Real scans, counted by independent readers. Needs the folder that PCSR_DATA names."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from pcsr_zoo._open3d import import_open3d
from pcsr_zoo.io import describe, read, read_mesh, write

ROOT = Path(os.environ.get("PCSR_DATA", "/nonexistent"))
pytestmark = [pytest.mark.data, pytest.mark.skipif(not ROOT.is_dir(), reason="PCSR_DATA names no folder")]


def files(*suffixes: str, under: str = "scans") -> list[Path]:
    return sorted(p for p in (ROOT / under).rglob("*") if p.suffix in suffixes)


@pytest.mark.parametrize("path", files(".pcd", ".xyz"), ids=lambda p: p.name)
def test_as_open3d_reads_it(path: Path, tmp_path) -> None:
    cloud = read(path)
    reference = import_open3d().io.read_point_cloud(str(path), remove_nan_points=True)
    np.testing.assert_array_equal(cloud.positions, np.asarray(reference.points))
    if reference.has_colors():
        np.testing.assert_allclose(cloud.colors_as_float(), np.asarray(reference.colors))
    if reference.has_normals():
        np.testing.assert_array_equal(cloud.attributes["normals"], np.asarray(reference.normals))
    dropped = describe(path)["invalid_points"]
    everything = import_open3d().io.read_point_cloud(str(path), remove_nan_points=False)
    assert len(cloud) + dropped == len(everything.points)
    write(cloud, tmp_path / "a.ply")
    np.testing.assert_array_equal(read(tmp_path / "a.ply").positions, cloud.positions)


@pytest.mark.parametrize("path", files(".las", ".laz"), ids=lambda p: p.name)
def test_as_laspy_reads_it(path: Path, tmp_path) -> None:
    laspy = pytest.importorskip("laspy")
    reference = laspy.read(str(path))
    cloud = read(path)
    assert describe(path)["points"] == len(cloud) == reference.header.point_count
    np.testing.assert_array_equal(cloud.positions, np.asarray(reference.xyz))
    write(cloud[::2], tmp_path / f"half{path.suffix}")
    half = laspy.read(str(tmp_path / f"half{path.suffix}"))
    assert half.header.point_format == reference.header.point_format
    for name in reference.point_format.dimension_names:
        np.testing.assert_array_equal(np.asarray(half[name]), np.asarray(reference[name])[::2], err_msg=name)


@pytest.mark.parametrize("path", files(".bin", under="scans/kitti"), ids=lambda p: p.name)
def test_kitti(path: Path, tmp_path) -> None:
    write(read(path), tmp_path / "a.bin")
    assert (tmp_path / "a.bin").read_bytes() == path.read_bytes()


@pytest.mark.parametrize("path", files(".bin", under="scans/lidar"), ids=lambda p: p.name)
def test_nuscenes(path: Path) -> None:
    table = np.fromfile(path, np.float32).reshape(-1, 5)
    cloud = read(path)
    np.testing.assert_array_equal(cloud.positions, table[:, :3])
    np.testing.assert_array_equal(cloud.attributes["ring"], table[:, 4])


@pytest.mark.parametrize(
    "path", files(".off", under="pugan") + files(".ply", under="meshes")[::10], ids=lambda p: p.stem
)
def test_meshes(path: Path) -> None:
    vertices, triangles = read_mesh(path)
    reference = import_open3d().io.read_triangle_mesh(str(path))
    np.testing.assert_allclose(vertices, np.asarray(reference.vertices), rtol=1e-6, atol=1e-9)
    np.testing.assert_array_equal(triangles, np.asarray(reference.triangles))
