"""Every model keeps the contract; and what each is for, on shapes whose surface is known by formula."""

from __future__ import annotations

import numpy as np
import pytest
from model_contract import SamplerContract, UpsamplerContract, off_torus, torus_cloud
from scipy.spatial import cKDTree

from pcsr_zoo import sample, upsample
from pcsr_zoo.geometry.edges import neighbor_edges
from pcsr_zoo.geometry.fps import farthest_point_sample


class TestJet(UpsamplerContract):
    name = "jet"


class TestMidpoint(UpsamplerContract):
    name = "midpoint"
    # Midpoints of edges from one point are half as far apart as the edges' other ends: exact ties are common, and
    # rounding decides them.
    elsewhere_at_utm = 0.02


class TestFPS(SamplerContract):
    name = "fps"

    def test_it_is_farthest_point_sampling_for_any_seed(self, points):
        expected = points[farthest_point_sample(points, len(points) // 4)]
        for seed in range(3):
            np.testing.assert_allclose(sample(points, 4, model="fps", seed=seed), expected)

    def test_a_grid_is_thinned_evenly(self):
        grid = np.stack(np.meshgrid(np.arange(24.0), np.arange(24.0), [0.0]), axis=-1).reshape(-1, 3)
        counts = np.histogram2d(*sample(grid, n=400).T[:2], bins=2)[0]  # half of it, and some of the ties
        assert counts.max() < 1.25 * counts.min()


class TestRandom(SamplerContract):
    name = "random"
    test_the_order_of_the_points = None  # points are drawn by their number

    def test_another_seed_is_another_sample(self, points):
        first, second = (sample(points, n=60, model="random", seed=seed) for seed in (0, 1))
        assert (cKDTree(first).query(second)[0] == 0).sum() < 20  # 6 by chance


class TestPoisson(SamplerContract):
    name = "poisson"
    test_the_order_of_the_points = None  # darts are thrown in an order drawn by number


class TestVoxel(SamplerContract):
    name = "voxel"
    turns = False  # the grid is along the axes
    test_the_order_of_the_points = None  # of too many voxels some are left out, by number
    # The search for the grid's size ends where a point changes its voxel: rounding decides which side that is.
    elsewhere = elsewhere_at_utm = 0.03


def cover(points, kept):
    """The distance of the farthest point to the kept ones."""
    return cKDTree(kept).query(points)[0].max()


def test_even_samplers_cover_better_than_random():
    points = torus_cloud(2000)
    radius = {name: cover(points, sample(points, 16, model=name)) for name in ("fps", "random", "poisson", "voxel")}
    assert radius["fps"] < 0.5 * radius["random"]
    assert radius["poisson"] < 0.65 * radius["random"]
    assert radius["voxel"] < 0.8 * radius["random"]
    assert radius["fps"] < 1.1 * min(radius.values())


# -- quality of the upsamplers: distances to surfaces known by formula --------------------------------------------


def off_sphere(points):
    return np.abs(np.linalg.norm(points, axis=1) - 1)


def off_cube(points):
    """To the surface of the cube of side 2."""
    inside = (np.abs(points) <= 1).all(axis=1)
    outer = np.linalg.norm(np.maximum(np.abs(points) - 1, 0), axis=1)
    return np.where(inside, (1 - np.abs(points)).min(axis=1), outer)


def even(points, n):
    return points[farthest_point_sample(points, n)]


def sphere(n):
    points = np.random.default_rng(3).normal(size=(6 * n, 3))
    return even(points / np.linalg.norm(points, axis=1, keepdims=True), n)


def cube(n):
    rng = np.random.default_rng(3)
    points = rng.uniform(-1, 1, (6 * n, 3))
    points[np.arange(6 * n), rng.integers(0, 3, 6 * n)] = rng.choice([-1.0, 1.0], 6 * n)
    return even(points, n)


def new_points(points, model, ratio=4.0):
    return upsample(points, ratio, model=model, keep_input=True)[len(points) :]


@pytest.fixture(params=["jet", "jetnet"])
def model(request) -> str:
    return request.param


@pytest.mark.parametrize(("shape", "off"), [(sphere, off_sphere), (torus_cloud, off_torus)])
@pytest.mark.parametrize("ratio", [4, 2.5, 16])
def test_surface_models_finds_smooth_surfaces(model, shape, off, ratio):
    points = shape(1000)
    assert off(new_points(points, model, ratio)).mean() < 0.2 * off(new_points(points, "midpoint", ratio)).mean()


def test_surface_models_converges_with_the_spacing(model):
    coarse, fine = (off_sphere(new_points(sphere(n), model)).mean() for n in (500, 2000))
    assert fine < coarse / 3


def test_surface_models_does_not_round_a_cube(model):
    points = cube(1500)
    jet, midpoint = (off_cube(new_points(points, name)) for name in (model, "midpoint"))
    assert jet.mean() <= midpoint.mean()


def test_surface_models_covers_evenly(model):
    """Neither holes nor clumps: distances from everywhere on the sphere, and between the points."""
    points = sphere(500)
    dense = upsample(points, 4, model=model)
    probes = np.random.default_rng(0).normal(size=(20_000, 3))
    probes /= np.linalg.norm(probes, axis=1, keepdims=True)
    hole, before = (cKDTree(p).query(probes)[0] for p in (dense, points))
    assert hole.max() < 0.9 * before.max()
    assert np.quantile(hole, 0.99) < 0.7 * np.quantile(before, 0.99)  # half at best
    assert hole.mean() < 0.55 * before.mean()
    spacing = np.sqrt(4 * np.pi / 2000)
    assert np.quantile(cKDTree(dense).query(dense, k=2)[0][:, 1], 0.01) > 0.2 * spacing


@pytest.mark.parametrize("gap", [1.5, 2.0, 3.0])
def test_surface_models_keeps_two_sheets_apart(model, gap):
    rng = np.random.default_rng(0)
    spacing = np.sqrt(4 / 700)
    sheets = [np.c_[even(rng.uniform(-1, 1, (4000, 2)), 700), np.full(700, z)] for z in (0.0, gap * spacing)]
    new = new_points(np.concatenate(sheets), model)
    off = np.minimum(np.abs(new[:, 2]), np.abs(new[:, 2] - gap * spacing)) / spacing
    # jetnet also puts points round the borders of the sheets, as if they were one closed body
    assert np.mean(off < 0.1) > (0.98 if gap >= 2 else 0.9) - 0.02 * (model == "jetnet")
    assert off.mean() < (0.02 if gap >= 2 else 0.06)


@pytest.mark.parametrize("ratio", [4, 16])
@pytest.mark.parametrize("shape", ["disc", "cap"])
def test_surface_models_stays_within_an_open_border(model, shape, ratio):
    rng = np.random.default_rng(0)
    disc = rng.uniform(-1, 1, (6000, 2))
    disc = even(disc[np.linalg.norm(disc, axis=1) < 1], 600)
    spacing = np.sqrt(np.pi / 600)
    if shape == "disc":
        new = new_points(np.c_[disc, np.zeros(600)], model, ratio)
    else:
        lifted = np.c_[disc, np.sqrt(2 - (disc**2).sum(axis=1))]
        new = new_points(lifted, model, ratio)
        assert np.quantile(np.abs(np.linalg.norm(new, axis=1) - np.sqrt(2)), 0.99) < 0.05 * spacing
    assert np.linalg.norm(new[:, :2], axis=1).max() < 1 + spacing / 2


def test_jet_never_steps_far_where_there_is_no_surface():
    """In a volume of points every fit is wrong; yet no point lands farther from where it started than half-way to the
    nearest measured one."""
    points = np.random.default_rng(0).uniform(size=(800, 3)) ** 3
    new = new_points(points, "jet")
    middle = points[neighbor_edges(points, 24)].mean(axis=1)
    reach = cKDTree(points).query(middle)[0] / 2
    distance, index = cKDTree(middle).query(new[: 800 * 2], k=60)
    assert (distance <= reach[index] * (1 + 1e-6)).any(axis=1).all()


@pytest.mark.parametrize("sigma", [0.2, 0.3])
def test_surface_models_smooths_noise(model, sigma):
    """With nothing said, a noisy cloud is told as one, and its own points move onto the surface too."""
    clean = sphere(2000)
    noisy = clean * (1 + np.random.default_rng(0).normal(size=(2000, 1)) * sigma * np.sqrt(4 * np.pi / 2000))
    result = upsample(noisy, 4, model=model)
    assert off_sphere(result).mean() < 0.75 * off_sphere(noisy).mean()
    assert off_sphere(result[:2000]).mean() < 0.75 * off_sphere(noisy).mean()
    kept = upsample(noisy, 4, model=model, keep_input=True)
    np.testing.assert_array_equal(kept[:2000], noisy)
    assert off_sphere(kept[2000:]).mean() < 0.75 * off_sphere(noisy).mean()


def test_surface_models_leaves_a_clean_cloud_where_it_is_told_to_move_it(model):
    points = sphere(1500)
    moved = upsample(points, 1, model=model, keep_input=False)
    assert np.linalg.norm(moved - points, axis=1).max() < 2e-3
