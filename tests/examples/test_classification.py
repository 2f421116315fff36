"""examples/classification.py: its parts against their definitions, and all of it in small."""

from __future__ import annotations

import importlib.util
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from pcsr_zoo.errors import FileError

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "classification.py"
if not EXAMPLE.is_file():
    pytest.skip("the examples come with the checkout", allow_module_level=True)

SMALL = ((32, 0.35, 8, (16, 32)), (8, 0.7, 8, (48, 96)))  # levels of a network that is quick to train


@pytest.fixture(scope="module")
def example():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(EXAMPLE.parent)
        spec = importlib.util.spec_from_file_location("classification", EXAMPLE)
        module = importlib.util.module_from_spec(spec)
        sys.modules["classification"] = module  # dataclasses look their module up
        spec.loader.exec_module(module)
        yield module
        for name in ("classification", "pointnet2", "modelnet40"):
            sys.modules.pop(name, None)


@pytest.fixture
def clouds():
    return torch.randn(3, 200, 3, generator=torch.Generator().manual_seed(0)) / 2


def test_a_shape_is_known_by_its_class_seed_and_index(example):
    first = example.dense_cloud("superquadric", 1, 0)
    assert first.shape == (512, 3)
    np.testing.assert_allclose(first.mean(axis=0), 0, atol=1e-12)
    assert np.linalg.norm(first, axis=1).max() == pytest.approx(1)
    np.testing.assert_array_equal(first, example.dense_cloud("superquadric", 1, 0))
    assert not np.allclose(first, example.dense_cloud("superquadric", 2, 0))


def test_sparse_clouds_are_some_of_the_dense_points(example, clouds):
    few = example.thinned(clouds)
    assert few.shape == (3, example.SPARSE, 3)
    for some, dense in zip(few.tolist(), clouds.tolist(), strict=True):
        assert set(map(tuple, some)) <= set(map(tuple, dense))
        assert len(set(map(tuple, some))) == example.SPARSE


def test_regions_are_balls(example, clouds):
    points = clouds
    for (count, radius, k, _), (centers, members) in zip(example.LEVELS, example.regions(clouds), strict=True):
        assert centers.shape == (3, count)
        assert members.shape == (3, count, k)
        for b in range(3):
            at = points[b, centers[b]]
            within = (at[:, None] - points[b][None]).norm(dim=2) <= radius
            for m in range(count):
                found = set(members[b, m].tolist())
                inside = set(within[m].nonzero()[:, 0].tolist())
                assert found <= inside
                assert len(found) == min(k, len(inside))  # as many as there are, none twice before that
        points = torch.stack([points[b, centers[b]] for b in range(3)])


def test_the_network_takes_points_in_any_order(example, clouds):
    network = example.SmallPointNet2().eval()
    found = example.regions(clouds)
    order = torch.randperm(200, generator=torch.Generator().manual_seed(1))
    place = order.argsort()  # where each point went
    (centers, members), *rest = found
    with torch.no_grad():
        before = network(clouds, found)
        after = network(clouds[:, order], [(place[centers], place[members]), *rest])
    torch.testing.assert_close(after, before)
    assert before.shape == (3, len(example.CLASSES))


