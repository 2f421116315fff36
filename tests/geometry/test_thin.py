"""Poisson-disk and voxel thinning against their definitions, one point at a time."""

from __future__ import annotations

import time
import tracemalloc

import numpy as np
import pytest

from pcsr_zoo._open3d import import_open3d
from pcsr_zoo.errors import OptionError
from pcsr_zoo.geometry.fps import farthest_point_sample
from pcsr_zoo.geometry.thin import poisson_disk_sample, poisson_disk_thin, voxel_sample, voxel_thin

RNG = np.random.default_rng(4)
SPHERE = RNG.normal(size=(2000, 3))
SPHERE /= np.linalg.norm(SPHERE, axis=1, keepdims=True)
GRID = np.stack(np.meshgrid(np.arange(30.0), np.arange(40.0), [0.0]), axis=-1).reshape(-1, 3)
CLOUDS = {
    "sphere": SPHERE,
    "volume": RNG.uniform(size=(1500, 3)),
    "line": RNG.uniform(size=(700, 1)) * [1.0, 2.0, 3.0],
    "plane": RNG.uniform(size=(1000, 3)) * [1.0, 1.0, 0.0],
    "grid": GRID,
    "duplicates": np.repeat(SPHERE[:300], 4, axis=0),
    "equal": np.ones((50, 3)),
    "uneven": np.exp(RNG.uniform(-5, 2, (1500, 1))) * SPHERE[:1500],
    "utm": SPHERE[:1000] * 20 + np.array([5e5, 4.6e6, 100]),
    "two": np.array([[0.0, 0, 0], [1, 1, 1]]),
}


def gaps(points):
    """Distance of each point to the nearest other one."""
    distance = np.linalg.norm(points[:, None] - points[None], axis=2)
    np.fill_diagonal(distance, np.inf)
    return distance.min(axis=1)


def dart_throwing(points, radius, seed):
    """Each point, in random order, stays unless one that stayed is nearer than the radius."""
    kept: list[int] = []
    for i in np.random.default_rng(seed).permutation(len(points)):
        if not kept or np.linalg.norm(points[kept] - points[i], axis=1).min() >= radius:
            kept.append(int(i))
    return np.sort(kept)


@pytest.mark.parametrize("name", CLOUDS)
@pytest.mark.parametrize("share", [0.01, 0.05, 0.3])
def test_poisson_thinning_is_dart_throwing(name, share):
    points = CLOUDS[name]
    radius = share * max(np.ptp(points, axis=0).max(), 1e-3)
    kept = poisson_disk_thin(points, radius, seed=3)
    np.testing.assert_array_equal(kept, dart_throwing(points, radius, 3))
    # ... and so no two are nearer than the radius, and there is no room for another
    if len(kept) > 1:
        assert gaps(points[kept]).min() >= radius
    assert np.linalg.norm(points[:, None] - points[kept], axis=2).min(axis=1).max() < radius


def test_a_radius_of_exactly_the_spacing_keeps_a_grid():
    np.testing.assert_array_equal(poisson_disk_thin(GRID, 1.0), np.arange(len(GRID)))
    assert len(poisson_disk_thin(GRID, np.nextafter(1.0, 2.0))) < 0.6 * len(GRID)
    np.testing.assert_array_equal(poisson_disk_thin(GRID, 0.0), np.arange(len(GRID)))
    assert poisson_disk_thin(GRID, 0.0).dtype == np.int64
    assert len(poisson_disk_thin(GRID, 1e9)) == 1


