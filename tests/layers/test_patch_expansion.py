"""Expansion units of patch networks, against the papers' equations point by point."""

from __future__ import annotations

import pytest
import torch

from pcsr_zoo.layers.patch_expansion import NeighborUnit, UpDownUp


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def test_neighbor_unit_by_eq_1():
    unit = NeighborUnit(6, copies=3, hidden=5).double()
    unit.fuse = torch.nn.Identity()
    features, neighbors = torch.randn(2, 8, 6).double(), torch.randint(8, (2, 8, 3))
    found = unit(features, neighbors)
    for b in range(2):
        for i in range(8):
            for j in range(3):
                x_i, x_j = features[b, i], features[b, neighbors[b, i, j]]
                alpha, beta = unit.weights(torch.cat([x_j, x_i]))
                torch.testing.assert_close(found[b, i, j], alpha.sigmoid() * x_i + beta.sigmoid() * x_j)


def test_attention_reaches_all_copies_of_the_patch():
    """A change of one copy changes all others, once attention has a share."""
    unit = NeighborUnit(6, copies=2).fuse.double()
    unit.mix = torch.nn.Linear(8, 6).double()
    copies = torch.randn(1, 5, 2, 6).double()
    other = copies.clone()
    other[0, 0, 0] += 1
    before = (unit(copies) - unit(other)).abs().amax(dim=3)[0]
    assert (before > 0).sum() == 1
    torch.nn.init.ones_(unit.attention.share)
    assert bool(((unit(copies) - unit(other)).abs().amax(dim=3) > 0).all())


def test_copies_of_one_point_differ_by_their_grid_codes():
    unit = UpDownUp(6, copies=4).double()
    same = torch.ones(1, 3, 6).double()
    found = unit(same, torch.zeros(1, 3, 4, dtype=torch.long))
    assert found.shape == (1, 3, 4, 6)
    assert len(torch.unique(found[0, 0].round(decimals=9), dim=0)) == 4
    torch.testing.assert_close(found[0, 0], found[0, 2])


def test_up_down_up_corrects_by_what_was_lost():
    """Where the way down restores the features, nothing is added but what zeros become."""
    unit = UpDownUp(6, copies=2).double()
    features = torch.randn(1, 4, 6).double()
    unit.down = torch.nn.Identity()
    unit.down.forward = lambda x: features  # type: ignore[method-assign]
    zeros = unit.again(torch.zeros(1, 4, 2, 6).double())
    up = unit.up(features[:, :, None].expand(-1, -1, 2, -1))
    torch.testing.assert_close(unit(features, torch.zeros(1, 4, 2, dtype=torch.long)), up + zeros)


@pytest.mark.parametrize("kind", [NeighborUnit, UpDownUp])
def test_the_order_of_the_points_does_not_matter(kind):
    unit = kind(6, copies=2).double()
    features, neighbors = torch.randn(1, 7, 6).double(), torch.randint(7, (1, 7, 2))
    order = torch.randperm(7)
    back = torch.argsort(order)
    turned = unit(features[:, order], back[neighbors[:, order]])
    torch.testing.assert_close(turned, unit(features, neighbors)[:, order])
