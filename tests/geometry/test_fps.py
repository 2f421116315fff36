"""Farthest point sampling against the plain greedy algorithm and against Open3D's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial import cKDTree

from pcsr_zoo._open3d import import_open3d
from pcsr_zoo.errors import CloudError, OptionError
from pcsr_zoo.geometry import fps_array
from pcsr_zoo.geometry.compiled import kernels
from pcsr_zoo.geometry.fps import farthest_point_sample
from pcsr_zoo.geometry.fps_torch import greedy_batch


def greedy(points, n, start=None, selected=None, weights=1.0):
    """The definition: again and again the point farthest from all picks, by weighted distances."""
    if selected is None:
        center = points.mean(axis=0)
        start = np.linalg.norm(points - center, axis=1).argmax() if start is None else start
        picks, distance = [start], weights * np.linalg.norm(points - points[start], axis=1)
    else:
        picks, distance = [], weights * np.linalg.norm(points[:, None] - selected, axis=2).min(axis=1)
    taken = np.zeros(len(points), bool)
    taken[picks] = True
    while len(picks) < n:
        following = int(np.where(taken, -1, distance).argmax())
        picks.append(following)
        taken[following] = True
        distance = np.minimum(distance, weights * np.linalg.norm(points - points[following], axis=1))
    return np.array(picks)


def pick_distances(points, picks, selected=None):
    """The distance of every pick to all before it: what the greedy rule fixes even where there are ties."""
    before = [] if selected is None else list(selected)
    out = []
    for point in points[picks]:
        if before:
            out.append(np.linalg.norm(np.array(before) - point, axis=1).min())
        before.append(point)
    return np.array(out)


def is_greedy(points, picks, selected=None):
    """Every pick is, up to rounding, as far from those before it as any point of the cloud is."""
    distance = (
        np.full(len(points), np.inf)
        if selected is None
        else np.linalg.norm(points[:, None] - selected, axis=2).min(axis=1)
    )
    for k, pick in enumerate(picks):
        if k or selected is not None:
            assert distance[pick] >= distance.max() - 1e-9, k
        distance = np.minimum(distance, np.linalg.norm(points - points[pick], axis=1))


@pytest.fixture(autouse=True, params=["compiled", "by levels"])
def _each_way(request, monkeypatch) -> None:
    """Every test runs with the compiled loop and with NumPy."""
    compiled = kernels() if request.param == "compiled" else None
    if request.param == "compiled" and compiled is None:
        pytest.skip("numba is not installed")
    monkeypatch.setattr(fps_array, "_LARGE", 0)
    monkeypatch.setattr(fps_array, "kernels", lambda: compiled)


RNG = np.random.default_rng(7)
SPHERE = RNG.normal(size=(1500, 3))
SPHERE /= np.linalg.norm(SPHERE, axis=1, keepdims=True)
SHAPES = {
    "sphere": SPHERE,
    "volume": RNG.uniform(size=(1200, 3)),
    "plane": np.c_[RNG.uniform(size=(1200, 2)), np.zeros(1200)],
    "line": RNG.uniform(size=(800, 1)) * [1.0, 2.0, -0.5],
    "clusters": np.concatenate([c + RNG.normal(size=(400, 3)) * s for c, s in ((0, 1e-3), (1, 1e-6), (5, 1.0))]),
    "utm": SPHERE[:1000] * 50 + np.array([5e5, 4.6e6, 100]),
}
TIED = {
    "grid": np.stack(np.meshgrid(*[np.arange(12.0)] * 3), axis=-1).reshape(-1, 3),
    "flat grid": np.stack(np.meshgrid(np.arange(40.0), np.arange(30.0), [0.0]), axis=-1).reshape(-1, 3),
    "row": np.arange(200.0)[:, None] * [1.0, 0, 0],
}


@pytest.mark.parametrize("name", SHAPES)
def test_identical_to_the_greedy_algorithm(name):
    points = SHAPES[name]
    expected = greedy(points, len(points))
    for n in (1, 2, 17, len(points) // 4, len(points)):
        np.testing.assert_array_equal(farthest_point_sample(points, n), expected[:n])


@pytest.mark.parametrize("name", ["sphere", "volume", "line", "clusters"])
def test_from_a_given_start(name):
    points = SHAPES[name]
    np.testing.assert_array_equal(farthest_point_sample(points, 300, start=42), greedy(points, 300, start=42))


@pytest.mark.parametrize("name", ["sphere", "volume", "plane", "clusters"])
@pytest.mark.parametrize("count", [1, 30, 600])
def test_with_points_that_are_picked_already(name, count):
    points, selected = SHAPES[name][count:], SHAPES[name][:count]
    expected = greedy(points, 500, selected=selected)
    for n in (1, 50, 500):
        np.testing.assert_array_equal(farthest_point_sample(points, n, selected=selected), expected[:n])


def test_no_selected_points_are_the_same_as_none():
    picks = farthest_point_sample(SPHERE, 50, selected=np.empty((0, 3)))
    np.testing.assert_array_equal(picks, greedy(SPHERE, 50))


@pytest.mark.parametrize("name", TIED)
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 1.0])
def test_ties_are_broken_in_some_greedy_way(name, share):
    points = TIED[name]
    n = round(share * len(points))
    picks = farthest_point_sample(points, n)
    assert len(picks) == len(set(picks)) == n
    is_greedy(points, picks)
    if name == "row":  # on a line the distances are fixed whatever the ties
        np.testing.assert_allclose(pick_distances(points, picks), pick_distances(points, greedy(points, n)))


def test_ties_with_selected_points():
    points = TIED["flat grid"]
    selected = points[::7] + 0.25
    picks = farthest_point_sample(points, 600, selected=selected)
    assert len(set(picks)) == 600
    is_greedy(points, picks, selected)


def test_duplicates_come_last_lowest_index_first():
    points = np.repeat(SPHERE[:300], 4, axis=0)[np.random.default_rng(0).permutation(1200)]
    picks = farthest_point_sample(points, 1200)
    assert sorted(picks) == list(range(1200))
    assert len(np.unique(points[picks[:300]], axis=0)) == 300
    assert (np.diff(picks[300:]) > 0).all()
    np.testing.assert_array_equal(picks, greedy(points, 1200))


def test_all_points_equal():
    np.testing.assert_array_equal(farthest_point_sample(np.ones((6, 3)), 4), [0, 1, 2, 3])
    np.testing.assert_array_equal(farthest_point_sample(np.ones((6, 3)), 3, selected=np.ones((2, 3))), [0, 1, 2])


def test_the_picks_do_not_depend_on_the_order_or_place_of_the_points():
    order = np.random.default_rng(3).permutation(len(SPHERE))
    there = farthest_point_sample(SPHERE, 400)
    np.testing.assert_array_equal(order[farthest_point_sample(SPHERE[order], 400)], there)
    np.testing.assert_array_equal(farthest_point_sample(SPHERE * 8 + [16, -32, 64], 400), there)


def test_open3d_agrees():
    o3d = import_open3d()
    cloud = o3d.geometry.PointCloud(o3d.utility.Vector3dVector(SPHERE))
    expected = np.asarray(cloud.farthest_point_down_sample(500).points)  # starts at index 0, keeps the cloud's order
    np.testing.assert_array_equal(SPHERE[np.sort(farthest_point_sample(SPHERE, 500, start=0))], expected)


def test_a_seed_draws_the_start():
    first = {int(farthest_point_sample(SPHERE, 1, seed=seed)[0]) for seed in range(20)}
    assert len(first) > 10
    np.testing.assert_array_equal(farthest_point_sample(SPHERE, 99, seed=5), farthest_point_sample(SPHERE, 99, seed=5))
    start = int(farthest_point_sample(SPHERE, 1, seed=5)[0])
    np.testing.assert_array_equal(farthest_point_sample(SPHERE, 99, seed=5), greedy(SPHERE, 99, start=start))


def test_none_and_too_many():
    assert farthest_point_sample(SPHERE, 0).shape == (0,)
    assert farthest_point_sample(SPHERE, 0).dtype == np.int64
    assert farthest_point_sample(np.empty((0, 3)), 0).shape == (0,)
    for n in (-1, len(SPHERE) + 1):
        with pytest.raises(OptionError, match=f"cannot pick {n} of {len(SPHERE)} points"):
            farthest_point_sample(SPHERE, n)
        with pytest.raises(OptionError, match=f"cannot pick {n}"):
            farthest_point_sample(torch.from_numpy(SPHERE)[None], n)
    for start in (-1, len(SPHERE)):
        with pytest.raises(OptionError, match=f"start.*{start}"):
            farthest_point_sample(SPHERE, 3, start=start)


def test_bad_points():
    with pytest.raises(CloudError, match="finite"):
        farthest_point_sample(np.array([[0.0, 0, 0], [np.nan, 0, 0]]), 1)
    with pytest.raises(CloudError, match=r"\(5,\)"):
        farthest_point_sample(np.zeros(5), 1)


@pytest.fixture
def pair_counts(monkeypatch):
    """How many pairs each search returned: at 24 bytes a pair they are what memory goes to."""
    counts = []

    class Counting(cKDTree):
        def sparse_distance_matrix(self, *args, **options):
            pairs = super().sparse_distance_matrix(*args, **options)
            counts.append(len(pairs))
            return pairs

    monkeypatch.setattr("pcsr_zoo.geometry.fps_array.cKDTree", Counting)
    return counts


def test_memory_stays_bounded_where_one_cluster_is_dense(pair_counts):
    """30,000 points in the room of one: their pairs alone would be 10 GB."""
    rng = np.random.default_rng(0)
    sparse = np.stack(np.meshgrid(np.arange(60.0), np.arange(60.0), [0.0]), axis=-1).reshape(-1, 3)
    sparse += rng.uniform(-0.2, 0.2, sparse.shape)
    dense = np.c_[rng.uniform(0.5, 0.51, (30_000, 2)), np.zeros(30_000)]
    picks = farthest_point_sample(np.concatenate([sparse, dense]), 4200)
    assert len(set(picks)) == 4200
    assert set(range(3600)) - set(picks) == set()  # each of the sparse points is farther than any in the cluster
    assert max(pair_counts, default=0) < 2_000_000  # compiled code lists no pairs


def test_memory_stays_bounded_with_far_outliers(pair_counts):
    rng = np.random.default_rng(0)
    points = np.concatenate([rng.uniform(size=(60_000, 3)), rng.uniform(size=(300, 3)) * 1e4])
    picks = farthest_point_sample(points, 400)
    assert set(range(60_001, 60_300)) <= set(picks)
    assert max(pair_counts, default=0) < 2_000_000  # compiled code lists no pairs


# -- torch ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["sphere", "volume", "line", "clusters"])
def test_the_batched_loop_is_greedy_too(name):
    batch = torch.from_numpy(np.stack([SHAPES[name][:700], SHAPES[name][100:800]]))
    picks = farthest_point_sample(batch, 200)
    assert picks.shape == (2, 200)
    assert picks.dtype == torch.int64
    for row, points in zip(picks.numpy(), batch.numpy(), strict=True):
        np.testing.assert_array_equal(row, greedy(points, 200))
    np.testing.assert_array_equal(farthest_point_sample(batch, 50, start=9)[1], greedy(batch[1].numpy(), 50, start=9))
    assert farthest_point_sample(batch, 0).shape == (2, 0)


def test_the_loop_with_selected_points_and_seed():
    points, selected = SPHERE[50:900], SPHERE[:50]
    picks = greedy_batch(torch.from_numpy(points)[None], 300, None, torch.from_numpy(selected), None)[0]
    np.testing.assert_array_equal(picks, greedy(points, 300, selected=selected))
    picks = greedy_batch(torch.from_numpy(points)[None], 300, None, None, 11)[0]
    np.testing.assert_array_equal(picks, farthest_point_sample(points, 300, seed=11))
    with pytest.raises(OptionError, match="unbatched"):
        farthest_point_sample(torch.from_numpy(points)[None], 3, selected=torch.from_numpy(selected))


def test_the_loop_picks_no_index_twice():
    points = torch.from_numpy(np.repeat(SPHERE[:100], 3, axis=0))
    picks = greedy_batch(points[None], 300, None, None, None)[0]
    assert sorted(picks.tolist()) == list(range(300))
    np.testing.assert_array_equal(picks, greedy(points.numpy(), 300))


def test_a_tensor_gives_a_tensor():
    picks = farthest_point_sample(torch.from_numpy(SPHERE).float(), 100)
    assert isinstance(picks, torch.Tensor)
    assert picks.dtype == torch.int64
    np.testing.assert_array_equal(picks.numpy(), greedy(SPHERE.astype(np.float32).astype(np.float64), 100))
    chosen = farthest_point_sample(torch.from_numpy(SPHERE[50:]), 100, selected=torch.from_numpy(SPHERE[:50]))
    np.testing.assert_array_equal(chosen.numpy(), greedy(SPHERE[50:], 100, selected=SPHERE[:50]))


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_picks_the_same():
    points = torch.from_numpy(SPHERE)
    assert torch.equal(farthest_point_sample(points.cuda(), 300).cpu(), farthest_point_sample(points, 300))


@pytest.mark.parametrize("n", [5, 100, 700])
@pytest.mark.parametrize("kind", ["smooth", "wild", "beside selected ones"])
def test_weighted_distances_are_greedy(n, kind):
    weights = np.clip(np.exp(2 * SPHERE[:, 0]), 0.5, 2)
    if kind == "wild":
        weights = np.exp(np.random.default_rng(1).uniform(-1.5, 1.5, len(SPHERE)))
    selected = SPHERE[:40] + 0.01 if kind == "beside selected ones" else None
    found = farthest_point_sample(SPHERE, n, selected=selected, weights=weights)
    np.testing.assert_array_equal(found, greedy(SPHERE, n, selected=selected, weights=weights))


def test_weights_make_picks_denser():
    left = SPHERE[:, 0] < 0
    picks = farthest_point_sample(SPHERE, 200, weights=np.where(left, 1.5, 1.0))
    assert 1.8 < left[picks].mean() / (1 - left[picks].mean()) < 2.7  # 1.5 squared


@pytest.mark.parametrize("weights", [np.ones(3), np.zeros(1500), np.full(1500, np.nan)])
def test_weights_that_make_no_sense(weights):
    with pytest.raises(OptionError, match=r"1500 .*weights"):
        farthest_point_sample(SPHERE, 10, weights=weights)
    with pytest.raises(OptionError, match="only for an array"):
        farthest_point_sample(torch.from_numpy(SPHERE), 10, weights=weights)
