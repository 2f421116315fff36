"""Ball queries, set abstraction and interpolation, against loops over single points."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pcsr_zoo.layers.interpolation import bilateral_interpolate, interpolate
from pcsr_zoo.layers.set_abstraction import SetAbstraction, ball_query


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def test_ball_query_finds_the_points_of_each_ball():
    points = torch.randn(2, 60, 3).double()
    centers = points[:, :9] + 0.01
    index, inside = ball_query(points, centers, 0.7, 12)
    for b in range(2):
        for i in range(9):
            away = (points[b] - centers[b, i]).norm(dim=1)
            expected = [int(k) for k in away.argsort() if away[k] <= 0.7][:12]
            assert index[b, i][inside[b, i]].tolist() == (expected or [int(away.argmin())])


def test_a_ball_without_points_has_the_nearest():
    points = torch.zeros(1, 5, 3)
    points[0, :, 0] = torch.arange(5.0)
    index, inside = ball_query(points, torch.tensor([[[9.0, 0, 0]]]), 0.1, 3)
    assert index[0, 0].tolist() == [4, 3, 2]
    assert inside[0, 0].tolist() == [True, False, False]


def test_set_abstraction_by_its_definition():
    """An MLP of [x_j - x_i; f_j] for each pair, and the maximum over the ball."""
    layer = SetAbstraction(5, (8, 6, 4), 0.9, samples=7).double()
    points, features = torch.randn(2, 30, 3).double(), torch.randn(2, 30, 5).double()
    centers = points[:, 3:11]
    found = layer(points, features, centers)
    index, inside = ball_query(points, centers, 0.9, 7)
    for b in range(2):
        for i in range(8):
            near = index[b, i][inside[b, i]]
            pairs = torch.cat([points[b, near] - centers[b, i], features[b, near]], dim=1)
            expected = layer.more(torch.relu(layer.first(pairs))).amax(dim=0)
            torch.testing.assert_close(found[b, i], expected)


def test_gradients_of_set_abstraction_are_those_of_the_definition():
    """Points outside of a ball get none, and a point in it gets its own once."""
    layer = SetAbstraction(0, (6, 4), 0.5, samples=6).double()
    points = torch.randn(1, 12, 3).double().requires_grad_()

    def run(given):
        return layer(given, None, given[:, :4])

    torch.autograd.gradcheck(run, (points,))


def test_interpolation_against_a_loop():
    points, queries = np.random.default_rng(0).normal(size=(2, 20, 3)), np.random.default_rng(1).normal(size=(2, 7, 3))
    features = np.random.default_rng(2).normal(size=(2, 20, 4))
    found = interpolate(*(torch.from_numpy(a) for a in (features, points, queries))).numpy()
    for b in range(2):
        for i in range(7):
            squared = ((points[b] - queries[b, i]) ** 2).sum(axis=1)
            near = np.argsort(squared)[:3]
            weight = 1 / squared[near]
            np.testing.assert_allclose(found[b, i], weight @ features[b, near] / weight.sum())
    same = interpolate(torch.from_numpy(features), torch.from_numpy(points), torch.from_numpy(points))
    np.testing.assert_allclose(same.numpy(), features, atol=1e-6)


def test_bilateral_interpolation_against_a_loop():
    rng = np.random.default_rng(0)
    points, queries = rng.normal(size=(1, 20, 3)), rng.normal(size=(1, 7, 3))
    features, own = rng.normal(size=(1, 20, 4)), rng.normal(size=(1, 7, 4))
    tensors = (torch.from_numpy(a) for a in (features, points, own, queries))
    found = bilateral_interpolate(*tensors, neighbors=5).numpy()[0]
    space = ((points[0] - queries[0][:, None]) ** 2).sum(axis=2)
    near = np.argsort(space, axis=1)[:, :5]
    space = np.take_along_axis(space, near, axis=1)
    unlike = ((features[0][near] - own[0][:, None]) ** 2).sum(axis=2)
    r, h = space.min(axis=1).mean(), unlike.min(axis=1).mean()
    weight = np.exp(-2 * space / r) * np.exp(-2 * unlike / h)
    expected = (weight[:, :, None] * features[0][near]).sum(axis=1) / weight.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found, expected)