def test_training_learns_and_repeats_itself(example, monkeypatch):
    """Two classes that differ in size alone, and a smaller network."""
    monkeypatch.setattr(example, "LEVELS", SMALL)
    points = torch.randn(40, 128, 3, generator=torch.Generator().manual_seed(0))
    points /= points.norm(dim=2, keepdim=True)
    classes = torch.arange(2).repeat(20)
    points[classes == 1] *= 0.6
    clouds = example.Clouds.of(points, classes)
    assert example.right(example.train(clouds, 25, seed=0), clouds).mean() > 0.95
    weights = [list(example.train(clouds, 1, seed).parameters()) for seed in (0, 0, 1)]
    assert all(torch.equal(a, b) for a, b in zip(weights[0], weights[1], strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(weights[0], weights[2], strict=True))


# -- PointNet++ in its published size


def test_the_published_size(example):
    """Channels of each layer by hand: (3, 64, 64, 128), (131, 128, 128, 256), (259, 256, 512, 1024), 512, 256, 40.

    A layer has weights, and two numbers a channel in its normalization; the last one has a bias.
    """
    widths = [(3, 64, 64, 128), (131, 128, 128, 256), (259, 256, 512, 1024), (1024, 512, 256)]
    wanted = sum(a * b + 2 * b for row in widths for a, b in pairwise(row)) + 256 * 40 + 40
    network = example.pointnet2.PointNet2(40)
    assert sum(parameter.numel() for parameter in network.parameters()) == wanted
    cloud = torch.randn(2, 1024, 3, generator=torch.Generator().manual_seed(0)) / 3
    found = example.pointnet2.regions(cloud)
    assert [centers.shape[1] for centers, _ in found] == [512, 128]
    assert [members.shape[2] for _, members in found] == [32, 64]
    with torch.no_grad():
        assert network.eval()(cloud, found).shape == (2, 40)


def test_regions_of_the_published_network_are_the_first_points_in_balls(example, clouds):
    levels = ((16, 0.4, 8, (8,)), (4, 0.8, 6, (8,)))
    points = clouds
    for (_, radius, k, _), (centers, members) in zip(levels, example.pointnet2.regions(clouds, levels), strict=True):
        for b, m in np.ndindex(*centers.shape):
            inside = ((points[b] - points[b, centers[b, m]]).norm(dim=1) <= radius).nonzero()[:, 0].tolist()
            wanted = inside[:k] + inside[:1] * (k - len(inside))
            assert members[b, m].tolist() == wanted
        points = torch.stack([points[b, centers[b]] for b in range(len(clouds))])


def test_the_published_network_learns_sizes(example):
    levels = ((24, 0.4, 8, (16, 32)), (8, 0.8, 8, (32, 64)))
    points = torch.randn(32, 64, 3, generator=torch.Generator().manual_seed(0))
    points /= points.norm(dim=2, keepdim=True)
    classes = torch.arange(2).repeat(16)
    points[classes == 1] *= torch.tensor([1.0, 0.3, 0.3])  # cigars
    net = example.pointnet2.train(points, classes, 2, epochs=40, levels=levels)
    answers = example.pointnet2.answers(net, points, levels)
    assert min(example.pointnet2.accuracies(answers, classes)) > 95


def test_accuracies(example):
    """Of class 0 one of one, of class 1 one of three: two of four in all."""
    mean, overall = example.pointnet2.accuracies(torch.tensor([0, 1, 0, 0]), torch.tensor([0, 1, 1, 1]))
    assert mean == pytest.approx(100 * (1 + 1 / 3) / 2)
    assert overall == pytest.approx(50)


# -- ModelNet40, in small


NAMES, SIZE = ["airplane", "night_stand"], 40


@pytest.fixture(params=["hdf5", "text"])
def modelnet(request, tmp_path) -> tuple[Path, dict[str, np.ndarray]]:
    """Two classes of two shapes in either layout, and the clouds of each split."""
    if request.param == "hdf5":
        pytest.importorskip("h5py")
    rng = np.random.default_rng(0)
    truth = {split: rng.normal(size=(4, SIZE, 3)).astype(np.float32) for split in ("train", "test")}
    for split, clouds in truth.items():
        (hdf5 if request.param == "hdf5" else text)(tmp_path, split, clouds)
    return tmp_path, truth


def hdf5(folder: Path, split: str, clouds: np.ndarray) -> None:
    import h5py

    (folder / "shape_names.txt").write_text("\n".join(NAMES) + "\n")
    listed = []
    for part in (0, 1):  # two files of two shapes
        with h5py.File(folder / f"ply_data_{split}{part}.h5", "w") as file:
            file["data"] = clouds[2 * part : 2 * part + 2]
            file["label"] = np.array([[0], [1]], np.uint8)
        listed.append(f"data/modelnet40_ply_hdf5_2048/ply_data_{split}{part}.h5")
    (folder / f"{split}_files.txt").write_text("\n".join(listed) + "\n")


def text(folder: Path, split: str, clouds: np.ndarray) -> None:
    (folder / "modelnet40_shape_names.txt").write_text("\n".join(NAMES) + "\n")
    listed = []
    for number, cloud in enumerate(clouds):
        shape = f"{NAMES[number % 2]}_{number + 10 * (split == 'test'):04d}"
        listed.append(shape)
        (folder / NAMES[number % 2]).mkdir(exist_ok=True)
        rows = np.concatenate([cloud, np.ones_like(cloud)], axis=1)
        np.savetxt(folder / NAMES[number % 2] / f"{shape}.txt", rows, delimiter=",", fmt="%.6f")
    (folder / f"modelnet40_{split}.txt").write_text("\n".join(listed) + "\n")


@pytest.mark.parametrize("split", ["train", "test"])
def test_modelnet40_is_read_in_both_layouts(example, modelnet, split):
    folder, truth = modelnet
    shapes = example.load_modelnet40(folder, split, points=30)
    assert shapes.names == NAMES
    assert shapes.classes.tolist() == [0, 1, 0, 1]
    assert shapes.clouds.dtype == np.float32
    for found, cloud in zip(shapes.clouds, truth[split][:, :30], strict=True):
        centered = cloud - cloud.mean(axis=0)
        np.testing.assert_allclose(found, centered / np.linalg.norm(centered, axis=1).max(), atol=1e-5)
    assert example.load_modelnet40(folder, split, 30, most=2).classes.tolist() == [0, 0]


def test_broken_modelnet40_is_named(example, modelnet, tmp_path):
    folder, _ = modelnet
    with pytest.raises(FileError, match="fewer"):
        example.load_modelnet40(folder, "train", SIZE + 1)
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileError, match="empty"):
        example.load_modelnet40(tmp_path / "empty", "train")
    (path,) = (*folder.glob("ply_data_test1.h5"), *folder.glob("night_stand/night_stand_0011.txt"))
    path.write_bytes(b"nothing")
    with pytest.raises(FileError, match=path.name):
        example.load_modelnet40(folder, "test", 10)
    path.unlink()
    with pytest.raises(FileError, match=path.name):
        example.load_modelnet40(folder, "test", 10)


