"""k nearest neighbors against all pairwise distances."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pcsr_zoo.errors import CloudError, OptionError
from pcsr_zoo.geometry import knn as module
from pcsr_zoo.geometry.knn import KNN, _knn_cdist, knn


def brute(points, queries, k):
    """All distances, sorted."""
    every = np.sqrt(((queries[:, None] - points[None]) ** 2).sum(axis=2))
    order = np.argsort(every, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(every, order, axis=1), order


RNG = np.random.default_rng(5)
CLOUDS = {
    "volume": RNG.uniform(size=(400, 3)),
    "line": RNG.uniform(size=(300, 1)) * [1.0, -2, 3],
    "plane": RNG.uniform(size=(300, 3)) * [1.0, 1, 0],
    "utm": RNG.uniform(size=(300, 3)) + np.array([5e5, 4.6e6, 0]),
    "2d": RNG.uniform(size=(200, 2)),
    "8d": RNG.uniform(size=(200, 8)),
}


@pytest.mark.parametrize("name", CLOUDS)
@pytest.mark.parametrize("k", [1, 2, 16])
def test_against_all_distances(name, k):
    points = CLOUDS[name]
    queries = points[:50] + RNG.normal(size=(50, points.shape[1])) * 0.05
    distance, index = knn(points, queries, k)
    expected, order = brute(points, queries, k)
    np.testing.assert_allclose(distance, expected, rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(index, order)
    assert index.dtype == np.int64


def test_duplicates_and_ties():
    points = np.repeat(np.stack(np.meshgrid(*[np.arange(4.0)] * 3), axis=-1).reshape(-1, 3), 3, axis=0)
    distance, index = knn(points, points, 10)
    np.testing.assert_allclose(distance, brute(points, points, 10)[0], atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(points[index] - points[:, None], axis=2), distance, atol=1e-12)
    assert all(len(set(row)) == 10 for row in index)


@pytest.mark.parametrize("kind", [np.asarray, torch.as_tensor], ids=["numpy", "torch"])
def test_more_neighbors_than_points(kind):
    points = kind(CLOUDS["volume"][:5])
    distance, index = knn(points, points[:2], 16)
    assert tuple(distance.shape) == tuple(index.shape) == (2, 5)
    assert sorted(np.asarray(index)[0]) == [0, 1, 2, 3, 4]
    distance, index = knn(points[:1], points, 3)
    assert tuple(index.shape) == (5, 1)


def test_no_queries():
    distance, index = knn(CLOUDS["volume"], np.empty((0, 3)), 4)
    assert distance.shape == index.shape == (0, 4)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite(value):
    good, bad = np.zeros((4, 3)), np.zeros((4, 3))
    bad[2, 1] = value
    for kind in (np.asarray, torch.as_tensor):
        with pytest.raises(CloudError, match="finite points"):
            knn(kind(bad), kind(good), 1)
        with pytest.raises(CloudError, match="finite queries"):
            knn(kind(good), kind(bad), 1)


def test_arguments_that_do_not_fit():
    points = CLOUDS["volume"]
    for k in (0, -3):
        with pytest.raises(OptionError, match=f"got {k}"):
            knn(points, points, k)
    with pytest.raises(CloudError, match=r"\(400, 3\) and \(200, 2\)"):
        knn(points, CLOUDS["2d"], 1)
    with pytest.raises(CloudError):
        knn(points[0], points, 1)
    with pytest.raises(CloudError, match="at least one"):
        knn(np.empty((0, 3)), points, 1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_tensors_in_and_out(dtype):
    points = torch.from_numpy(CLOUDS["volume"]).to(dtype)
    distance, index = knn(points, points[:40], 8)
    assert distance.dtype == dtype
    assert index.dtype == torch.int64
    expected, order = brute(points.double().numpy(), points[:40].double().numpy(), 8)
    np.testing.assert_array_equal(index.numpy(), order)
    np.testing.assert_allclose(distance.numpy(), expected, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("block", [1, 1000, 1 << 26])
def test_blocks_of_cdist_agree_with_the_tree(block, monkeypatch):
    monkeypatch.setattr(module, "_BLOCK", block)
    points = CLOUDS["volume"]
    distance, index = _knn_cdist(torch.from_numpy(points), torch.from_numpy(points[:37] + 0.01), 9)
    expected, order = KNN(points).query(points[:37] + 0.01, 9)
    np.testing.assert_array_equal(index.numpy(), order)
    np.testing.assert_allclose(distance.numpy(), expected, rtol=1e-12)
    none = _knn_cdist(torch.from_numpy(points), torch.empty(0, 3, dtype=torch.float64), 4)
    assert none[0].shape == none[1].shape == (0, 4)


def test_cdist_keeps_float32_at_utm_like_offsets():
    """The fast formula |a|^2 + |b|^2 - 2ab would lose the neighbors here."""
    points = (CLOUDS["volume"] + 1000).astype(np.float32)
    distance, _ = _knn_cdist(torch.from_numpy(points), torch.from_numpy(points), 5)
    expected, _ = brute(points.astype(np.float64), points.astype(np.float64), 5)
    np.testing.assert_allclose(distance.numpy(), expected, rtol=1e-5, atol=1e-7)
