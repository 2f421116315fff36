"""Gathering, nearest neighbors, farthest points and spacing of batches, against loops written from the definitions."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pcsr_zoo.geometry import fps_torch
from pcsr_zoo.geometry.fps import farthest_point_sample
from pcsr_zoo.layers.picking import farthest_points, gather, nearest, spacing


def clouds(batch: int, n: int, channels: int = 3, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(batch, n, channels)))


def test_gather():
    values, index = clouds(3, 7, 5), torch.randint(0, 7, (3, 4, 2), generator=torch.Generator().manual_seed(0))
    found = gather(values, index)
    assert found.shape == (3, 4, 2, 5)
    for b in range(3):
        for i in range(4):
            for j in range(2):
                assert torch.equal(found[b, i, j], values[b, index[b, i, j]])


def test_nearest_in_any_number_of_channels():
    points, queries = clouds(2, 50, 6), clouds(2, 9, 6, seed=1)
    expected = torch.cdist(queries, points).argsort(dim=2)[:, :, :4]
    assert torch.equal(nearest(points, queries, 4), expected)
    assert nearest(points, queries, 99).shape == (2, 9, 50)
    assert nearest(points, queries, 1).shape == (2, 9, 1)


def greedy(points: np.ndarray, n: int) -> list[int]:
    picks = [int(np.argmax(np.linalg.norm(points - points.mean(axis=0), axis=1)))]
    while len(picks) < n:
        picks.append(int(np.linalg.norm(points[:, None] - points[picks], axis=2).min(axis=1).argmax()))
    return picks


@pytest.mark.parametrize("matrix", [0, 1000], ids=["loop", "matrix"])
def test_farthest_points_are_the_greedy_ones(monkeypatch, matrix):
    monkeypatch.setattr(fps_torch, "_MATRIX", matrix)
    points = clouds(2, 200)
    found = farthest_points(points, 40)
    for b in range(2):
        assert found[b].tolist() == greedy(points[b].numpy(), 40)
        assert found[b].tolist() == farthest_point_sample(points[b].numpy(), 40).tolist()


def test_farthest_points_of_equal_ones_are_distinct():
    assert sorted(farthest_points(torch.zeros(1, 9, 3), 9)[0].tolist()) == list(range(9))


def test_spacing_is_the_side_of_a_points_square():
    """On a grid of side .5 the eighth neighbor is at the corner: a disk of radius .5 sqrt 2 for 8 points' squares."""
    grid = torch.stack(torch.meshgrid(*[torch.arange(30.0) * 0.5] * 2, indexing="ij"), dim=2).reshape(1, -1, 2)
    grid = torch.cat([grid, torch.zeros(1, 900, 1)], dim=2)
    expected = 0.5 * np.sqrt(2) * np.sqrt(np.pi / 8)
    assert float(spacing(grid)) == pytest.approx(expected, rel=1e-6)
    assert expected == pytest.approx(0.5, rel=0.12)
    torch.testing.assert_close(spacing(torch.cat([grid, 3 * grid])), torch.tensor([expected, 3 * expected]).float())


@pytest.mark.parametrize("n", [1, 2, 5])
def test_spacing_of_few_points_is_positive(n):
    assert float(spacing(clouds(1, n))) > 0
    assert float(spacing(torch.ones(1, n, 3))) == 1
