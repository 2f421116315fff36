"""Isolated points, and new points that stray: on shapes whose outliers and strays are known."""

from __future__ import annotations

import numpy as np
import pytest
from model_contract import torus_cloud

from pcsr_zoo.geometry.outliers import isolated_points, pulled_in

RNG = np.random.default_rng(5)
TORUS = torus_cloud(400)


@pytest.mark.parametrize("far", [1e1, 1e3, 1e6, 1e15])
def test_one_far_point(far) -> None:
    cloud = np.concatenate([TORUS[:100], [[far, 0, 0]], TORUS[100:]])
    np.testing.assert_array_equal(np.flatnonzero(isolated_points(cloud)), [100])


def test_a_chain_of_outliers_each_far_from_the_next() -> None:
    chain = 10.0 ** np.arange(1, 16)[:, None] * [1.0, 0, 0]
    np.testing.assert_array_equal(np.flatnonzero(isolated_points(np.concatenate([TORUS, chain]))), 400 + np.arange(15))


def test_uneven_clouds_have_no_outliers() -> None:
    ball = RNG.normal(size=(500, 3))
    sphere = ball / np.linalg.norm(ball, axis=1, keepdims=True)
    rings = [[r * np.cos(a), r * np.sin(a), 0] for r in (2, 3, 4, 6) for a in np.linspace(0, 2 * np.pi, 200)[:-1]]
    for cloud in (ball, sphere, TORUS, np.array(rings), RNG.uniform(size=(300, 3)) ** 3, np.eye(3), np.zeros((0, 3))):
        assert not isolated_points(cloud).any()
    clump = RNG.normal(0, 0.1, (30, 3)) + np.array([50, 0, 0])
    assert not isolated_points(np.concatenate([TORUS, clump])).any()


@pytest.mark.parametrize("count", [1, 2, 5, 8])
@pytest.mark.parametrize("apart", [1e-3, 1.0, 50.0])
def test_groups_of_outliers(count, apart) -> None:
    group = np.array([100.0, 0, 0]) + RNG.normal(0, apart, (count, 3))
    np.testing.assert_array_equal(
        np.flatnonzero(isolated_points(np.concatenate([TORUS, group]))), 400 + np.arange(count)
    )


def test_sparse_ground_around_a_dense_pole_is_no_outlier() -> None:
    ground = np.column_stack([RNG.uniform(0, 20, (400, 2)), np.zeros(400)])
    pole = np.column_stack([np.full((300, 2), 10.0), RNG.uniform(0, 2, 300)])
    assert isolated_points(np.concatenate([ground, pole])).sum() <= 8  # of 400; points amid those of the pole


def test_points_near_the_cloud_stay() -> None:
    middle = (TORUS[:, None] + TORUS[np.argsort(np.linalg.norm(TORUS[:, None] - TORUS, axis=2))[:, 1:6]]) / 2
    np.testing.assert_array_equal(pulled_in(middle.reshape(-1, 3), TORUS), middle.reshape(-1, 3))
    assert pulled_in(TORUS[:0], TORUS).shape == (0, 3)
    np.testing.assert_array_equal(pulled_in(np.ones((2, 3)), np.zeros((1, 3))), 1)


def test_strays_come_back() -> None:
    spacing = np.sort(np.linalg.norm(TORUS[:, None] - TORUS, axis=2))[:, 4].max()
    strays = TORUS * RNG.uniform(3, 1e6, (400, 1))
    back = pulled_in(strays, TORUS)
    assert np.linalg.norm(back[:, None] - TORUS, axis=2).min(axis=1).max() <= 2 * spacing


@pytest.mark.parametrize("turn", [np.eye(3), np.linalg.qr(RNG.normal(size=(3, 3)))[0]])
def test_no_point_goes_far_below_all_points_near_it(turn) -> None:
    """Terrain of spacing 40 with steep walls, as in an airborne tile; strays are far below and above it."""
    x, y = np.meshgrid(np.arange(30) * 40.0, np.arange(30) * 40.0)
    ground = np.column_stack([x.ravel(), y.ravel(), np.where((x > 400) & (x < 700), 80.0, 0.0).ravel()])
    ground += RNG.normal(0, 1, ground.shape)
    strays = ground + np.array([0, 0, 75])
    strays[::2, 2] -= 150
    back = pulled_in(strays @ turn.T, ground @ turn.T) @ turn
    near = np.argsort(np.linalg.norm(back[:, None, :2] - ground[:, :2], axis=2), axis=1)[:, :12]
    lowest, highest = ground[near, 2].min(axis=1), ground[near, 2].max(axis=1)
    assert (back[:, 2] > lowest - 60).all()
    assert (back[:, 2] < highest + 60).all()
    assert (strays[:, 2] < lowest - 60).sum() > 100