@pytest.mark.parametrize("sampler", [poisson_disk_sample, voxel_sample])
@pytest.mark.parametrize("name", CLOUDS)
def test_exactly_n_distinct_indices(sampler, name):
    points = CLOUDS[name]
    size = len(points)
    for n in {1, 2, size // 7 + 1, size // 2, size - 1, size}:
        kept = sampler(points, n, seed=1)
        assert kept.dtype == np.int64
        assert (np.diff(kept) > 0).all()  # ascending, so distinct
        assert len(kept) == n
        assert kept[0] >= 0
        assert kept[-1] < size
        np.testing.assert_array_equal(kept, sampler(points, n, seed=1))


@pytest.mark.parametrize("sampler", [poisson_disk_sample, voxel_sample])
def test_counts_out_of_range(sampler):
    for n in (-1, 0, len(SPHERE) + 1):
        with pytest.raises(OptionError, match=f"cannot keep {n} of 2000 points"):
            sampler(SPHERE, n)


def test_another_seed_is_another_poisson_sample():
    a, b = (set(poisson_disk_sample(SPHERE, 300, seed)) for seed in (0, 1))
    assert len(a & b) < 200


@pytest.mark.parametrize("name", ["sphere", "volume", "plane", "line", "utm", "uneven"])
def test_a_poisson_sample_is_blue_noise(name):
    """Its points keep nearly the distance of farthest point sampling, which maximises it; random ones do not."""
    points = CLOUDS[name]
    n = len(points) // 10
    gap = gaps(points[poisson_disk_sample(points, n, seed=2)]).min()
    best = gaps(points[farthest_point_sample(points, n)]).min()
    random = gaps(points[RNG.choice(len(points), n, replace=False)]).min()
    assert 0.7 * best < gap
    assert gap > 3 * random


def test_a_poisson_sample_covers_a_grid_evenly():
    """All gaps of a grid are ties: what fills up the count must not leave a side of it bare."""
    for share in (0.3, 0.6, 0.75, 0.9):
        kept = GRID[poisson_disk_sample(GRID, round(share * len(GRID)))]
        rows = np.bincount(kept[:, 1].astype(int), minlength=40) / 30
        assert abs(rows - share).max() < 0.3
        assert np.linalg.norm(GRID[:, None] - kept, axis=2).min(axis=1).max() <= (1 if share > 0.5 else 2)


def test_a_poisson_sample_of_duplicates_takes_each_place_once():
    points = CLOUDS["duplicates"]
    assert len(np.unique(points[poisson_disk_sample(points, 300)], axis=0)) == 300
    assert len(np.unique(points[poisson_disk_sample(points, 700)], axis=0)) == 300  # no place is left out
    few = points[poisson_disk_sample(points, 60)]
    assert gaps(few).min() > 0.7 * gaps(points[farthest_point_sample(points, 60)]).min()


def test_poisson_memory_stays_bounded_where_points_crowd():
    rng = np.random.default_rng(0)
    radius, angle = np.exp(rng.uniform(np.log(0.3), np.log(80), 30_000)), rng.uniform(0, 2 * np.pi, 30_000)
    scan = np.stack([radius * np.cos(angle), radius * np.sin(angle), np.zeros(30_000)], axis=1)
    for points in (scan, np.zeros((30_000, 3))):
        tracemalloc.start()
        kept = poisson_disk_sample(points, 500)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert len(set(kept)) == 500
        assert peak < 60e6


# -- voxels -----------------------------------------------------------------------------------------------------


def voxels(points, size, origin):
    """voxel -> its points, by a dictionary."""
    cells: dict[tuple, list[int]] = {}
    for i, point in enumerate(points):
        cells.setdefault(tuple(int(np.floor((point[c] - origin[c]) / size)) for c in range(3)), []).append(i)
    return list(cells.values())


@pytest.mark.parametrize("name", CLOUDS)
@pytest.mark.parametrize("share", [0.003, 0.07, 0.4, 3.0])
def test_voxel_thinning_keeps_the_point_nearest_to_each_mean(name, share):
    points = CLOUDS[name]
    size = share * max(np.ptp(points, axis=0).max(), 1e-3)
    origin = points.min(axis=0)
    kept = voxel_thin(points, size)
    groups = voxels(points, size, origin)
    assert len(kept) == len(groups)
    chosen = set(kept)
    for group in groups:
        (index,) = chosen & set(group)
        squared = ((points[group] - points[group].mean(axis=0)) ** 2).sum(axis=1)
        assert squared[group.index(index)] <= squared.min() + 2e-9 * size**2
    np.testing.assert_array_equal(kept, voxel_thin(points, size, origin))


def test_of_two_points_in_a_voxel_the_first_stays():
    pairs = RNG.uniform(0.1, 0.9, (200, 3)) + np.arange(100).repeat(2)[:, None]
    kept = voxel_thin(pairs, 1.0, np.zeros(3))
    np.testing.assert_array_equal(kept, np.arange(0, 200, 2))


def test_open3d_counts_as_many_voxels():
    o3d = import_open3d()
    for size in (0.05, 0.2, 0.7):
        cloud = o3d.geometry.PointCloud(o3d.utility.Vector3dVector(SPHERE))
        expected = len(cloud.voxel_down_sample(size).points)
        assert len(voxel_thin(SPHERE, size, SPHERE.min(axis=0) - size / 2)) == expected  # Open3D's origin


def test_voxels_so_small_that_their_numbers_do_not_fit_one_integer():
    points = np.concatenate([SPHERE[:200], SPHERE[:200]])
    kept = voxel_thin(points, 1e-9)
    assert len(kept) == 200
    assert len(np.unique(points[kept], axis=0)) == 200


def test_a_voxel_sample_is_one_for_each_voxel_of_a_coarse_grid():
    kept = SPHERE[voxel_sample(SPHERE, 200)]
    distance = np.linalg.norm(SPHERE[:, None] - kept, axis=2).min(axis=1).max()
    random = SPHERE[RNG.choice(len(SPHERE), 200, replace=False)]
    assert distance < 0.75 * np.linalg.norm(SPHERE[:, None] - random, axis=2).min(axis=1).max()


def test_a_voxel_sample_of_many_points_takes_seconds():
    points = np.random.default_rng(0).normal(size=(100_000, 3))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    start = time.process_time()
    assert len(voxel_sample(points, 25_000)) == 25_000
    assert time.process_time() - start < 3  # 0.5 s; with rows sorted instead of numbers 12 s
