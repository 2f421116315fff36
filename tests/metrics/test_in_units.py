"""Distances in the unit of the files, against formulas."""

from __future__ import annotations

import json

import numpy as np
import pytest
from cli_run import run
from scipy.spatial import cKDTree

from pcsr_zoo import Cloud, write
from pcsr_zoo.metrics import distances_in_units

RNG = np.random.default_rng(0)
FAR = np.array([5e5, 4e6, 100])


def slope(n: int, lift: float = 0.0) -> np.ndarray:
    """Points on the plane z = x / 2 + `lift`, at UTM coordinates."""
    flat = RNG.uniform(-10, 10, (n, 2))
    return np.column_stack([flat, flat[:, 0] / 2 + lift]) + FAR


def test_against_a_tree_and_numpy() -> None:
    a, b = slope(300), slope(500, 0.1)
    found = distances_in_units(a, b)
    for key, distance in (("to_truth", cKDTree(b).query(a)[0]), ("from_truth", cKDTree(a).query(b)[0])):
        assert found[key]["mean"] == pytest.approx(distance.mean(), rel=1e-12)
        assert found[key]["rmse"] == pytest.approx(np.sqrt(np.mean(distance**2)), rel=1e-12)
        assert found[key]["p95"] == pytest.approx(np.percentile(distance, 95), rel=1e-12)
        assert found[key]["largest"] == distance.max()
        assert found[key]["points"] == len(distance)


def test_heights_above_a_slope_are_exact() -> None:
    """Distances to the nearest point of a sparse slope are not: the network between its points is a plane."""
    found = distances_in_units(slope(400, 0.25), slope(60))
    assert found["vertical"]["rmse"] == pytest.approx(0.25, abs=1e-7)
    assert found["vertical"]["bias"] == pytest.approx(0.25, abs=1e-7)
    assert 200 < found["vertical"]["points"] < 400  # those outside of the network are left out
    assert found["to_truth"]["mean"] > 0.5
    below = distances_in_units(slope(400, -0.25), slope(60))
    assert below["vertical"]["bias"] == pytest.approx(-0.25, abs=1e-7)


def test_a_mesh() -> None:
    corners = np.array([[-20, -20, -10], [20, -20, 10], [20, 20, 10], [-20, 20, -10.0]]) + FAR
    mesh = corners, np.array([[0, 1, 2], [0, 2, 3]])
    found = distances_in_units(slope(200, 0.25), mesh=mesh)
    assert found["to_mesh"]["mean"] == pytest.approx(0.25 * np.cos(np.arctan(0.5)), rel=1e-4)
    assert found["vertical"]["bias"] == pytest.approx(0.25, rel=1e-4)
    assert distances_in_units(slope(200, -0.25), mesh=mesh)["vertical"]["bias"] == pytest.approx(-0.25, rel=1e-4)
    assert "to_truth" not in found


def test_degenerate_clouds_have_no_heights() -> None:
    line = np.column_stack([np.arange(9.0), np.zeros(9), np.zeros(9)])
    for truth in (line, line[:2], line[:1]):
        found = distances_in_units(line, truth)
        assert "vertical" not in found
        assert np.isfinite(found["to_truth"]["rmse"])


def test_the_command(tmp_path) -> None:
    laspy = pytest.importorskip("laspy")
    pyproj_free = 'PROJCS["NAD83 / x (ftUS)",GEOGCS["NAD83",UNIT["degree",0.0174]],UNIT["US survey foot",0.3048]]'
    header = laspy.LasHeader(version="1.4", point_format=6)
    header.scales = [0.001] * 3
    header.vlrs.append(laspy.vlrs.known.WktCoordinateSystemVlr(pyproj_free))
    las = laspy.LasData(header)
    las.x, las.y, las.z = (slope(300) - FAR).T
    las.write(str(tmp_path / "a.las"))
    write(Cloud(slope(300, 0.1) - FAR), tmp_path / "b.xyz")
    out, _ = run("evaluate", tmp_path / "b.xyz", tmp_path / "a.las", "--units", "file")
    assert "distances in US survey foot" in out
    assert out.count("RMSE") == 3
    about = json.loads(run("evaluate", tmp_path / "b.xyz", tmp_path / "a.las", "--units", "file", "--json")[0])
    assert about["unit"] == "US survey foot"
    assert about["vertical"]["rmse"] == pytest.approx(0.1, abs=2e-3)
    (tmp_path / "m.off").write_text("OFF\n3 1 0\n-50 -50 0\n90 -50 0\n0 90 0\n3 0 1 2\n")
    out, _ = run("evaluate", tmp_path / "b.xyz", tmp_path / "m.off", "--units", "file")
    assert "to the surface" in out
    assert "do not say" in out
    run("evaluate", tmp_path / "b.xyz", tmp_path / "a.las", "--units", "file", "--emd", code=2)
    run("evaluate", tmp_path / "no.xyz", tmp_path / "a.las", "--units", "file", code=1)
