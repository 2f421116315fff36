"""Repulsion, against its formula and what it is for."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from pcsr_zoo.geometry.repulsion import pushing_neighbors, repulsion


def push(points: np.ndarray, moving: slice = slice(None)) -> np.ndarray:
    return repulsion(points, pushing_neighbors(points), moving)


def by_definition(points: np.ndarray, i: int) -> np.ndarray:
    gaps = np.linalg.norm(points[:, None] - points, axis=2)
    order = np.argsort(gaps, axis=1)[:, :9]
    near = np.sort(gaps, axis=1)[:, 1:4].mean(axis=1)
    reach = 1.7 * near[order[i]].mean()
    total = np.zeros(3)
    for j in order[i, 1:]:
        total += max(0.0, 1 - gaps[i, j] / reach) * (points[i] - points[j]) / gaps[i, j]
    return 0.35 * reach * total


def test_it_is_its_formula():
    points = np.random.default_rng(0).normal(size=(60, 3))
    steps = push(points, slice(20, None))
    assert steps.shape == (40, 3)
    np.testing.assert_allclose(steps, [by_definition(points, i) for i in range(20, 60)], atol=1e-12)


def test_it_turns_and_scales_with_the_points():
    points = np.random.default_rng(1).normal(size=(80, 3))
    turn = np.linalg.qr(np.random.default_rng(2).normal(size=(3, 3)))[0]
    np.testing.assert_allclose(push(7 * points @ turn.T + 3), 7 * push(points) @ turn.T, atol=1e-9)


def test_an_even_grid_rests():
    """Neighbors at the distance 1 push with 1 - 1 / 1.7, but from all sides alike."""
    grid = np.stack(np.meshgrid(*[np.arange(12.0)] * 2, [0.0]), axis=-1).reshape(-1, 3)
    inner = (grid[:, :2].min(axis=1) > 2) & (grid[:, :2].max(axis=1) < 9)
    assert np.abs(push(grid)[inner]).max() < 1e-12


def test_random_points_become_even():
    """On a closed curve, where nothing can leave: the gaps' spread falls by more than half in ten steps."""
    angle = np.sort(np.random.default_rng(0).uniform(0, 2 * np.pi, 200))
    points = np.stack([np.cos(angle), np.sin(angle), 0 * angle], axis=1)

    def spread(points: np.ndarray) -> float:
        gaps = cKDTree(points).query(points, 2)[0][:, 1]
        return gaps.std() / gaps.mean()

    before, neighbors = spread(points), pushing_neighbors(points)
    for _ in range(10):
        points = points + repulsion(points, neighbors, slice(None))
        points /= np.linalg.norm(points, axis=1, keepdims=True)
    assert spread(points) < before / 2


def test_nobody_is_its_own_neighbor_even_among_equal_points():
    points = np.concatenate([np.zeros((30, 3)), np.random.default_rng(0).normal(size=(30, 3))])
    neighbors = pushing_neighbors(points)
    assert neighbors.shape == (60, 8)
    assert not (neighbors == np.arange(60)[:, None]).any()
    assert np.isfinite(push(points)).all()
