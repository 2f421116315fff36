"""Random valid clouds through every model: what is promised for any input.

Promised are the exact count, finite points, the same result for the same seed, attributes in the range of the input,
new points near the input, and invariance: to the order of the points (all models, exactly), and to rotation,
translation and scale (models whose class says `turns`), up to near ties.
"""

from __future__ import annotations

import logging

import numpy as np
import pytest
from model_contract import unmatched, with_attributes
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from pcsr_zoo import Cloud, list_models, load
from pcsr_zoo.catalog import resolve
from pcsr_zoo.models.base import PatchUpsampler, ScanLineUpsampler

UPSAMPLERS = [
    name
    for name in list_models()
    if "upsample" in (found := resolve(name, paths=False)).tasks
    and not found.untrained
    and not issubclass(found.model_class, ScanLineUpsampler)  # they take scans only
]
RECOVERERS = [n for n in UPSAMPLERS if n.startswith("pointlie-x")]
SAMPLERS = [n for n in list_models() if "sample" in resolve(n).tasks and not resolve(n, paths=False).untrained]
TOLERANCE, ELSEWHERE = 1e-4, 0.02  # in radii; the share of points that near ties may put elsewhere
FARTHEST = 3.0  # distances to the fourth neighbor


def random_cloud(number: int) -> Cloud:
    """A cloud of a random kind, size, place and scale, with attributes of several types."""
    rng = np.random.default_rng([20, number])
    n = int(rng.integers(20, 300))
    kind = number % 8
    if kind < 2:
        points = rng.normal(size=(n, 3))
        points /= np.linalg.norm(points, axis=1, keepdims=True) if kind else 1.0
    elif kind == 2:  # a cube
        points = rng.uniform(-1, 1, (n, 3))
        axis = rng.integers(0, 3, n)
        points[np.arange(n), axis] = np.sign(points[np.arange(n), axis])
    elif kind == 3:  # terrain with a wall, in two overlapping strips
        points = rng.uniform(-1, 1, (n, 3))
        points[:, 2] = 0.1 * np.sin(3 * points[:, 0]) + np.where(points[:, 1] > 0.2, 0.5, 0.0)
        points[::2] += [0.01, 0.01, 0.02]
    elif kind == 4:  # a volume
        points = rng.uniform(-1, 1, (n, 3))
    elif kind == 5:  # an ellipsoid with noise
        points = rng.normal(size=(n, 3))
        points /= np.linalg.norm(points, axis=1, keepdims=True)
        points = points * [1, 0.6, 0.3] + rng.normal(0, 0.01, (n, 3))
    elif kind == 6:  # rings
        turn = rng.uniform(0, 2 * np.pi, n)
        points = np.column_stack([np.cos(turn), np.sin(turn), rng.integers(0, 6, n) / 3.0]) * [2, 1, 1]
        points += rng.normal(0, 1e-3, (n, 3))
    else:  # outliers
        points = rng.normal(size=(n, 3))
        points /= np.linalg.norm(points, axis=1, keepdims=True)
        points[: rng.integers(1, 4)] *= 10.0 ** rng.uniform(1, 9)
    points = points * 10.0 ** rng.uniform(-3, 3) + rng.uniform(-100, 100, 3)
    more = {
        "gain": np.where(rng.random(n) < 0.1, np.nan, rng.random(n)),
        "tree": rng.integers(0, 3, n).astype(float),
    }
    return Cloud(points, {**with_attributes(points).attributes, **more})


