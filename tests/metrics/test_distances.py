"""Chamfer, Hausdorff, nearest distances and EMD against brute force, closed forms and permutations."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from pcsr_zoo import Cloud
from pcsr_zoo.errors import CloudError, FileError
from pcsr_zoo.metrics import chamfer_distance, earth_movers_distance, hausdorff_distance, nearest_distances


def pairwise(a, b):
    return np.sqrt(((a[:, None, :] - b[None, :, :]) ** 2).sum(axis=2))


@pytest.fixture
def clouds():
    rng = np.random.default_rng(0)
    return rng.normal(size=(60, 3)), rng.normal(size=(85, 3)) + 0.2


def test_nearest_distances_is_brute_force(clouds):
    a, b = clouds
    np.testing.assert_allclose(nearest_distances(a, b), pairwise(a, b).min(axis=1), rtol=1e-12)


@pytest.mark.parametrize("squared", [False, True])
@pytest.mark.parametrize("halved", [False, True])
def test_chamfer_is_brute_force(clouds, squared, halved):
    a, b = clouds
    d = pairwise(a, b) ** (2 if squared else 1)
    expected = (d.min(axis=1).mean() + d.min(axis=0).mean()) * (0.5 if halved else 1)
    assert chamfer_distance(a, b, squared=squared, halved=halved) == pytest.approx(expected, rel=1e-12)
    assert chamfer_distance(b, a, squared=squared, halved=halved) == pytest.approx(expected, rel=1e-12)


def test_hausdorff_is_scipys(clouds):
    from scipy.spatial.distance import directed_hausdorff

    a, b = clouds
    one, other = directed_hausdorff(a, b)[0], directed_hausdorff(b, a)[0]
    assert one != pytest.approx(other)
    assert hausdorff_distance(a, b) == pytest.approx(max(one, other), rel=1e-12)
    assert hausdorff_distance(a, b, squared=True, summed=True) == pytest.approx(one**2 + other**2, rel=1e-12)
    assert hausdorff_distance(a, b, summed=True, halved=True) == pytest.approx((one + other) / 2, rel=1e-12)


def test_clouds_are_read_from_files(clouds, tmp_path):
    a, b = clouds
    np.save(tmp_path / "a.npy", a)
    assert chamfer_distance(tmp_path / "a.npy", b) == chamfer_distance(a, b)
    with pytest.raises(FileError, match=r"gone\.npy"):
        hausdorff_distance(a, str(tmp_path / "gone.npy"))


def test_two_points_and_a_third():
    a = [[0.0, 0, 0], [3, 0, 0]]
    b = [[0.0, 4, 0]]
    # nearest of a: 4 and 5; nearest of b: 4
    assert chamfer_distance(a, b) == pytest.approx((16 + 25) / 2 + 16)
    assert chamfer_distance(a, b, squared=False) == pytest.approx(4.5 + 4)
    assert hausdorff_distance(a, b) == pytest.approx(5)
    assert hausdorff_distance(a, b, squared=True, summed=True) == pytest.approx(25 + 16)


def test_shifted_grid():
    grid = np.stack(np.meshgrid(*[np.arange(6.0)] * 3), axis=-1).reshape(-1, 3)
    shifted = grid + np.array([0.1, 0.2, -0.2])  # less than half a cell: everyone's nearest is its own copy
    assert chamfer_distance(grid, shifted) == pytest.approx(2 * 0.09)
    assert hausdorff_distance(grid, shifted) == pytest.approx(0.3)


def test_far_from_the_origin_loses_nothing():
    rng = np.random.default_rng(1)
    a, b = rng.random((50, 3)), rng.random((40, 3))
    utm = np.array([5e5, 4e6, 100.0])
    assert chamfer_distance(a + utm, b + utm) == pytest.approx(chamfer_distance(a, b), rel=1e-6)


def test_any_kind_of_cloud(clouds):
    a, b = clouds
    expected = chamfer_distance(a, b)
    assert chamfer_distance(Cloud(a), b.tolist()) == expected
    assert chamfer_distance(torch.as_tensor(a), Cloud(b)) == expected


def test_permutation_changes_nothing(clouds):
    a, _ = clouds
    shuffled = np.random.default_rng(2).permutation(a)
    assert chamfer_distance(a, shuffled) == 0
    assert hausdorff_distance(a, shuffled) == 0
    assert earth_movers_distance(a, shuffled) == pytest.approx(0, abs=1e-15)


def test_emd_of_a_translation_is_its_length(clouds):
    a, _ = clouds
    t = np.array([0.3, -0.4, 1.2])
    assert earth_movers_distance(a, np.random.default_rng(3).permutation(a + t)) == pytest.approx(1.3, rel=1e-12)


def test_emd_is_the_best_of_all_matchings():
    rng = np.random.default_rng(4)
    a, b = rng.random((6, 3)), rng.random((6, 3))
    cost = pairwise(a, b)
    best = min(cost[range(6), list(order)].mean() for order in itertools.permutations(range(6)))
    assert earth_movers_distance(a, b) == pytest.approx(best, rel=1e-12)
    assert best > nearest_distances(a, b).mean()  # the matching is one to one


def test_emd_needs_equal_sizes_below_its_limit():
    with pytest.raises(CloudError, match=r"one to one.* 3 and 4"):
        earth_movers_distance(np.zeros((3, 3)), np.zeros((4, 3)))
    many = np.zeros((10_001, 3))
    with pytest.raises(CloudError, match="at most 10,000 points, got 10,001"):
        earth_movers_distance(many, many)


def test_single_and_equal_points():
    one = np.array([[1.0, 2, 3]])
    assert chamfer_distance(one, one + np.array([0, 0, 2])) == pytest.approx(8)
    assert hausdorff_distance(one, np.repeat(one, 5, axis=0)) == 0
    assert earth_movers_distance(one, one + np.array([0, 0, 2])) == pytest.approx(2)


@pytest.mark.parametrize("metric", [nearest_distances, chamfer_distance, hausdorff_distance, earth_movers_distance])
def test_bad_points_are_named(metric, clouds):
    a, _ = clouds
    bad = a.copy()
    bad[7, 1] = np.nan
    with pytest.raises(CloudError, match="the first cloud: row 7"):
        metric(bad, a)
    with pytest.raises(CloudError, match="the second cloud: row 7"):
        metric(a, bad)
    with pytest.raises(CloudError, match="the second cloud is empty"):
        metric(a, np.empty((0, 3)))
