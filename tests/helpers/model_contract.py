"""What every model must pass. A model's test is a subclass that sets `name`:

    class TestMine(UpsamplerContract):
        name = "mine"

Bounds are class attributes, for models that hold them less exactly; whoever widens one says why.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pytest
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from pcsr_zoo import Cloud, list_models, load, sample, upsample
from pcsr_zoo._open3d import import_open3d
from pcsr_zoo.catalog import model_info
from pcsr_zoo.errors import CloudError, OptionError
from pcsr_zoo.geometry.fps import farthest_point_sample

UTM = np.array([5e5, 4.6e6, 250.0])


def torus_cloud(n: int, seed: int = 0) -> np.ndarray:
    """(n, 3) points evenly on a torus of radii 1 and 0.4."""
    rng = np.random.default_rng(seed)
    u, v, w = rng.uniform(0, 1, (3, 12 * n))
    keep = w < (1 + 0.4 * np.cos(2 * np.pi * v)) / 1.4  # uniform by area
    u, v = 2 * np.pi * u[keep], 2 * np.pi * v[keep]
    ring = 1 + 0.4 * np.cos(v)
    points = np.stack([ring * np.cos(u), ring * np.sin(u), 0.4 * np.sin(v)], axis=1)
    return points[farthest_point_sample(points, n)]


def with_attributes(points: np.ndarray) -> Cloud:
    n = len(points)
    rng = np.random.default_rng(1)
    normals = rng.normal(size=(n, 3))
    return Cloud(
        points,
        {
            "colors": rng.integers(0, 256, (n, 3), dtype=np.uint8),
            "normals": (normals / np.linalg.norm(normals, axis=1, keepdims=True)).astype(np.float32),
            "intensity": rng.integers(0, 65536, n, dtype=np.uint16),
            "labels": rng.integers(0, 5, n, dtype=np.int32),
            "gps_time": np.arange(float(n)),
            "ground": rng.uniform(size=n) < 0.5,
            "row": np.arange(n),
        },
        {"crs": "EPSG:25832"},
    )


def unmatched(a: np.ndarray, b: np.ndarray, tolerance: float) -> float:
    """The share of points of two clouds, taken as sets, that have no partner within the tolerance in the other."""
    assert len(a) == len(b)
    there, back = cKDTree(b).query(a)[0], cKDTree(a).query(b)[0]
    return float(max((there > tolerance).mean(), (back > tolerance).mean()))


class ModelContract:
    name: ClassVar[str]
    task: ClassVar[str]
    size: ClassVar[int] = 600  # points of the test cloud
    # Of the result's points, how many may land elsewhere when the cloud is shuffled, turned, moved or scaled (near
    # ties fall the other way), and how far apart, in units of the cloud's radius, the others may be.
    elsewhere: ClassVar[float] = 0.01
    tolerance: ClassVar[float] = 1e-5
    elsewhere_at_utm: ClassVar[float] = 0.0

    @pytest.fixture(scope="class")
    def points(self) -> np.ndarray:
        return torus_cloud(self.size)

    def run(self, x: Any, **options: Any) -> Any:
        raise NotImplementedError

    def test_the_registry_knows_it(self):
        assert self.name in list_models()
        info = model_info(self.name)
        assert info["name"] == self.name
        assert self.task in info["tasks"]
        assert info["summary"]
        assert info["source"]
        assert load(self.name).name == self.name

    def test_same_seed_same_result(self, points):
        before = points.copy()
        first = self.run(points, seed=3)
        np.testing.assert_array_equal(self.run(points, seed=3), first)
        np.testing.assert_array_equal(points, before)  # and the input is left alone

    def test_a_cloud_far_from_the_origin(self, points):
        """A cloud of 100 m at UTM coordinates comes back within 1 mm of where it comes back at the origin."""
        points = points * 50
        assert unmatched(self.run(points + UTM) - UTM, self.run(points), 1e-3) <= self.elsewhere_at_utm

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    def test_a_point_that_is_not_finite_is_named(self, points, value):
        bad = points.copy()
        bad[37, 2] = value
        bad[99, 0] = value
        with pytest.raises(CloudError, match=r"row 37 .* 1 more row"):
            self.run(bad)

    def test_an_empty_cloud(self):
        with pytest.raises(CloudError, match="empty"):
            self.run(np.empty((0, 3)))

    def test_the_kind_that_was_given_comes_back(self, points):
        torch = pytest.importorskip("torch")
        o3d = import_open3d()
        expected = self.run(points)
        assert isinstance(expected, np.ndarray)
        assert expected.dtype == np.float64
        result = self.run(Cloud(points))
        assert isinstance(result, Cloud)
        np.testing.assert_array_equal(result.positions, expected)
        result = self.run(torch.from_numpy(points))
        assert result.dtype == torch.float64
        np.testing.assert_array_equal(result.numpy(), expected)
        legacy = o3d.geometry.PointCloud(o3d.utility.Vector3dVector(points))
        result = self.run(legacy)
        assert isinstance(result, o3d.geometry.PointCloud)
        np.testing.assert_array_equal(np.asarray(result.points), expected)
        result = self.run(o3d.t.geometry.PointCloud(o3d.core.Tensor(points)))
        assert isinstance(result, o3d.t.geometry.PointCloud)
        np.testing.assert_array_equal(result.point["positions"].numpy(), expected)
        single = self.run(points.astype(np.float32))
        assert single.dtype == np.float32
        assert single.shape == expected.shape

    def test_progress_is_told(self, points):
        calls: list[tuple[str, float]] = []
        self.run(points, progress=lambda stage, fraction: calls.append((stage, fraction)))
        assert calls
        assert all(stage and 0 <= fraction <= 1 for stage, fraction in calls)

    def test_an_unknown_device(self, points):
        with pytest.raises(OptionError, match="'warp'"):
            self.run(points, device="warp")


class UpsamplerContract(ModelContract):
    """For `name`s of upsamplers."""

    task = "upsample"
    off_plane: ClassVar[float] = 1e-6  # of the cloud's radius

    def run(self, x: Any, ratio: float | None = 4, **options: Any) -> Any:
        return upsample(x, ratio, model=self.name, **options)

    # -- counts -------------------------------------------------------------------------------------------------

    @pytest.mark.parametrize("ratio", [4, 2.5, 1, 10, 16, 1.0001])
    @pytest.mark.parametrize("keep", [True, False])
    def test_exactly_round_ratio_n_points(self, points, ratio, keep):
        result = self.run(points, ratio, keep_input=keep)
        assert result.shape == (round(ratio * len(points)), 3)
        assert np.isfinite(result).all()
        assert len(np.unique(result, axis=0)) == len(result)
        assert np.abs(result).max() < 1.6  # nothing flies off a torus that reaches to 1.4

    @pytest.mark.parametrize("extra", [0, 1, 777])
    def test_exactly_n_points(self, points, extra):
        assert len(self.run(points, n=len(points) + extra)) == len(points) + extra
        assert len(self.run(points, None, n=np.int64(len(points) + extra))) == len(points) + extra

    @pytest.mark.parametrize("count", [2, 3, 16, 255])
    def test_few_points(self, count):
        points = torus_cloud(255)[:count]
        for ratio in (1, 2.5, 4, 16):
            result = self.run(points, ratio)
            assert result.shape == (round(ratio * count), 3)
            assert np.isfinite(result).all()
        np.testing.assert_array_equal(self.run(points, keep_input=True)[:count], points)

    def test_too_few_points(self):
        for points in (np.zeros((1, 3)), np.ones((1, 3)) * 7, np.ones((40, 3)) * 1e6):
            with pytest.raises(CloudError, match=r"1 distinct point; .* needs at least \d"):
                self.run(points)

    # -- what may not matter ------------------------------------------------------------------------------------

    @pytest.mark.parametrize("ratio", [4, 2.5])
    def test_the_order_of_the_points(self, points, ratio):
        shuffled = points[np.random.default_rng(0).permutation(len(points))]
        assert unmatched(self.run(shuffled, ratio), self.run(points, ratio), self.tolerance) <= self.elsewhere

    @pytest.mark.parametrize("seed", range(3))
    def test_rotation(self, points, seed):
        turn = Rotation.random(random_state=seed)
        result = turn.apply(self.run(points))
        assert unmatched(self.run(turn.apply(points)), result, self.tolerance) <= self.elsewhere

    def test_translation(self, points):
        shift = np.array([3.0, -100.0, 0.25])
        assert unmatched(self.run(points + shift) - shift, self.run(points), self.tolerance) <= self.elsewhere

    @pytest.mark.parametrize("scale", [1e-6, 0.3, 1e6])
    def test_scale(self, points, scale):
        assert unmatched(self.run(points * scale) / scale, self.run(points), self.tolerance) <= self.elsewhere

    # -- the input ----------------------------------------------------------------------------------------------

    def test_kept_input_comes_first_bit_for_bit(self, points):
        for x in (points, points + UTM, points.astype(np.float32)):
            np.testing.assert_array_equal(self.run(x, 2.5, keep_input=True)[: len(points)], x)

    def test_the_input_of_a_clean_cloud_is_kept(self, points):
        np.testing.assert_array_equal(self.run(points)[: len(points)], points)

    def test_ratio_one_keeps_the_cloud(self, points):
        np.testing.assert_array_equal(self.run(points, 1), points)

    def test_duplicate_points(self, points):
        doubled = np.concatenate([points, points[:200], points[:50]])
        result = self.run(doubled)
        assert len(result) == 4 * len(doubled)
        np.testing.assert_array_equal(result[: len(doubled)], doubled)
        new = result[len(doubled) :]
        assert len(np.unique(new, axis=0)) == len(new)  # they add none of their own
        assert cKDTree(points).query(new)[0].min() > 0
        for keep in (True, False):
            assert len(self.run(doubled, 2.5, keep_input=keep)) == round(2.5 * len(doubled))

    def test_attributes_travel(self, points):
        cloud = with_attributes(points)
        for keep in (True, False):
            result = self.run(cloud, 2.5, keep_input=keep)
            assert result.metadata == cloud.metadata
            assert list(result.attributes) == list(cloud.attributes)
            for name, values in result.attributes.items():
                assert values.dtype == cloud.attributes[name].dtype
                assert values.shape == (len(result), *cloud.attributes[name].shape[1:])
                if keep:
                    np.testing.assert_array_equal(values[: len(points)], cloud.attributes[name], err_msg=name)
            np.testing.assert_allclose(np.linalg.norm(result.attributes["normals"], axis=1), 1, atol=1e-5)
            distance, index = cKDTree(points).query(result.positions, k=4)
            nearest = distance <= distance[:, :1] * (1 + 1e-6) + 1e-12  # half-way between two, either will do
            same = cloud.attributes["labels"][index] == result.attributes["labels"][:, None]
            assert (same & nearest).any(axis=1).all()
        assert list(cloud.attributes["row"]) == list(range(len(points)))

    def test_further_columns_travel(self, points):
        height = points[:, 2:] * 10
        result = self.run(np.concatenate([points, height], axis=1))
        assert result.shape == (4 * len(points), 4)
        assert np.abs(result[:, 3] - 10 * result[:, 2]).mean() < 0.3

    # -- degenerate shapes --------------------------------------------------------------------------------------

    @pytest.mark.parametrize("turned", [False, True])
    def test_a_planar_cloud_stays_planar(self, turned):
        flat = np.random.default_rng(0).uniform(-1, 1, (400, 3)) * [1.0, 1, 0]
        turn = Rotation.from_euler("xyz", [0.4, 1.1, -0.7]) if turned else Rotation.identity()
        for keep in (True, False):
            result = self.run(turn.apply(flat), keep_input=keep)
            assert np.abs(turn.inv().apply(result)[:, 2]).max() < self.off_plane

    @pytest.mark.parametrize("count", [2, 3, 40, 300])
    def test_a_linear_cloud_stays_on_its_line(self, count):
        t = np.sort(np.random.default_rng(0).uniform(-1, 1, count))
        direction = np.array([0.36, 0.48, 0.8])
        result = self.run(t[:, None] * direction)
        along = result @ direction
        assert len(result) == 4 * count
        assert np.linalg.norm(result - along[:, None] * direction, axis=1).max() < self.off_plane
        assert t[0] - 1e-9 <= along.min()
        assert along.max() <= t[-1] + 1e-9

    def test_a_grid_is_filled_evenly(self):
        """All distances tie: no side of the grid may be denser than another."""
        grid = np.stack(np.meshgrid(np.arange(40.0), np.arange(40.0), [0.0]), axis=-1).reshape(-1, 3)
        new = self.run(grid, 2.5)[len(grid) :]
        for axis in (0, 1):
            counts = np.histogram(new[:, axis], bins=8, range=(0, 39))[0][1:-1]  # at the border fewer edges begin
            assert counts.max() < 1.6 * counts.min()

    # -- loading ------------------------------------------------------------------------------------------------

    def test_loading_again_gives_the_same(self, points):
        expected = self.run(points)
        np.testing.assert_array_equal(load(self.name).upsample(points, 4), expected)
        np.testing.assert_array_equal(upsample(points, 4, model=load(self.name)), expected)

    @pytest.mark.cuda
    def test_cuda_agrees(self, points):
        torch = pytest.importorskip("torch")
        if not torch.cuda.is_available():
            pytest.skip("no CUDA device")
        assert unmatched(self.run(points, device="cuda"), self.run(points), 10 * self.tolerance) <= self.elsewhere

    def test_it_does_not_sample(self, points):
        if "sample" in model_info(self.name)["tasks"]:
            pytest.skip("it does")
        with pytest.raises(OptionError, match=f"'{self.name}' does not sample; use it with upsample"):
            sample(points, 4, model=self.name)


class SamplerContract(ModelContract):
    """For `name`s of samplers that choose among the points of the cloud."""

    task = "sample"

    def run(self, x: Any, ratio: float | None = 4, **options: Any) -> Any:
        return sample(x, ratio, model=self.name, **options)

    @pytest.mark.parametrize("ratio", [4, 2.5, 1, 1.0001, 16, 1e9])
    def test_exactly_round_n_over_ratio_points(self, points, ratio):
        assert len(self.run(points, ratio)) == max(1, round(len(points) / ratio))

    def test_halves_round_to_even(self, points):
        assert len(self.run(points[:300], 8)) == 38  # 37.5
        assert len(self.run(points[:100], 8)) == 12  # 12.5

    @pytest.mark.parametrize("n", [1, 2, 17, 299, 599, 600])
    def test_exactly_n_distinct_points_of_the_cloud(self, points, n):
        rows = self.run(with_attributes(points), None, n=n).attributes["row"]
        assert len(rows) == len(set(rows)) == n

    def test_attributes_travel_unchanged(self, points):
        cloud = with_attributes(points)
        result = self.run(cloud, 3)
        rows = result.attributes["row"]
        np.testing.assert_array_equal(result.positions, points[rows])
        assert {key: value for key, value in result.metadata.items() if key != "pcsr"} == cloud.metadata
        for name, values in cloud.attributes.items():
            assert result.attributes[name].dtype == values.dtype
            np.testing.assert_array_equal(result.attributes[name], values[rows])

    def test_all_points_are_kept_when_all_are_asked_for(self, points):
        result = self.run(points, 1)
        np.testing.assert_array_equal(np.unique(result, axis=0), np.unique(points, axis=0))

    @pytest.mark.parametrize("count", [1, 2, 16, 255])
    def test_few_points(self, count):
        points = torus_cloud(255)[:count]
        for n in {1, count // 2 + 1, count}:
            rows = self.run(with_attributes(points), None, n=n).attributes["row"]
            assert len(set(rows)) == n

    @pytest.mark.parametrize("shape", ["equal", "duplicates", "line", "plane", "grid"])
    def test_degenerate_clouds(self, shape):
        rng = np.random.default_rng(0)
        points = {
            "equal": np.full((60, 3), 3.5),
            "duplicates": np.repeat(rng.uniform(size=(15, 3)), 4, axis=0),
            "line": rng.uniform(size=(60, 1)) * [1.0, 2, 3],
            "plane": rng.uniform(size=(60, 3)) * [1.0, 1, 0],
            "grid": np.stack(np.meshgrid(*[np.arange(4.0)] * 3), axis=-1).reshape(-1, 3)[:60],
        }[shape]
        for n in (1, 7, 15, 31, 60):
            rows = self.run(with_attributes(points), None, n=n).attributes["row"]
            assert len(set(rows)) == n

    def test_place_and_size_do_not_matter(self, points):
        here = self.run(with_attributes(points)).attributes["row"]
        for moved in (points * 64, points + np.array([16.0, -8, 4])):
            there = self.run(with_attributes(moved)).attributes["row"]
            assert len(set(here) - set(there)) <= self.elsewhere * len(here)

    def test_too_many(self, points):
        with pytest.raises(OptionError, match="cannot sample 601 of 600 points; use upsample"):
            self.run(points, None, n=601)

    def test_it_does_not_upsample(self, points):
        if "upsample" in model_info(self.name)["tasks"]:
            pytest.skip("it does")
        with pytest.raises(OptionError, match=f"'{self.name}' does not upsample; use it with sample"):
            upsample(points, 4, model=self.name)
