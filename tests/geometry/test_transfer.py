"""Attributes of new points from old ones, against the formula and what users expect of each kind."""

from __future__ import annotations

import numpy as np
import pytest

from pcsr_zoo.geometry.transfer import transfer_attributes

pytestmark = pytest.mark.filterwarnings("error")
RNG = np.random.default_rng(2)
SOURCE = RNG.uniform(size=(800, 3))
TARGET = RNG.uniform(0.05, 0.95, size=(300, 3))


def shepard(values, target, k=4):
    """The formula, one point at a time."""
    out = []
    for point in target:
        distance = np.linalg.norm(SOURCE - point, axis=1)
        near = np.argsort(distance)[:k]
        weight = 1 / distance[near] ** 2
        out.append((weight[:, None] * values[near].reshape(k, -1)).sum(axis=0) / weight.sum())
    return np.array(out).reshape(len(target), *values.shape[1:])


@pytest.mark.parametrize("k", [1, 4, 7])
@pytest.mark.parametrize("shape", [(800,), (800, 1), (800, 5)])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_floats_follow_the_formula(k, shape, dtype):
    values = RNG.normal(size=shape).astype(dtype)
    got = transfer_attributes(SOURCE, {"gain": values}, TARGET, k)["gain"]
    assert got.dtype == dtype
    assert got.shape == (300, *shape[1:])
    np.testing.assert_allclose(got, shepard(values.astype(np.float64), TARGET, k), rtol=1e-5, atol=1e-6)


def test_coincident_points_take_their_values_unchanged():
    """Bit for bit, in every dtype; of coincident sources the values of one of them."""
    attributes = {
        "gain": RNG.normal(size=800),
        "half": RNG.normal(size=(800, 2)).astype(np.float16),
        "colors": RNG.integers(0, 256, (800, 3), dtype=np.uint8),
        "intensity": RNG.integers(0, 2**64 - 1, 800, dtype=np.uint64, endpoint=True),
        "labels": RNG.integers(-9, 9, 800),
        "normals": RNG.normal(size=(800, 3)),  # not even of unit length
        "flag": RNG.uniform(size=800) < 0.5,
    }
    order = RNG.permutation(800)
    got = transfer_attributes(SOURCE, attributes, SOURCE[order])
    for name, values in attributes.items():
        assert got[name].dtype == values.dtype
        np.testing.assert_array_equal(got[name], values[order], err_msg=name)
    twice = np.concatenate([SOURCE, SOURCE])
    gain = transfer_attributes(twice, {"gain": np.arange(1600.0)}, SOURCE)["gain"]
    assert np.isin(gain - np.arange(800), [0, 800]).all()


def test_a_smooth_field_is_followed_within_its_bounds():
    field = SOURCE @ [3.0, -2.0, 1.0]
    got = transfer_attributes(SOURCE, {"field": field}, TARGET)["field"]
    assert field.min() <= got.min()
    assert got.max() <= field.max()
    assert np.abs(got - TARGET @ [3.0, -2.0, 1.0]).max() < 0.4  # the gradient times the distance of the neighbors
    np.testing.assert_allclose(transfer_attributes(SOURCE, {"c": np.full(800, 7.25)}, TARGET)["c"], 7.25, rtol=1e-14)


@pytest.mark.parametrize("dtype", [np.int32, np.uint8, np.float64, bool, "U3"])
def test_labels_and_codes_jump(dtype):
    values = RNG.integers(0, 9, 800).astype(dtype)
    nearest = np.linalg.norm(TARGET[:, None] - SOURCE, axis=2).argmin(axis=1)
    name = "labels" if dtype is np.float64 else "classification"
    got = transfer_attributes(SOURCE, {name: values, "many": np.stack([values, values], axis=1)}, TARGET)
    assert got[name].dtype == values.dtype
    np.testing.assert_array_equal(got[name], values[nearest])
    if dtype is not np.float64:
        np.testing.assert_array_equal(got["many"], np.stack([values[nearest]] * 2, axis=1))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("name", ["colors", "intensity"])
def test_measured_integers_are_blended_and_rounded(name, dtype):
    top = np.iinfo(dtype).max
    values = RNG.integers(0, top, (800, 3), dtype=dtype, endpoint=True)
    got = transfer_attributes(SOURCE, {name: values}, TARGET)[name]
    assert got.dtype == dtype
    np.testing.assert_allclose(got, shepard(values.astype(np.float64), TARGET), atol=0.5 + 1e-6)
    for flat in (0, top):  # rounding runs over neither end
        got = transfer_attributes(SOURCE, {name: np.full((800, 3), flat, dtype)}, TARGET)[name]
        assert (got == flat).all()


