"""`pointlie-geo`: both contracts, with the weights that ship, and samples that recovery needs."""

from __future__ import annotations

import numpy as np
import pytest
from model_contract import SamplerContract, UpsamplerContract, torus_cloud
from scipy.spatial import cKDTree

torch = pytest.importorskip("torch")

from pcsr_zoo import LoadedModel, load, sample  # noqa: E402
from pcsr_zoo.errors import OptionError  # noqa: E402
from pcsr_zoo.geometry.fps import farthest_point_sample  # noqa: E402
from pcsr_zoo.geometry.knn import KNN  # noqa: E402
from pcsr_zoo.models.base import tasks_of  # noqa: E402
from pcsr_zoo.models.jetnet.recipe import JetNetRecipe  # noqa: E402
from pcsr_zoo.models.pointlie_geo.model import PointLIEGeo  # noqa: E402
from pcsr_zoo.models.pointlie_geo.sampling import _distances, _errors, sample_for_recovery  # noqa: E402

SMALL = {"width": 24, "hidden": 16, "decoder": 24}


class TestX4Upsamples(UpsamplerContract):
    """See `TestJetNet` for the bounds: the surface is the same."""

    name = "pointlie-geo-x4"
    elsewhere, tolerance, elsewhere_at_utm = 0.05, 1e-3, 0.1


class TestX8Samples(SamplerContract):
    """Of a torus many samples serve equally well, and rounding selects one; powers of two round nothing."""

    name = "pointlie-geo-x8"
    size = 300
    factor = 0.125
    test_translation = None
    scales = (1 / 64, 64.0)
    turns = False
    elsewhere_at_utm = 1.0


def nearest_of(samples: np.ndarray, size: int) -> np.ndarray:
    """A recovery that only repeats the samples: every point is as wrong as it is far from one."""
    return np.concatenate([samples, samples[np.arange(size - len(samples)) % len(samples)]])


@pytest.fixture(scope="module")
def plate_and_pin() -> np.ndarray:
    """A flat plate, which a few points tell, and a thin pin upon it, which they do not."""
    rng = np.random.default_rng(0)
    plate = rng.uniform(-1, 1, (3000, 3)) * [1, 1, 0]
    pin = np.stack(
        [*(0.03 * np.array([np.cos(a := rng.uniform(0, 2 * np.pi, 300)), np.sin(a)])), rng.uniform(0, 1, 300)]
    )
    return np.concatenate([plate, pin.T])


def flat(samples: np.ndarray, size: int) -> np.ndarray:
    """A recovery that is right on the plate, and elsewhere only repeats the samples."""
    rng = np.random.default_rng(1)
    above = samples[samples[:, 2] > 0]
    plate = rng.uniform(-1, 1, (size - len(above), 3)) * [1, 1, 0]
    return np.concatenate([above, plate])


def test_samples_go_where_recovery_is_wrong(plate_and_pin):
    size = len(plate_and_pin)
    calls: list[float] = []

    def recover_flat(samples: np.ndarray, done: float) -> np.ndarray:
        calls.append(done)
        return flat(samples, size)

    plain = farthest_point_sample(plate_and_pin, 200)
    found = sample_for_recovery(plate_and_pin, 200, recover_flat, 3)
    assert calls == [0, 0.25, 0.5, 0.75]
    assert len(set(found.tolist())) == 200
    on_pin = (plate_and_pin[found, 2] > 0).sum()
    assert on_pin > 1.25 * (plate_and_pin[plain, 2] > 0).sum()
    pin = plate_and_pin[plate_and_pin[:, 2] > 0]
    worst = [cKDTree(plate_and_pin[rows]).query(pin)[0].max() for rows in (plain, found)]
    assert worst[1] < worst[0]


def test_where_nothing_helps_it_is_farthest_point_sampling(plate_and_pin):
    plain = farthest_point_sample(plate_and_pin, 150)

    def only_these(samples: np.ndarray, done: float) -> np.ndarray:
        """Right for the plain samples, far off for any others."""
        return plate_and_pin if np.array_equal(samples, plate_and_pin[plain]) else plate_and_pin + 5 * done

    def spoilt(samples: np.ndarray, done: float) -> np.ndarray:
        return only_these(samples, done) * (1.0 if done == 0 else 1.5)

    np.testing.assert_array_equal(sample_for_recovery(plate_and_pin, 150, spoilt, 3), plain)
    np.testing.assert_array_equal(sample_for_recovery(plate_and_pin, 150, only_these, 0), plain)


def test_errors_and_distances_by_their_definitions():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(40, 3)), rng.normal(size=(70, 3))
    table = np.linalg.norm(a[:, None] - b, axis=2)
    expected = np.array([max([table[i].min(), *table[i, table.argmin(axis=0) == i]]) ** 2 for i in range(40)])
    np.testing.assert_allclose(_errors(a, KNN(a), b), expected)
    a, b = a - a.mean(axis=0), b - b.mean(axis=0)
    table = ((a[:, None] - b) ** 2).sum(axis=2)
    chamfer = table.min(axis=1).mean() + table.min(axis=0).mean()
    hausdorff = table.min(axis=1).max() + table.min(axis=0).max()
    np.testing.assert_allclose(_distances(a + 3, b - 1), (chamfer, hausdorff))


def trial(model: PointLIEGeo) -> LoadedModel:
    return load(model, allow_untrained=True)


def test_sampling_is_no_worse_than_fps_by_the_recovered_cloud():
    model = trial(PointLIEGeo(8, surface=SMALL))
    points = torus_cloud(1600) * [1.0, 1.0, 0.3]

    def chamfer(samples: np.ndarray) -> float:
        dense = model.recover(samples, n=1600)
        return float((cKDTree(dense).query(points)[0] ** 2).mean() + (cKDTree(points).query(dense)[0] ** 2).mean())

    assert chamfer(model.sample(points, 8)) <= 1.02 * chamfer(sample(points, 8, model="fps"))


def test_what_it_does_and_is_made_of():
    assert tasks_of(PointLIEGeo) == ("sample", "upsample", "recover")
    assert PointLIEGeo(4).arguments["surface"]["width"] == 96
    assert isinstance(PointLIEGeo(4).recipe(), JetNetRecipe)
    for arguments, name in (({"ratio": 4, "rounds": -1}, "rounds"), ({"ratio": 3}, "pointlie-geo")):
        with pytest.raises(OptionError, match=name):
            PointLIEGeo(**arguments)


def test_its_samples_are_not_taken_for_noise(monkeypatch):
    """It recovers what it judged when it sampled, also where the samples look noisy."""
    import pcsr_zoo.pipelines.resample as resample

    points = torus_cloud(600)
    model = trial(PointLIEGeo(4, surface=SMALL, rounds=1))
    few = model.sample(points)
    expected = model.recover(few)
    monkeypatch.setattr(resample, "estimate_noise", lambda points: 0.4)
    np.testing.assert_array_equal(model.recover(few), expected)
    assert not np.array_equal(model.upsample(few, 4, keep_input=True), expected)
