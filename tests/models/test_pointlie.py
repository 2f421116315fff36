"""`pointlie`: the contract with the weights that ship; then counts, seeds and invariances with random weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from model_contract import RecovererContract, SamplerContract, UpsamplerContract, torus_cloud, unmatched
from scipy.spatial import cKDTree

from pcsr_zoo import LoadedModel, list_models, load, recover, sample, upsample
from pcsr_zoo.errors import OptionError
from pcsr_zoo.geometry.fps import farthest_point_sample
from pcsr_zoo.models.base import Context, tasks_of
from pcsr_zoo.models.pointlie.model import PointLIE
from pcsr_zoo.models.pointlie.snapping import nearest_distinct


class PointLIEContract:
    """The network sees offsets along the axes, and moves points by them: it turns with the cloud only about."""

    turns = False
    off_plane = 3.0


class TestX4Upsamples(PointLIEContract, UpsamplerContract):
    name = "pointlie-x4"


class TestX4Samples(PointLIEContract, SamplerContract):
    name = "pointlie-x4"


class TestX4Recovers(PointLIEContract, RecovererContract):
    name = "pointlie-x4"


@pytest.mark.slow
class TestX8Samples(TestX4Samples):
    name = "pointlie-x8"


@pytest.mark.slow
class TestX8Recovers(TestX4Recovers):
    name = "pointlie-x8"


@pytest.mark.slow
class TestX16Samples(TestX4Samples):
    name = "pointlie-x16"


@pytest.mark.slow
class TestX16Recovers(TestX4Recovers):
    name = "pointlie-x16"


def trial(model: PointLIE) -> LoadedModel:
    return load(model, allow_untrained=True)


def made(ratio: int = 4, **arguments) -> PointLIE:
    """A small model whose last layers are not zero."""
    torch.manual_seed(0)
    model = PointLIE(ratio, blocks=2, hidden=16, growth=6, neighbors=8, **arguments)
    for parameter in model.network.parameters():
        parameter.data += 0.05 * torch.randn_like(parameter)
    return model


@pytest.fixture(scope="module")
def model() -> PointLIE:
    return made(temperature=0.5)


@pytest.fixture(scope="module")
def points() -> np.ndarray:
    return torus_cloud(600)


def test_it_samples_recovers_and_upsamples():
    assert "pointlie" in list_models()
    assert tasks_of(PointLIE) == ("sample", "upsample", "recover")


@pytest.mark.parametrize("n", [1, 2, 75, 150, 200, 400, 599, 600])
def test_it_places_as_many_points_as_are_asked_for_near_the_cloud(model, points, n):
    placed = model.sampled_points(points, n, Context())
    assert placed.shape == (n, 3)
    spacing = np.sqrt(15.8 / n)
    assert cKDTree(points).query(placed)[0].max() < 1.5 * spacing
    chosen = model.select(points, n, Context())
    assert len(set(chosen.tolist())) == n
    assert cKDTree(points).query(placed)[0].mean() <= np.linalg.norm(points[chosen] - placed, axis=1).mean() + 1e-12


@pytest.mark.parametrize("n", [1, 15, 301, 599])
def test_farthest_points_where_the_network_never_saw_such_clouds(model, points, n):
    """For fewer than 16 samples, and for more than half of the points, twice the trained share."""
    farthest = points[farthest_point_sample(points, n)]
    np.testing.assert_array_equal(model.sampled_points(points, n, Context()), farthest)
    near = 16 if n < 16 else 300
    assert cKDTree(points).query(model.sampled_points(points, near, Context()))[0].mean() > 1e-3


@pytest.mark.parametrize("ratio", [2, 4, 8, 16])
@pytest.mark.parametrize("size", [2, 3, 40])
def test_it_rebuilds_as_many_points_as_are_asked_for(ratio, size):
    model, few = made(ratio), torus_cloud(150)[:size]
    for n in (size, ratio * size, 5 * ratio * size // 3):
        dense = model.reconstruct(few, n, Context())
        assert dense.shape == (n, 3)
        assert np.isfinite(dense).all()


def test_a_single_candidate_for_each_offset_is_enough():
    """k = 1 gives so few candidates that a second pass is needed earlier."""
    assert made(4, k=1).reconstruct(torus_cloud(50), 250, Context()).shape == (250, 3)


def test_seeds_and_temperature(model, points):
    def run(seed: int = 0, temperature: float = 1.0) -> np.ndarray:
        return model.reconstruct(points[:100], 400, Context(seed, temperature=temperature))

    np.testing.assert_array_equal(run(), run())
    assert unmatched(run(), run(seed=1), 1e-3) > 0.5
    np.testing.assert_array_equal(run(temperature=0), run(seed=1, temperature=0))

    def spread(temperature: float) -> float:
        mean = run(temperature=0)
        return float(np.mean([cKDTree(mean).query(run(seed, temperature))[0].mean() for seed in range(3)]))

    assert 0 < spread(0.2) < spread(1.0)


def test_noise_belongs_to_points_not_to_their_numbers(model, points):
    order = np.random.default_rng(0).permutation(100)
    here = model.reconstruct(points[:100], 400, Context())
    there = model.reconstruct(points[:100][order], 400, Context())
    assert unmatched(here, there, 1e-4) < 0.02
    here = model.sampled_points(points, 150, Context())
    there = model.sampled_points(points[np.random.default_rng(0).permutation(600)], 150, Context())
    assert unmatched(here, there, 1e-4) < 0.02


def test_place_and_size_do_not_matter(model, points):
    move = np.array([3.0, -100.0, 0.25])
    placed = sample(points, 4, model=trial(model))
    assert unmatched((sample(7 * points + move, 4, model=trial(model)) - move) / 7, placed, 1e-4) < 0.02
    dense = recover(placed, 4, model=trial(model))
    assert unmatched((recover(7 * placed + move, 4, model=trial(model)) - move) / 7, dense, 1e-4) < 0.02


def test_candidates_serve_upsampling(model, points):
    found = model.candidates(points, points, 1800, Context())
    assert found.shape == (model.network.growth * 600, 3)
    dense = upsample(points, 3.5, model=trial(model), keep_input=True)
    assert dense.shape == (2100, 3)
    np.testing.assert_array_equal(dense[:600], points)


def test_the_arguments_make_the_same_model(model):
    again = PointLIE(**model.arguments)
    assert again.arguments == model.arguments
    again.network.load_state_dict(model.network.state_dict())
    placed = model.sampled_points(torus_cloud(100), 25, Context())
    np.testing.assert_array_equal(again.sampled_points(torus_cloud(100), 25, Context()), placed)


def test_ratios_that_are_no_power_of_two():
    with pytest.raises(OptionError, match="ratio"):
        PointLIE(3)


def test_duplicates(model):
    few = np.repeat(torus_cloud(20), 4, axis=0)
    assert np.isfinite(model.sampled_points(few, 20, Context())).all()
    assert np.isfinite(model.reconstruct(few, 320, Context())).all()


# -- snapping -----------------------------------------------------------------------------------------------------


def test_snapping_takes_the_nearest_pairs_first():
    rng = np.random.default_rng(0)
    points, places = rng.normal(size=(60, 3)), rng.normal(size=(40, 3))
    distance = np.linalg.norm(places[:, None] - points, axis=2)
    expected = np.full(40, -1)
    for flat in np.argsort(distance, axis=None):
        i, j = divmod(int(flat), 60)
        if expected[i] < 0 and j not in expected:
            expected[i] = j
    found = nearest_distinct(points, places)
    assert len(set(found.tolist())) == 40
    total, best = (distance[np.arange(40), which].sum() for which in (found, expected))
    assert total <= 1.1 * best
    clear = distance.argmin(axis=1)
    alone = [i for i in range(40) if (clear == clear[i]).sum() == 1]
    np.testing.assert_array_equal(found[alone], expected[alone])


def test_snapping_all_to_one_point_takes_its_neighbors():
    points = torus_cloud(200)
    found = nearest_distinct(points, np.tile(points[7], (30, 1)))
    nearest = cKDTree(points).query(points[7], 30)[1]
    assert sorted(found.tolist()) == sorted(nearest.tolist())
    assert sorted(nearest_distinct(points, np.zeros((200, 3))).tolist()) == list(range(200))


def test_double_precision(model, points):
    """The same network in float64 samples and recovers what it does in float32, up to rounding."""
    double = made(temperature=0.5)
    double.network.load_state_dict(model.network.state_dict())
    double.network.double()
    assert "float64" in double.dtypes
    few = [m.sampled_points(points, 150, Context()) for m in (model, double)]
    assert 0 < np.abs(few[0] - few[1]).max() < 1e-4
    dense = [m.reconstruct(few[1], 600, Context()) for m in (model, double)]
    assert unmatched(*dense, 1e-3) < 0.05


@pytest.mark.parametrize("ratio", [4, 8, 16])
def test_one_inverse_pass_upsamples_by_the_trained_ratio(ratio, monkeypatch):
    model, calls = made(ratio), []
    real = type(model.network).candidates
    monkeypatch.setattr(
        type(model.network),
        "candidates",
        lambda self, points, *rest: calls.append(points.shape[1]) or real(self, points, *rest),
    )
    assert upsample(torus_cloud(60), ratio, model=trial(model)).shape == (60 * ratio, 3)
    assert calls == [60]
