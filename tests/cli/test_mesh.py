"""`pcsr mesh`, and the normals of `pcsr upsample`."""

from __future__ import annotations

import numpy as np
import pytest
from cli_run import run

from pcsr_zoo import Cloud, read, write
from pcsr_zoo.io import read_mesh


def sphere(count: int = 500) -> np.ndarray:
    points = np.random.default_rng(0).normal(size=(count, 3))
    return points / np.linalg.norm(points, axis=1, keepdims=True)


@pytest.fixture
def scan(tmp_path):
    points = sphere()
    write(Cloud(points, {"colors": ((points + 1) * 127).astype(np.uint8)}), tmp_path / "scan.ply")
    return tmp_path / "scan.ply"


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_mesh_stands_beside_its_cloud(scan):
    out, err = run("mesh", scan, "--depth", 5)
    assert err == ""
    vertices, triangles = read_mesh(scan.with_name("scan_mesh.ply"))
    assert f"500 points -> {len(vertices):,} vertices, {len(triangles):,} triangles" in out
    assert np.abs(np.linalg.norm(vertices, axis=1) - 1).max() < 0.1
    assert "colors" in run("info", scan.with_name("scan_mesh.ply"))[0]
    _, err = run("mesh", scan, "--depth", 5, code=1)
    assert "--overwrite" in err


@pytest.mark.parametrize("suffix", [".obj", ".stl"])
def test_the_suffix_is_the_format(scan, suffix):
    run("mesh", scan, "--method", "ball-pivoting", "-o", scan.with_suffix(suffix))
    vertices, _ = read_mesh(scan.with_suffix(suffix))
    np.testing.assert_allclose(np.linalg.norm(vertices, axis=1), 1, atol=1e-5)  # the points themselves


def test_a_folder_without_the_meshes_that_are_there(scan):
    write(Cloud(np.zeros((1, 3))), scan.with_name("point.ply"))
    run("mesh", scan, "--depth", 4)
    out, err = run("mesh", scan.parent, "-o", scan.parent / "made", "--depth", 4, code=1)
    assert "scan_mesh.ply" in out.splitlines()[0]  # left out
    assert "point.ply" in err
    assert names(scan.parent / "made") == ["scan_mesh.ply"]


def test_bad_options_leave_nothing(scan):
    for options, named in (
        (("-o", scan.with_suffix(".las")), ".obj"),
        (("--depth", 40), "--depth"),
        (("--radius", 0), "--radius"),
        (("--trim", -1), "--trim"),
        (("--points", 100), "--points"),
    ):
        _, err = run("mesh", scan, *options, code=1 if "--points" in options else 2)
        assert named in err
    _, err = run("mesh", scan, "--method", "ball-pivoting", "--radius", 1e-9, code=1)
    assert str(scan) in err
    assert names(scan.parent) == ["scan.ply"]


def test_upsample_writes_normals_where_it_is_asked_to(scan):
    run("upsample", scan, "-x", 2, "-m", "midpoint")
    assert "normals" not in read(scan.with_name("scan_x2.ply")).attributes
    run("upsample", scan, "-x", 2, "-m", "midpoint", "--normals", "--overwrite")
    dense = read(scan.with_name("scan_x2.ply"))
    radial = dense.positions / np.linalg.norm(dense.positions, axis=1, keepdims=True)
    assert dense.attributes["normals"].dtype == np.float32
    cosine = (dense.attributes["normals"] * radial).sum(axis=1)
    assert (cosine > 0.8).mean() > 0.99
    given = Cloud(sphere(), {"normals": -sphere().astype(np.float32)})  # those of the input go before estimated ones
    write(given, scan.with_name("given.ply"))
    run("upsample", scan.with_name("given.ply"), "-x", 2, "-m", "midpoint", "--normals")
    dense = read(scan.with_name("given_x2.ply"))
    assert ((dense.attributes["normals"] * dense.positions).sum(axis=1) < 0).all()
