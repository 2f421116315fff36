"""`pointlie-geo`: both contracts, samples that recovery needs, and where its candidates come from."""

from __future__ import annotations

import numpy as np
import pytest
from model_contract import SamplerContract, UpsamplerContract, torus_cloud
from random_weights import randomized
from scipy.spatial import cKDTree
from test_jetnet import TestJetNet as JetNetCase

torch = pytest.importorskip("torch")

from pcsr_zoo import recover, sample  # noqa: E402
from pcsr_zoo.errors import OptionError  # noqa: E402
from pcsr_zoo.geometry.fps import farthest_point_sample  # noqa: E402
from pcsr_zoo.geometry.knn import KNN  # noqa: E402
from pcsr_zoo.models.base import Context, tasks_of  # noqa: E402
from pcsr_zoo.models.pointlie_geo.model import PointLIEGeo  # noqa: E402
from pcsr_zoo.models.pointlie_geo.sampling import _distances, _errors, sample_for_recovery  # noqa: E402

SMALL = {"width": 24, "hidden": 16, "decoder": 24}


class TestItUpsamples(UpsamplerContract):
    name = "pointlie-geo"
    elsewhere, tolerance, elsewhere_at_utm = JetNetCase.elsewhere, JetNetCase.tolerance, JetNetCase.elsewhere_at_utm


class TestItSamples(SamplerContract):
    name = "pointlie-geo"
    # Of clouds for which several samples serve equally well, such as this torus of more points, rounding chooses one.
    size = 300
    test_too_many = None

    test_exactly_n_distinct_points_of_the_cloud = None  # by few_points, at less cost
    test_halves_round_to_even = None


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


@pytest.mark.parametrize("candidates", ["inverse", "both"])
def test_candidates_of_the_inverse_path(candidates):
    torch.manual_seed(0)
    small = {"blocks": 1, "hidden": 16, "growth": 6, "neighbors": 8, "prior_dense": 1, "prior_hidden": 8}
    model = PointLIEGeo(4, candidates, 1, inverse=small, surface=SMALL)
    randomized(model.network, 0.3)
    assert PointLIEGeo(**model.arguments).arguments == model.arguments
    points = torus_cloud(600)
    few = model.sample(points)
    assert len(few) == 150
    dense = recover(few, 4, model=model)
    assert dense.shape == (600, 3)
    np.testing.assert_array_equal(dense[:150], few)
    edges = PointLIEGeo(4, "edges", 1, surface=SMALL)
    edges.network.load_state_dict(model.surface.network.state_dict())
    apart = recover(few, 4, model=edges)
    assert not np.array_equal(apart, dense)
    places = [m.candidates(few, few, 450, Context()) for m in (model, edges)]
    growth = model.inverse.network.growth * len(few)
    expected = growth if candidates == "inverse" else growth + len(places[1])
    assert 0.5 * expected < len(places[0]) <= expected  # some went astray: the weights are random


def test_sampling_is_no_worse_than_fps_by_the_recovered_cloud():
    model = PointLIEGeo(8, surface=SMALL)
    points = torus_cloud(1600) * [1.0, 1.0, 0.3]

    def chamfer(samples: np.ndarray) -> float:
        dense = recover(samples, n=1600, model=model)
        return float((cKDTree(dense).query(points)[0] ** 2).mean() + (cKDTree(points).query(dense)[0] ** 2).mean())

    assert chamfer(sample(points, 8, model=model)) <= 1.02 * chamfer(sample(points, 8, model="fps"))


def test_what_it_does_and_is_made_of():
    assert tasks_of(PointLIEGeo) == ("sample", "upsample", "recover")
    assert PointLIEGeo(4).arguments["surface"]["width"] == 96
    with pytest.raises(OptionError, match="candidates 'all' is unknown"):
        PointLIEGeo(4, "all")
    with pytest.raises(OptionError, match="rounds must be"):
        PointLIEGeo(4, rounds=-1)
    with pytest.raises(OptionError, match="2, 4, 8 and 16"):
        PointLIEGeo(3)
    with pytest.raises(OptionError, match="no invertible network"):
        PointLIEGeo(4, inverse={"hidden": 8})


def test_its_recipes():
    from pcsr_zoo.models.pointlie_geo_recipe__GONE import PointLIEGeoRecipe

    from pcsr_zoo.models.jetnet.recipe import JetNetRecipe
    from pcsr_zoo.zoo import load

    assert isinstance(PointLIEGeo(4).recipe(), JetNetRecipe)
    model = PointLIEGeo(4, "both")
    recipe = model.recipe(points=256)
    assert isinstance(recipe, PointLIEGeoRecipe)
    for name, value in load("jetnet").network.state_dict().items():
        torch.testing.assert_close(model.network.surface.state_dict()[name], value)
    trained = {name for name, p in recipe.networks()["network"].named_parameters() if p.requires_grad}
    assert trained
    assert not any(name.startswith("surface.") for name in trained)
    with pytest.raises(OptionError, match="'jet' is no jetnet"):
        model.recipe(surface="jet")
    with pytest.raises(OptionError, match="does not fit"):
        PointLIEGeo(4, "both", surface=SMALL).recipe()


def test_its_samples_are_not_taken_for_noise(monkeypatch):
    """It recovers what it judged when it sampled, also where the samples look noisy."""
    import pcsr_zoo.pipelines.resample as resample

    points = torus_cloud(600)
    model = PointLIEGeo(4, surface=SMALL, rounds=1)
    few = model.sample(points)
    expected = model.recover(few)
    monkeypatch.setattr(resample, "estimate_noise", lambda points: 0.4)
    np.testing.assert_array_equal(model.recover(few), expected)
    assert not np.array_equal(model.upsample(few, 4, keep_input=True), expected)
