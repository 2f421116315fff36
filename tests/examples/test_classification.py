"""examples/classification.py: its parts against their definitions, and all of it in small."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "classification.py"
if not EXAMPLE.is_file():
    pytest.skip("the examples come with the checkout", allow_module_level=True)

SMALL = ((32, 0.35, 8, (16, 32)), (8, 0.7, 8, (48, 96)))  # levels of a network that is quick to train


@pytest.fixture(scope="module")
def example():
    spec = importlib.util.spec_from_file_location("classification", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    sys.modules["classification"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    yield module
    del sys.modules["classification"]


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
    network = example.PointNet2().eval()
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