@pytest.mark.slow
def test_all_of_modelnet40_in_small(example, modelnet, capsys, tmp_path, monkeypatch):
    folder, _ = modelnet
    load = example.load_modelnet40
    monkeypatch.setattr(example, "load_modelnet40", lambda folder, split, points, most: load(folder, split, 30, most))
    words = ["--modelnet40", str(folder), "--epochs", "1", "-m", "midpoint", "--cache", str(tmp_path / "cache")]
    example.main(words)
    printed = capsys.readouterr().out
    for kind in ("1,024 points", "x4 by midpoint"):
        assert f"\n| {kind} | " in printed
    (kept,) = (tmp_path / "cache").glob("train-*.npz")
    assert np.load(kept)["dense"].shape == (4, 120, 3)
    with pytest.raises(SystemExit, match="Error"):
        example.main(["--modelnet40", str(tmp_path / "cache"), "--epochs", "1"])


def test_tables(example):
    hits = np.zeros((2, 2, 4), bool)
    better = hits.copy()
    better[0, 0] = True  # 100 % with one seed, 0 with the other
    better[1, :, 0] = True  # one shape of four, with both
    outcome = {"sparse": hits, "dense": better}
    assert "| dense | 50.0 ± 70.7 | 25.0 ± 0.0 |" in example.table(outcome)
    # each shape gained 50; one gained 100 and three nothing: the standard error of (100, 0, 0, 0) is 50 / 2
    assert "| dense | +50.0 ± 0.0 | +25.0 ± 25.0 |" in example.gains(outcome)


def test_all_of_it_in_small(example, capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(example, "CELLS", 20)
    monkeypatch.setattr(example, "LEVELS", SMALL)
    example.main(["--quick", "-m", "jet", "--json", str(tmp_path / "hits.json")])
    printed = capsys.readouterr().out
    for kind in ("sparse", "x4 by jet", "dense"):
        assert f"\n| {kind} | " in printed
    assert (tmp_path / "hits.json").stat().st_size > 0
