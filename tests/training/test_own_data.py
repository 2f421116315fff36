"""Scans, meshes and folders of a user as training files."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial import cKDTree
from toy_training import QUICK, ToyPatches, cube, one_thread, sphere, write_toy_data  # noqa: F401

import pcsr_zoo
from pcsr_zoo.cloud import Cloud
from pcsr_zoo.datasets import TrainingSet
from pcsr_zoo.datasets.training_set import write_training_set
from pcsr_zoo.errors import CloudError, FileError, OptionError
from pcsr_zoo.training.own_data import find_sources, training_file
from pcsr_zoo.training.scans import cut_scan, pack_scan, surface_area

silent = [].append


def test_a_scan_becomes_an_even_shape_with_normals():
    points, normals = sphere(20_000)
    shape = pack_scan(points, None, 2048, "s", "s.ply")
    data = _as_set(shape)
    got, directions = data.points(0), data.normals(0)
    radius = np.linalg.norm(got - got.mean(axis=0), axis=1)
    assert radius == pytest.approx(np.full(2048, radius.mean()), rel=0.02)
    along = np.abs((directions * (got / np.linalg.norm(got, axis=1, keepdims=True))).sum(axis=1))
    assert np.degrees(np.arccos(np.clip(np.quantile(along, 0.01), -1, 1))) < 3
    assert data.shapes[0].area == pytest.approx(4 * np.pi, rel=0.08)
    assert data.shapes[0].normals == "unoriented"
    assert data.frames[0] == pytest.approx([500_000, 4_600_000, 100, 3], abs=0.05)
    gap = cKDTree(got).query(got, 2)[0][:, 1]
    assert gap.min() > 0.6 * gap.mean()  # random points: 0.02
    known = _as_set(pack_scan(points, 7 * normals, 2048, "s", "s.ply"))
    along = (known.normals(0) * known.points(0)).sum(axis=1)
    assert along.min() > 0.98  # the file's, with their sign
    with pytest.raises(CloudError, match="has 20000 distinct points; 30000 are needed"):
        pack_scan(np.concatenate([points, points]), None, 30_000, "s", "s.ply")


def test_the_area_of_a_plane_with_borders():
    grid = np.stack(np.meshgrid(np.arange(60), np.arange(40), indexing="ij"), axis=-1).reshape(-1, 2) * 0.5
    points = np.concatenate([grid, np.zeros((2400, 1))], axis=1)
    assert surface_area(points) == pytest.approx(2400 * 0.25, rel=0.1)


def _as_set(*shapes):
    with tempfile.TemporaryDirectory() as folder:
        path = write_training_set(Path(folder) / "x.npz", shapes, {"points": len(shapes[0].coarse)})
        return TrainingSet.load(path)


@pytest.mark.parametrize(("count", "size", "held_out"), [(512, 102, 1), (3000, 600, 1), (30_000, 4096, 1)])
def test_a_single_scan_is_cut_into_regions(count, size, held_out):
    points, _ = sphere(count)
    shapes = cut_scan(np.concatenate([points, points]), "s.ply")  # equal points count once
    data = _as_set(*shapes)
    assert {len(data.points(k)) for k in range(len(data))} == {size}
    assert len(data.held_out) == held_out
    assert len(data.train) > 3
    tree, own = cKDTree(points), []
    for k in range(len(data)):
        distance, index = tree.query(data.points(k) * data.frames[k, 3] + data.frames[k, :3])
        assert distance.max() < 1e-3
        assert len(set(index)) == size
        own.append(set(index))
        center = points[list(index)].mean(axis=0)
        within = np.linalg.norm(points[list(index)] - center, axis=1).max()
        assert within < 2.5 * 3 * 2 * np.sqrt(size / count)  # a disk on the sphere; the whole has the radius 3
    learned = set().union(*(own[k] for k in data.train))
    judged = set().union(*(own[k] for k in data.held_out))
    assert not learned & judged
    assert len(learned) > 0.6 * (count - len(judged))
    assert {shape.license for shape in data.shapes} == {"unknown"}
    assert {shape.source for shape in data.shapes} == {"s.ply"}


def test_regions_of_a_large_scan_are_held_out_in_several_places():
    shapes = cut_scan(sphere(70_000)[0], "s.ply")
    assert {len(shape.coarse) for shape in shapes} == {4096}
    assert sum(shape.info.held_out for shape in shapes) == 2  # about a tenth of the points


def test_the_regions_depend_on_the_seed_alone():
    points, _ = sphere(2000)
    one, again, other = (_as_set(*cut_scan(points, "s.ply", seed)) for seed in (0, 0, 1))
    assert np.array_equal(one.frames, again.frames)
    assert all(np.array_equal(one.points(k), again.points(k)) for k in range(len(one)))
    assert not np.array_equal(one.frames, other.frames)


def test_a_scan_that_is_too_small_to_be_cut_is_named():
    points, _ = sphere(511)
    with pytest.raises(CloudError, match=r"s\.ply.* 511 .*512"):
        cut_scan(np.concatenate([points, points]), "s.ply")


def test_sources_are_told_apart(tmp_path):
    data = write_toy_data(tmp_path / "train.npz")
    mesh = cube(tmp_path / "cube.obj")
    points, _ = sphere(1500)
    pcsr_zoo.write(Cloud(points), tmp_path / "scan.ply")
    np.savez(tmp_path / "cloud.npz", positions=points)
    np.savetxt(tmp_path / "numbers.csv", points, delimiter=",")
    (tmp_path / "table.csv").write_text("file,license,license_class,source\ncube.obj,MIT,permissive,me\n")
    found = find_sources([tmp_path])
    assert found.training == [data]
    assert found.meshes == [mesh, tmp_path / "table.csv"]
    assert found.clouds == [tmp_path / "cloud.npz", tmp_path / "numbers.csv", tmp_path / "scan.ply"]
    assert find_sources([mesh, tmp_path, mesh]).meshes == found.meshes
    with pytest.raises(FileError, match=r"gone\.ply: no such file"):
        find_sources([tmp_path / "gone.ply"])
    with pytest.raises(OptionError, match="no data"):
        find_sources([])
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileError, match="no meshes or point clouds"):
        find_sources([tmp_path / "empty"])
    (tmp_path / "pugan").mkdir()
    pcsr_zoo.write(Cloud(points), tmp_path / "pugan/x.ply")
    with pytest.raises(FileError, match="test set"):
        find_sources([tmp_path / "pugan/x.ply"])


def test_a_mixture_becomes_one_training_file_once(tmp_path):
    data = write_toy_data(tmp_path / "train.npz", shapes=3, points=2048, held_out=0)
    cube(tmp_path / "cube.obj")
    for k in range(2):
        pcsr_zoo.write(Cloud(sphere(1500, k)[0]), tmp_path / f"scan{k}.ply")
    pcsr_zoo.write(Cloud(sphere(300)[0]), tmp_path / "few.ply")
    lines = []
    inputs = [tmp_path / name for name in ("train.npz", "cube.obj", "scan0.ply", "scan1.ply", "few.ply")]
    made = training_file(inputs, tmp_path / "out", lines.append)
    found = TrainingSet.load(made)
    assert [shape.name for shape in found.shapes] == ["e0", "e1", "e2", "cube", "scan0", "scan1"]
    assert found.about["points"] == 1500  # the poorest that is rich enough
    assert all(len(found.points(k)) == 1500 for k in range(6))
    assert len(found.held_out) == 1
    assert [shape.license for shape in found.shapes] == ["CC0-1.0", "MIT", "CC0-1.0", *3 * ["unknown"]]
    assert any("few.ply" in line and "300 distinct points" in line for line in lines)
    sheet = found.points(3) * found.frames[3, 3] + found.frames[3, :3]  # the cube's faces
    assert np.abs(np.abs(sheet - 0.5).max(axis=1) - 0.5).max() < 1e-4
    before = made.stat().st_mtime_ns
    assert training_file(inputs, tmp_path / "out", silent) == made
    assert made.stat().st_mtime_ns == before
    assert training_file([data], tmp_path / "out", silent) == data  # as it is
    pcsr_zoo.write(Cloud(sphere(1600, 7)[0]), tmp_path / "scan1.ply")
    assert training_file(inputs, tmp_path / "out", silent) != made
    assert sorted(entry.suffix for entry in (tmp_path / "out").iterdir()) == [".npz", ".npz"]
    with pytest.raises(OptionError, match="none of the files"):
        training_file([tmp_path / "few.ply"], tmp_path / "out", silent)
