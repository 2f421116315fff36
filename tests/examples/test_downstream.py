"""examples/meshes.py and examples/cars.py: their measures against what is known, and all of them in small."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from pcsr_zoo import Cloud, write
from pcsr_zoo.io.trimesh import Mesh

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
if not EXAMPLES.is_dir():
    pytest.skip("the examples come with the checkout", allow_module_level=True)


@pytest.fixture(scope="module")
def modules():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(EXAMPLES)
        yield {name: importlib.import_module(name) for name in ("meshes", "cars")}
        for name in ("meshes", "cars", "sculpture", "street"):
            sys.modules.pop(name, None)


def sheets(points: np.ndarray, inwards: np.ndarray, thickness: float) -> Mesh:
    """A small triangle at each point and one below it, at `thickness`."""
    side = np.cross(inwards, np.roll(inwards, 1, axis=1))
    side /= np.linalg.norm(side, axis=1, keepdims=True)
    other = np.cross(inwards, side)
    shape = [2e-4 * (np.cos(a) * side + np.sin(a) * other) for a in 2 * np.pi / 3 * np.arange(3)]
    layers = [points + depth * inwards + corner for depth in (0, thickness) for corner in shape]
    count = len(points)
    rows = np.stack([np.arange(count), np.arange(count) + count, np.arange(count) + 2 * count], axis=1)
    return Mesh(Cloud(np.concatenate(layers)), np.concatenate([rows, rows + 3 * count]))


def test_thickness_is_measured_along_the_normals(modules):
    """Through triangles .07 apart below each true point, the error is .01 on a ribbon that is .08 thick."""
    meshes, sculpture = modules["meshes"], sys.modules["sculpture"]
    truth = sculpture.surface_points(400, np.random.default_rng(0))
    for thickness in (0.07, 0.08, 0.1):
        mesh = sheets(truth, -sculpture.normals(truth), thickness)
        assert meshes.thickness_error(mesh, truth) == pytest.approx(abs(thickness - 0.08), abs=2e-3)


def test_distance_of_a_mesh_to_the_sculpture(modules):
    """A mesh of triangles that stand .01 above the surface."""
    meshes, sculpture = modules["meshes"], sys.modules["sculpture"]
    points = sculpture.surface_points(200, np.random.default_rng(1))
    outwards = sculpture.normals(points)
    there, back = meshes.measure(sheets(points + 0.01 * outwards, outwards, 1e-4), points, 500)
    assert there == pytest.approx(0.01, rel=0.1)
    assert back == pytest.approx(0.01, rel=0.1)


def test_withheld_points_within_five_centimeters(modules):
    withheld = Cloud([[0, 0, 0], [1, 0, 0], [2, 0, 0], [3, 0, 0.0]])
    found = Cloud([[0.049, 0, 0], [1, 0.051, 0], [2, 0, 0], [9, 0, 0]])
    assert modules["cars"].recovered(found, withheld) == 0.5


def test_simulated_objects_have_the_size_of_real_ones(modules):
    cars = modules["cars"]
    for parts, size in ((cars.car(), (4.3, 1.84, 1.7)), (cars.cyclist(), (1.73, 0.46, 1.78))):
        corners = np.concatenate([np.asarray(mesh.vertices) for _, mesh in parts])
        np.testing.assert_allclose(np.ptp(corners, axis=0), size, atol=0.15)
        np.testing.assert_allclose(corners[:, :2].mean(axis=0), 0, atol=0.4)
        assert -0.05 < corners[:, 2].min() < 0.05
    near, far = (cars.scanned(cars.car(), distance, 30, 0) for distance in (8, 16))
    assert 2.5 < len(near) / len(far) < 6  # four times as many at half of the distance
    assert np.abs(near.positions[:, 0] - 8).max() < 3


@pytest.mark.slow
def test_cars_in_small(modules, tmp_path, capsys):
    cars = modules["cars"]
    crops = []
    for name, count in (("car_00", 200), ("few", 20)):
        write(cars.scanned(cars.car(), 20, 30, 0)[:count], tmp_path / f"{name}.xyz")
        crops.append(str(tmp_path / f"{name}.xyz"))
    cars.main(["--kitti", *crops, "-m", "midpoint", "-o", str(tmp_path / "cars.png")])
    printed = capsys.readouterr().out
    assert "few has fewer than" in printed
    (row,) = re.findall(r"^\| car_00 \| 200 \| (\d+) \| (\d+) \|$", printed, re.MULTILINE)
    assert int(row[0]) <= int(row[1]) <= 100
    assert (tmp_path / "cars.png").stat().st_size > 1000
    with pytest.raises(SystemExit, match=r"none\.xyz"):
        cars.main(["--kitti", str(tmp_path / "none.xyz")])


@pytest.mark.slow
def test_meshes_in_small(modules, tmp_path, capsys):
    modules["meshes"].main(["--points", "512", "-m", "jet", "-o", str(tmp_path)])
    printed = capsys.readouterr().out
    rows = {name: float(value) for name, value in re.findall(r"^\| ([\w+ ]+) \| [\d,]+ \| ([\d.]+) \|", printed, re.M)}
    assert rows["true points"] < rows["x4 jet"] < rows["input"]
    assert rows["before sampling"] < rows["fps samples"]
    for name in ("input.ply", "x4-jet.ply", "upsampled.png", "recovered.png"):
        assert (tmp_path / name).stat().st_size > 1000
