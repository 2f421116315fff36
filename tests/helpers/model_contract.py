"""What every model must pass, with the weights that ship. A model's test is a subclass that sets `name`:

    class TestMine(UpsamplerContract):
        name = "mine"

A model that samples derives from `SamplerContract`, one that reconstructs from `RecovererContract`, several of them at
once where it does both. Bounds are class attributes, for models that keep them less exactly; who widens one says why.
What tests the pipeline rather than the model is in tests/pipelines, with `midpoint` and `fps`.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pytest
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from pcsr_zoo import Cloud, LoadedModel, list_models, load, model_info
from pcsr_zoo.errors import CloudError
from pcsr_zoo.geometry.fps import farthest_point_sample
from pcsr_zoo.models.base import KINDS, is_learned

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


def off_torus(points: np.ndarray) -> np.ndarray:
    """The distance (n,) of each point to the surface of that torus."""
    return np.abs(np.hypot(np.hypot(points[:, 0], points[:, 1]) - 1, points[:, 2]) - 0.4)


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
    """What all models share.

    Attributes:
        name: of a checkpoint, or of a model class without a network.
        verb, factor: what is tested, and how many points come out for each point of the input.
        size: points of the test cloud.
        elsewhere, tolerance: of the result's points, how many may land elsewhere when the cloud is shuffled, turned,
            moved or scaled (near ties fall the other way), and how far apart, in units of the cloud's radius, the
            others may be.
        elsewhere_at_utm: the same for a cloud at UTM coordinates.
        shift, scales: by which the cloud is moved and scaled.
        turns: whether the result turns with the cloud; otherwise it only has to be as near to the surface.
        off_surface: how far, on average, a result may be off the torus, in radii.
    """

    name: ClassVar[str]
    verb: ClassVar[str]
    factor: ClassVar[float]
    size: ClassVar[int] = 400
    elsewhere: ClassVar[float] = 0.01
    tolerance: ClassVar[float] = 1e-5
    elsewhere_at_utm: ClassVar[float] = 0.0
    turns: ClassVar[bool] = True
    shift: ClassVar[tuple[float, ...]] = (3.0, -100.0, 0.25)
    scales: ClassVar[tuple[float, ...]] = (1e-6, 1e6)
    off_surface: ClassVar[float] = 0.05

    @pytest.fixture(scope="class")
    def points(self) -> np.ndarray:
        return torus_cloud(self.size)

    @property
    def loaded(self) -> LoadedModel:
        if "_loaded" not in vars(type(self)):
            type(self)._loaded = load(self.name)  # type: ignore[attr-defined]
        return type(self)._loaded  # type: ignore[attr-defined]

    def run(self, x: Any, n: int | None = None, **options: Any) -> Any:
        """The verb, to n points; by default to `factor` times as many as x has."""
        n = max(1, round(self.factor * len(x))) if n is None else n
        return getattr(self.loaded, self.verb)(x, None, n=n, **options)

    # -- what it says of itself -----------------------------------------------------------------------------------

    def test_declarations(self):
        cls = type(self.loaded.model)
        assert self.name in list_models()
        info = model_info(self.name)
        assert info["name"] == self.name == self.loaded.name
        assert self.verb in info["tasks"]
        assert info["summary"]
        assert info["source"]
        assert cls.kind in KINDS
        assert cls.paper is None or (cls.paper.method and "@" in cls.paper.bibtex)

    def test_saving_and_loading_changes_nothing(self, points, tmp_path):
        if not is_learned(self.loaded.model):
            pytest.skip("it has no weights")
        again = load(self.loaded.save(tmp_path / "saved"))
        assert again.weights == self.loaded.weights
        expected = self.run(points[:100])
        found = getattr(again, self.verb)(points[:100], None, n=len(expected))
        np.testing.assert_array_equal(found, expected)

    # -- counts ---------------------------------------------------------------------------------------------------

    def counts(self, size: int) -> list[int]:
        """Numbers of points to ask for, for a cloud of this size."""
        raise NotImplementedError

    def test_exact_counts(self, points):
        for n in self.counts(len(points)):
            result = self.run(points, n)
            assert result.shape == (n, 3)
            assert np.isfinite(result).all()
            assert np.abs(result).max() < 1.6  # nothing flies off a torus that reaches to 1.4
            assert off_torus(result).mean() < self.off_surface

    @pytest.mark.parametrize("count", [2, 3, 16, 255])
    def test_few_points(self, count):
        points = torus_cloud(255)[:count]
        for n in self.counts(count):
            result = self.run(points, n)
            assert result.shape == (n, 3)
            assert np.isfinite(result).all()

    def test_duplicate_points(self, points):
        doubled = np.concatenate([points, points[:100], points[:25]])
        for n in self.counts(len(doubled)):
            assert self.run(doubled, n).shape == (n, 3)

    @pytest.mark.parametrize("value", [np.nan, np.inf])
    def test_a_point_that_is_not_finite_is_named(self, points, value):
        bad = points.copy()
        bad[37, 2] = value
        with pytest.raises(CloudError, match="row 37"):
            self.run(bad)

    # -- what must not matter -------------------------------------------------------------------------------------

    def test_same_seed_same_result(self, points):
        before = points.copy()
        first = self.run(points, seed=3)
        np.testing.assert_array_equal(self.run(points, seed=3), first)
        np.testing.assert_array_equal(points, before)  # and the input is left alone

    def test_the_order_of_the_points(self, points):
        shuffled = points[np.random.default_rng(0).permutation(len(points))]
        assert unmatched(self.run(shuffled), self.run(points), self.tolerance) <= self.elsewhere

    def test_translation(self, points):
        shift = np.array(self.shift)
        assert unmatched(self.run(points + shift) - shift, self.run(points), self.tolerance) <= self.elsewhere

    def test_scale(self, points):
        for scale in self.scales:
            assert unmatched(self.run(points * scale) / scale, self.run(points), self.tolerance) <= self.elsewhere

    @pytest.mark.parametrize("seed", range(2))
    def test_rotation(self, points, seed):
        turn = Rotation.random(random_state=seed)
        turned, plain = turn.inv().apply(self.run(turn.apply(points))), self.run(points)
        if self.turns:
            assert unmatched(turned, plain, self.tolerance) <= self.elsewhere
        assert off_torus(turned).mean() < 1.5 * off_torus(plain).mean() + 1e-6

    def test_a_cloud_far_from_the_origin(self, points):
        """A cloud of 100 m at UTM coordinates comes back within 1 mm of where it comes back at the origin."""
        points = points * 50
        assert unmatched(self.run(points + UTM) - UTM, self.run(points), 1e-3) <= self.elsewhere_at_utm

    @pytest.mark.cuda
    def test_cuda_agrees(self, points):
        torch = pytest.importorskip("torch")
        if not torch.cuda.is_available():
            pytest.skip("no CUDA device")
        assert unmatched(self.run(points, device="cuda"), self.run(points), 10 * self.tolerance) <= self.elsewhere


class DensifyingContract(ModelContract):
    """What upsampling and recovery share.

    Attributes:
        off_plane: how far a result may leave the plane or the line of the cloud, in point spacings of the cloud.
    """

    factor = 4.0
    off_plane: ClassVar[float] = 1e-5

    def counts(self, size: int) -> list[int]:
        return [size, size + 1, round(2.5 * size), 4 * size, 16 * size] if size < 300 else [size, size + 777, 4 * size]

    def test_too_few_points(self):
        for points in (np.zeros((1, 3)), np.ones((40, 3)) * 1e6):
            with pytest.raises(CloudError):
                self.run(points, 200)

    @pytest.mark.parametrize("turned", [False, True])
    def test_a_planar_cloud_stays_planar(self, turned):
        flat = np.random.default_rng(0).uniform(-1, 1, (300, 3)) * [1.0, 1, 0]
        turn = Rotation.from_euler("xyz", [0.4, 1.1, -0.7]) if turned else Rotation.identity()
        spacing = 2 / len(flat) ** 0.5
        assert np.abs(turn.inv().apply(self.run(turn.apply(flat)))[:, 2]).max() < self.off_plane * spacing

    @pytest.mark.parametrize("count", [2, 3, 40, 200])
    def test_a_linear_cloud_stays_on_its_line(self, count):
        t = np.sort(np.random.default_rng(0).uniform(-1, 1, count))
        direction = np.array([0.36, 0.48, 0.8])
        result = self.run(t[:, None] * direction)
        along = result @ direction
        limit = self.off_plane * 2 / count
        assert len(result) == 4 * count
        assert np.linalg.norm(result - along[:, None] * direction, axis=1).max() < limit
        assert along.min() > t[0] - limit
        assert along.max() < t[-1] + limit


class UpsamplerContract(DensifyingContract):
    """For models that upsample."""

    verb = "upsample"

    def test_kept_input_comes_first_and_new_points_are_distinct(self, points):
        result = self.run(points, keep_input=True)
        np.testing.assert_array_equal(result[: len(points)], points)
        assert len(np.unique(result, axis=0)) == len(result)


class RecovererContract(DensifyingContract):
    """For models that reconstruct a cloud from sampled points, all of it anew."""

    verb = "recover"

    def test_temperature_spreads_what_is_drawn(self, points):
        mean, narrow, wide = (self.run(points[:100], temperature=t, seed=1) for t in (0.0, 1.0, 4.0))
        np.testing.assert_array_equal(mean, self.run(points[:100], temperature=0.0, seed=2))
        apart = [np.linalg.norm(drawn - mean, axis=1).mean() for drawn in (narrow, wide)]
        assert 0 < apart[0] < apart[1]


class SamplerContract(ModelContract):
    """For models that sample."""

    verb = "sample"
    factor = 0.25

    def counts(self, size: int) -> list[int]:
        return sorted({1, size // 2 + 1, size - 1, size})

    def test_exactly_n_distinct_points_of_the_cloud(self, points):
        cloud = with_attributes(points)
        for n in self.counts(len(points)):
            rows = self.run(cloud, n, snap=True).attributes["row"]
            assert len(rows) == len(set(rows.tolist())) == n

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
        if shape == "equal" and type(self.loaded.model).moves:
            with pytest.raises(CloudError):
                self.run(points, 7)
            return
        for n in (1, 7, 31, 60):
            rows = self.run(with_attributes(points), n, snap=True).attributes["row"]
            assert len(set(rows.tolist())) == n
