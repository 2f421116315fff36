"""What the whole-cloud pipelines promise for every model, tested once: with `midpoint`, and with `fps`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from model_contract import UTM, torus_cloud, with_attributes
from scipy.spatial import cKDTree

from pcsr_zoo import Cloud, load, sample, upsample
from pcsr_zoo._open3d import import_open3d
from pcsr_zoo.errors import CloudError, OptionError
from pcsr_zoo.models.base import Context
from pcsr_zoo.models.densify import densify
from pcsr_zoo.models.midpoint.model import Midpoint

POINTS = torus_cloud(600)


def up(x: Any, ratio: float | None = 4, **options: Any) -> Any:
    return upsample(x, ratio, model="midpoint", **options)


def down(x: Any, ratio: float | None = 4, **options: Any) -> Any:
    return sample(x, ratio, model="fps", **options)


@pytest.fixture(params=[up, down])
def run(request):
    return request.param


def test_an_empty_cloud(run):
    with pytest.raises(CloudError):
        run(np.empty((0, 3)))


def test_rows_that_are_not_finite_are_counted(run):
    bad = POINTS.copy()
    bad[37, 2], bad[99, 0] = np.nan, -np.inf
    with pytest.raises(CloudError, match=r"row 37 .* 1 more"):
        run(bad)


def test_the_kind_that_was_given_comes_back(run, tmp_path):
    torch = pytest.importorskip("torch")
    o3d = import_open3d()
    expected = run(POINTS)
    assert isinstance(expected, np.ndarray)
    assert expected.dtype == np.float64
    result = run(Cloud(POINTS))
    assert isinstance(result, Cloud)
    np.testing.assert_array_equal(result.positions, expected)
    result = run(torch.from_numpy(POINTS))
    assert result.dtype == torch.float64
    np.testing.assert_array_equal(result.numpy(), expected)
    legacy = o3d.geometry.PointCloud(o3d.utility.Vector3dVector(POINTS))
    result = run(legacy)
    assert isinstance(result, o3d.geometry.PointCloud)
    np.testing.assert_array_equal(np.asarray(result.points), expected)
    result = run(o3d.t.geometry.PointCloud(o3d.core.Tensor(POINTS)))
    assert isinstance(result, o3d.t.geometry.PointCloud)
    np.testing.assert_array_equal(result.point["positions"].numpy(), expected)
    single = run(POINTS.astype(np.float32))
    assert single.dtype == np.float32
    assert single.shape == expected.shape
    np.savetxt(tmp_path / "a.xyz", POINTS, fmt="%.17g")
    np.testing.assert_array_equal(run(tmp_path / "a.xyz").positions, expected)


def test_progress_is_told(run):
    calls: list[tuple[str, float]] = []
    run(POINTS, progress=lambda stage, fraction: calls.append((stage, fraction)))
    assert calls
    assert all(stage and 0 <= fraction <= 1 for stage, fraction in calls)


def test_an_unknown_device(run):
    with pytest.raises(OptionError, match="'warp'"):
        run(POINTS, device="warp")


def test_the_other_verb_is_refused_by_name():
    with pytest.raises(OptionError, match="'midpoint'"):
        sample(POINTS, 4, model="midpoint")
    with pytest.raises(OptionError, match="'fps'"):
        upsample(POINTS, 4, model="fps")


# -- upsampling ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ratio", [4, 2.5, 1, 10, 16, 1.0001])
@pytest.mark.parametrize("keep", [True, False])
def test_exactly_round_ratio_n_points(ratio, keep):
    result = up(POINTS, ratio, keep_input=keep)
    assert result.shape == (round(ratio * len(POINTS)), 3)
    assert len(np.unique(result, axis=0)) == len(result)


@pytest.mark.parametrize("extra", [0, 1, 777])
def test_exactly_n_points(extra):
    assert len(up(POINTS, n=len(POINTS) + extra)) == len(POINTS) + extra
    assert len(up(POINTS, None, n=np.int64(len(POINTS) + extra))) == len(POINTS) + extra


def test_kept_input_comes_first_bit_for_bit():
    for x in (POINTS, POINTS + UTM, POINTS.astype(np.float32)):
        np.testing.assert_array_equal(up(x, 2.5, keep_input=True)[: len(POINTS)], x)


def test_the_input_of_a_clean_cloud_is_kept():
    np.testing.assert_array_equal(up(POINTS)[: len(POINTS)], POINTS)
    np.testing.assert_array_equal(up(POINTS, 1), POINTS)


def test_duplicates_of_the_input_stay_and_add_none():
    doubled = np.concatenate([POINTS, POINTS[:200], POINTS[:50]])
    result = up(doubled)
    np.testing.assert_array_equal(result[: len(doubled)], doubled)
    new = result[len(doubled) :]
    assert len(np.unique(new, axis=0)) == len(new)
    assert cKDTree(POINTS).query(new)[0].min() > 0


def test_attributes_travel_with_new_points():
    cloud = with_attributes(POINTS)
    for keep in (True, False):
        result = up(cloud, 2.5, keep_input=keep)
        assert result.metadata == cloud.metadata
        assert list(result.attributes) == list(cloud.attributes)
        for name, values in result.attributes.items():
            assert values.dtype == cloud.attributes[name].dtype
            assert values.shape == (len(result), *cloud.attributes[name].shape[1:])
            if keep:
                np.testing.assert_array_equal(values[: len(POINTS)], cloud.attributes[name], err_msg=name)
        np.testing.assert_allclose(np.linalg.norm(result.attributes["normals"], axis=1), 1, atol=1e-5)
        distance, index = cKDTree(POINTS).query(result.positions, k=4)
        nearest = distance <= distance[:, :1] * (1 + 1e-6) + 1e-12  # half-way between two, either will do
        same = cloud.attributes["labels"][index] == result.attributes["labels"][:, None]
        assert (same & nearest).any(axis=1).all()
    assert list(cloud.attributes["row"]) == list(range(len(POINTS)))


def test_further_columns_travel():
    height = POINTS[:, 2:] * 10
    result = up(np.concatenate([POINTS, height], axis=1))
    assert result.shape == (4 * len(POINTS), 4)
    assert np.abs(result[:, 3] - 10 * result[:, 2]).mean() < 0.3


@pytest.mark.parametrize("model", ["midpoint", "jet", "jetnet"])
def test_a_grid_is_filled_evenly(model):
    """All distances tie: no side of the grid may be denser than another."""
    grid = np.stack(np.meshgrid(np.arange(40.0), np.arange(40.0), [0.0]), axis=-1).reshape(-1, 3)
    new = upsample(grid, 2.5, model=model)[len(grid) :]
    for axis in (0, 1):
        counts = np.histogram(new[:, axis], bins=8, range=(0, 39))[0][1:-1]  # at the border fewer edges begin
        assert counts.max() < 1.6 * counts.min()


# -- sampling -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ratio", [4, 2.5, 1, 1.0001, 16, 600])
def test_exactly_round_n_over_ratio_points(ratio):
    assert len(down(POINTS, ratio)) == max(1, round(len(POINTS) / ratio))


def test_halves_round_to_even():
    assert len(down(POINTS[:300], 8)) == 38  # 37.5
    assert len(down(POINTS[:100], 8)) == 12  # 12.5


def test_attributes_of_sampled_points_are_unchanged():
    cloud = with_attributes(POINTS)
    result = down(cloud, 3)
    rows = result.attributes["row"]
    np.testing.assert_array_equal(result.positions, POINTS[rows])
    assert {key: value for key, value in result.metadata.items() if key != "pcsr"} == cloud.metadata
    for name, values in cloud.attributes.items():
        assert result.attributes[name].dtype == values.dtype
        np.testing.assert_array_equal(result.attributes[name], values[rows])


def test_all_points_are_kept_when_all_are_asked_for():
    np.testing.assert_array_equal(np.unique(down(POINTS, 1), axis=0), np.unique(POINTS, axis=0))


def test_place_and_size_do_not_matter_to_a_sample():
    here = down(with_attributes(POINTS)).attributes["row"]
    for moved in (POINTS * 64, POINTS + np.array([16.0, -8, 4])):
        there = down(with_attributes(moved)).attributes["row"]
        assert len(set(here) - set(there)) <= 0.01 * len(here)


def test_more_points_than_there_are():
    with pytest.raises(OptionError, match="601"):
        down(POINTS, None, n=601)


# -- counts that are hard to reach --------------------------------------------------------------------------------


def random_cloud(rng: np.random.Generator, most: int) -> np.ndarray:
    """2 to `most` points: even, clumped at any scale, on a line, with duplicates, on a grid."""
    kind = rng.choice(["even", "clumped", "line", "duplicates", "grid"])
    n = int(np.exp(rng.uniform(np.log(2), np.log(most))))
    points = rng.normal(size=(n, 3))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    if kind == "clumped":
        points = rng.normal(size=(3, 3))[rng.integers(0, 3, n)] + rng.normal(size=(n, 3)) * 10.0 ** rng.uniform(-9, -1)
    elif kind == "line":
        points = rng.uniform(size=(n, 1)) * rng.normal(size=(1, 3))
    elif kind == "duplicates":
        points = points[rng.integers(0, max(2, n // 3), n)]
    elif kind == "grid":
        points = np.stack(np.meshgrid(*[np.arange(max(2.0, round(n ** (1 / 3))))] * 3), axis=-1).reshape(-1, 3)
    return points


def check_counts(model: str, seeds: range, most: int) -> None:
    loaded = load(model)
    for seed in seeds:
        rng = np.random.default_rng(seed)
        points, ratio = random_cloud(rng, most), np.exp(rng.uniform(np.log(1.01), np.log(17)))
        if len(np.unique(points, axis=0)) < 2:
            continue
        result = loaded.upsample(points, ratio, seed=seed)
        assert result.shape == (round(ratio * len(points)), 3), (model, seed)
        assert np.isfinite(result).all(), (model, seed)


FAST = ["jet", "midpoint", "jetnet", "pointlie-geo-x4"]
SLOW = ["sspu-geo-x4", "pointlie-x4", "pointlie-x8", "pointlie-x16"]


@pytest.mark.parametrize("model", FAST + SLOW)
def test_any_cloud_gets_its_exact_count(model):
    check_counts(model, range(40 if model in FAST else 12), 50)


@pytest.mark.slow
@pytest.mark.parametrize("model", FAST + SLOW)
def test_500_random_clouds_get_their_exact_count(model):
    check_counts(model, range(500), 400 if model in FAST else 60)


@pytest.mark.parametrize("model", ["jet", "midpoint", "jetnet"])
def test_a_single_missing_point_finds_a_place(model):
    """The farthest candidate may fall on a point that exists; the next ones, and finer ones, are tried."""
    rng = np.random.default_rng(4)
    grid = np.stack(np.meshgrid(np.arange(8.0), np.arange(8.0), [0.0]), axis=-1).reshape(-1, 3)
    for points in (grid, rng.uniform(size=(200, 3)), np.array([[0.0, 0, 0], [1, 0, 0]])):
        for extra in (1, 2, 3):
            assert len(upsample(points, n=len(points) + extra, model=model)) == len(points) + extra


def test_points_without_a_number_between_them():
    close = np.array([[1.0, 0, 0], [np.nextafter(1.0, 2), 0, 0]])
    with pytest.raises(CloudError, match="'midpoint'"):
        densify(Midpoint(), close, close, 1, Context())