def check(name: str, number: int) -> None:
    cloud = random_cloud(number)
    model, n = load(name), len(cloud)
    count = round(n * (1.5, 2, 4, 5.3)[number % 4])
    dense = model.upsample(cloud, n=count, seed=number)
    assert len(dense) == count
    assert np.isfinite(dense.positions).all()
    again = model.upsample(cloud, n=count, seed=number)
    np.testing.assert_array_equal(again.positions, dense.positions)
    _check_attributes(cloud, dense)
    tree = cKDTree(cloud.positions)
    distance, index = tree.query(dense.positions)
    local = tree.query(cloud.positions, 5)[0][:, -1]
    assert (distance <= FARTHEST * local[index] + 1e-9 * np.abs(cloud.positions).max()).all()
    rng = np.random.default_rng(number)
    order = rng.permutation(n)
    shuffled = model.upsample(cloud[order], n=count, seed=number)
    radius = np.linalg.norm(cloud.positions - np.median(cloud.positions, axis=0), axis=1)
    scale = np.median(radius)
    assert unmatched(shuffled.positions / scale, dense.positions / scale, 1e-9) == 0
    if number % 8 == 7:  # turned outliers lose digits
        return
    turn, shift = Rotation.random(random_state=number), rng.uniform(-5, 5, 3) * scale
    moved = model.upsample(turn.apply(cloud.positions) * 3 + shift, n=count, seed=number)
    moved = turn.inv().apply((moved - shift) / 3)
    flat = name.startswith("sspu-geo") and number % 8 == 2  # on flat parts, its frames follow from rounding
    if not isinstance(model.model, PatchUpsampler) and getattr(model.model, "turns", False) and not flat:
        assert unmatched(moved / scale, dense.positions / scale, TOLERANCE) <= ELSEWHERE


def _check_attributes(cloud: Cloud, dense: Cloud) -> None:
    for name, values in cloud.attributes.items():
        got = dense.attributes[name]
        assert got.dtype == values.dtype
        if name in ("labels", "tree"):
            assert np.isin(got, values).all()
        elif name == "normals":
            np.testing.assert_allclose(np.linalg.norm(got, axis=1), 1, atol=1e-5)
        else:
            known = got[np.isfinite(got)]
            if not known.size:
                continue
            assert known.min() >= np.nanmin(values)
            assert known.max() <= np.nanmax(values)


@pytest.fixture(autouse=True)
def _quiet(caplog):
    caplog.set_level(logging.CRITICAL, "pcsr_zoo")


@pytest.mark.parametrize("name", UPSAMPLERS)
def test_a_few_random_clouds(name) -> None:
    for number in (1, 2, 7) if name in ("jet", "jetnet", "midpoint") else (7,):
        check(name, number)


@pytest.mark.slow
@pytest.mark.parametrize("name", UPSAMPLERS)
def test_random_clouds(name) -> None:
    failed = {}
    for number in range(300):
        try:
            check(name, number)
        except Exception as error:
            failed[number] = f"{type(error).__name__}: {error}"[:300]
    assert failed == {}


@pytest.mark.parametrize("name", RECOVERERS)
@pytest.mark.parametrize("far", [1e1, 1e5, 1e15])
def test_recovery_with_an_outlier(name, far) -> None:
    points = random_cloud(1).positions
    points = (points - points.mean(axis=0)) / np.abs(points - points.mean(axis=0)).max()
    cloud = np.concatenate([[[far, 0, 0]], points])
    dense = load(name).recover(cloud, 4)
    assert len(dense) == 4 * len(cloud)
    distance, index = cKDTree(cloud).query(dense)
    local = cKDTree(points).query(points, 5)[0][:, -1].max()
    assert (distance[index > 0] <= 2 * local).all()
    assert (distance[index == 0] == 0).all()


@pytest.mark.parametrize("name", SAMPLERS)
def test_samples_of_random_clouds(name) -> None:
    model = load(name)
    for number in range(8) if name in ("fps", "poisson", "voxel", "random") else (7,):
        cloud = random_cloud(number)
        for n in (1, len(cloud) // 5, len(cloud)):
            few = model.sample(cloud, n=n, seed=1)
            assert len(few) == n
            assert np.isfinite(few.positions).all()
            np.testing.assert_array_equal(model.sample(cloud, n=n, seed=1).positions, few.positions)
            _check_attributes(cloud, few)


@pytest.mark.parametrize("far", [1e1, 1e4, 1e15])
@pytest.mark.parametrize("name", UPSAMPLERS)
def test_outliers_change_nothing_elsewhere(name, far) -> None:
    """The same new points as without the outlier, for models that make any number of them."""
    points = random_cloud(1).positions
    points = (points - points.mean(axis=0)) / np.abs(points - points.mean(axis=0)).max()
    n = len(points)
    dense = load(name).upsample(np.concatenate([points, [[0, far, 0]]]), n=2 * n + 1)
    alone = load(name).upsample(points, n=2 * n)
    everywhere = np.concatenate([alone, [[0, far, 0]]])
    assert cKDTree(everywhere).query(dense)[0].max() < 1e-6
