"""Neighbor graphs: who is in them, and that messages come and go continuously."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pcsr_zoo.layers.graph import neighbor_graph


def test_neighbors_offsets_and_weights_by_the_definition():
    points = torch.from_numpy(np.random.default_rng(0).normal(size=(2, 40, 3)))
    graph = neighbor_graph(points, 6, unit=0.5)
    assert graph.index.shape == (2, 40, 7)
    assert graph.edges is not None
    assert graph.weight is not None
    for b in range(2):
        for i in range(40):
            away = (points[b] - points[b, i]).norm(dim=1)
            order = away.argsort()
            assert graph.index[b, i].tolist() == order[:7].tolist()
            torch.testing.assert_close(graph.weight[b, i], 1 - (away[order[:7]] / away[order[7]]) ** 2)
            shorter = 1 / (1 + (away[order[:7]] / 2) ** 2).sqrt()
            offsets = (points[b, order[:7]] - points[b, i]) / 0.5
            torch.testing.assert_close(graph.edges[b, i, :, :3], offsets * shorter[:, None])
            torch.testing.assert_close(graph.edges[b, i, 1:, 3], (away[order[:7]] / 0.5 * shorter)[1:])
    assert float(neighbor_graph(1e3 * points, 6).edges[..., 3].max()) <= 4


def test_neighbors_in_feature_space():
    """Nearest, and weighted, by positions in the unit and further channels together; edges stay those of positions."""
    rng = np.random.default_rng(0)
    points, latent = (torch.from_numpy(rng.normal(size=(1, 40, c))) for c in (3, 5))
    graph = neighbor_graph(points, 6, unit=0.5, latent=latent)
    assert graph.edges is not None
    assert graph.weight is not None
    together = torch.cat([points / 0.5, latent], dim=2)[0]
    for i in range(40):
        away = (together - together[i]).norm(dim=1)
        order = away.argsort()
        assert graph.index[0, i].tolist() == order[:7].tolist()
        torch.testing.assert_close(graph.weight[0, i], 1 - (away[order[:7]] / away[order[7]]) ** 2)
    offsets = points[0][graph.index[0]] - points[0][:, None]
    lengths = offsets.norm(dim=2, keepdim=True) / 0.5
    torch.testing.assert_close(graph.edges[0, ..., :3], offsets / 0.5 / (1 + (lengths / 4) ** 2).sqrt())


def test_sums_over_neighbors_do_not_jump_where_neighbors_change():
    """A point passes the circle on which another one lies: the sum of weighted messages goes on without a step."""
    rng = np.random.default_rng(0)
    points = torch.from_numpy(rng.normal(size=(1, 12, 3)))
    points[0, 0] = 0
    away = points[0].norm(dim=1)
    order = away.argsort()
    inner, outer = int(order[5]), int(order[6])  # the last neighbor of 5, and the first that is none
    values = torch.from_numpy(rng.normal(size=12))

    def heard(ratio: float) -> float:
        moved = points.clone()
        moved[0, outer] *= float(away[inner] / away[outer]) * ratio
        graph = neighbor_graph(moved, 5)
        assert (outer in graph.index[0, 0].tolist()) == (ratio < 1)
        assert graph.weight is not None
        return float((graph.weight[0, 0] * values[graph.index[0, 0]]).sum())

    assert heard(1 - 1e-7) == pytest.approx(heard(1 + 1e-7), abs=1e-5)
    assert abs(heard(0.95) - heard(1.05)) > 1e-3


@pytest.mark.parametrize("n", [1, 2, 3, 6, 7])
def test_few_points_are_all_neighbors(n):
    points = torch.from_numpy(np.random.default_rng(0).normal(size=(1, n, 3)))
    graph = neighbor_graph(points, 5)
    assert graph.index.shape == (1, n, min(n, 6))
    assert graph.weight is not None
    assert bool((graph.weight > 0).all())
    assert bool(torch.isfinite(graph.edges).all())
    equal = neighbor_graph(torch.ones(1, n, 3), 5)
    assert bool(torch.isfinite(equal.weight).all())