def test_normals_of_either_sign_stay_unit_and_follow_the_surface():
    points = RNG.normal(size=(2000, 3))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    flipped = points * RNG.choice([-1.0, 1.0], (2000, 1))
    target = RNG.normal(size=(400, 3))
    target /= np.linalg.norm(target, axis=1, keepdims=True)
    for normals in (flipped, flipped.astype(np.float32)):
        got = transfer_attributes(points, {"normals": normals}, target)["normals"]
        assert got.dtype == normals.dtype
        np.testing.assert_allclose(np.linalg.norm(got, axis=1), 1, atol=1e-6)
        assert np.abs((got * target).sum(axis=1)).min() > np.cos(np.radians(6))
    assert ((transfer_attributes(points, {"normals": points}, target)["normals"] * target).sum(axis=1) > 0.99).all()


def test_normals_that_cancel_fall_back_to_the_nearest():
    source = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0]])
    zero = transfer_attributes(source, {"normals": np.zeros((4, 3))}, np.array([[0.4, 0.4, 0]]))["normals"]
    np.testing.assert_array_equal(zero, 0)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_fewer_sources_than_neighbors(count):
    got = transfer_attributes(SOURCE[:count], {"gain": np.arange(float(count)), "labels": np.arange(count)}, TARGET)
    assert got["gain"].shape == got["labels"].shape == (300,)
    assert (got["gain"] >= 0).all()
    assert (got["gain"] <= count - 1).all()


def test_no_attributes_and_no_targets():
    assert transfer_attributes(SOURCE, {}, TARGET) == {}
    got = transfer_attributes(SOURCE, {"colors": np.zeros((800, 3), np.uint8)}, TARGET[:0])["colors"]
    assert got.shape == (0, 3)
    assert got.dtype == np.uint8


def test_a_target_a_hair_from_a_source():
    source = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0]])
    for distance in (1e-9, 1e-160, 1e-300, 5e-324):
        got = transfer_attributes(source, {"gain": np.array([1.0, 2, 3])}, np.array([[distance, 0, 0]]))["gain"]
        np.testing.assert_allclose(got, 1, atol=1e-12)


def test_quaternions_of_either_sign_stay_unit_and_near():
    """The same rotation is stored as q or -q, and need not have unit length."""
    turn = np.array([0.5, 0.5, -0.5, 0.5]) + RNG.normal(0, 0.01, (800, 4))
    stored = turn * RNG.choice([-1.0, 1.0], (800, 1)) * RNG.uniform(0.5, 2, (800, 1))
    got = transfer_attributes(SOURCE, {"rot": stored.astype(np.float32)}, TARGET)["rot"]
    np.testing.assert_allclose(np.linalg.norm(got, axis=1), 1, atol=1e-6)
    assert np.abs((got * [0.5, 0.5, -0.5, 0.5]).sum(axis=1)).min() > 0.999
    whole = np.tile([1.0, 0, 0, 0], (800, 1)) * RNG.choice([-1.0, 1.0], (800, 1))
    assert (np.abs(transfer_attributes(SOURCE, {"rot": whole}, TARGET)["rot"][:, 0]) == 1).all()


def test_opacity_and_scale_of_splats_are_averaged_as_such():
    opacity, scale = RNG.uniform(0.05, 0.95, 800), RNG.uniform(0.01, 3, (800, 3))
    stored = {
        "rot": np.tile([1.0, 0, 0, 0], (800, 1)),
        "opacity": np.log(opacity / (1 - opacity)),
        "scale": np.log(scale),
    }
    got = transfer_attributes(SOURCE, stored, TARGET)
    np.testing.assert_allclose(1 / (1 + np.exp(-got["opacity"])), shepard(opacity, TARGET), rtol=1e-9)
    np.testing.assert_allclose(np.exp(got["scale"]), shepard(scale, TARGET), rtol=1e-9)
    saturated = {**stored, "opacity": np.full(800, 100.5), "scale": np.full((800, 3), -900.5)}
    for name in ("opacity", "scale"):
        np.testing.assert_array_equal(transfer_attributes(SOURCE, saturated, TARGET)[name], saturated[name][:300])


def test_no_measurement_is_not_averaged():
    values = RNG.uniform(1, 2, 800)
    values[RNG.uniform(size=800) < 0.3] = np.nan
    values[:5] = np.inf
    got = transfer_attributes(SOURCE, {"gain": values}, TARGET)["gain"]
    nearest = np.linalg.norm(TARGET[:, None] - SOURCE, axis=2).argmin(axis=1)
    np.testing.assert_array_equal(np.isfinite(got), np.isfinite(values[nearest]))
    assert got[np.isfinite(got)].min() >= 1
    assert got[np.isfinite(got)].max() <= 2
    expected = [
        (values[near][finite] / d[finite] ** 2).sum() / (1 / d[finite] ** 2).sum()
        for near, d in ((np.argsort(d)[:4], np.sort(d)[:4]) for d in np.linalg.norm(TARGET[:, None] - SOURCE, axis=2))
        for finite in [np.isfinite(values[near])]
        if np.isfinite(values[near[0]])
    ]
    np.testing.assert_allclose(got[np.isfinite(got)], expected, rtol=1e-9)
