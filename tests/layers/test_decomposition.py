"""The decomposition module: who is kept, which offsets come with them, and the way back."""

from __future__ import annotations

import pytest
import torch

from pcsr_zoo.layers.decomposition import candidates, decompose
from pcsr_zoo.layers.picking import farthest_points


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


@pytest.mark.parametrize("space", ["positions", "features"])
def test_offsets_lead_to_the_nearest_discarded_points(space):
    features = torch.randn(2, 40, 12).double()
    found = decompose(features, 20, space=space)
    assert found.kept.shape == (2, 20, 12)
    assert found.offsets.shape == (2, 20, 36)
    for b in range(2):
        picks = farthest_points(features[b : b + 1, :, :3], 20)[0]
        assert found.picks[b].tolist() == picks.tolist()
        others = [i for i in range(40) if i not in picks.tolist()]
        for i in range(20):
            own = features[b, picks[i]]
            away = (features[b, others] - own)[:, :3].square().sum(dim=1)
            if space == "features":  # 9 channels beside the 3 positions, together with the weight of 3
                away = away + (features[b, others] - own)[:, 3:].square().sum(dim=1) / 3
            near = [others[j] for j in away.argsort()[:3].tolist()]
            assert found.neighbors[b, i].tolist() == near
            torch.testing.assert_close(found.offsets[b, i], (features[b, near] - own).flatten())


def test_candidates_are_the_points_that_were_there():
    features = torch.randn(1, 64, 12).double()
    found = decompose(features, 32)
    back = candidates(found.kept, found.offsets)
    assert back.shape == (1, 128, 12)
    torch.testing.assert_close(back[:, :32], found.kept)
    away = (features[0, :, None] - back[0]).norm(dim=2)
    used = set(found.picks[0].tolist()) | set(found.neighbors.flatten().tolist())
    assert sorted((away.amin(dim=1) < 1e-9).nonzero()[:, 0].tolist()) == sorted(used)
    assert float(away.amin(dim=0).max()) < 1e-9  # nothing else
    assert len(used) > 50


@pytest.mark.parametrize(("size", "n"), [(5, 5), (5, 4), (2, 1), (1, 1), (7, 3)])
def test_few_points(size, n):
    found = decompose(torch.randn(2, size, 3), n)
    assert found.offsets.shape == (2, n, 9)
    if size == n:
        assert float(found.offsets.abs().max()) == 0
    else:
        assert not set(found.neighbors[0].flatten().tolist()) & set(found.picks[0].tolist())


def test_picks_that_are_known():
    features = torch.randn(1, 30, 3)
    picks = torch.arange(10)[None]
    found = decompose(features, 10, picks=picks)
    torch.testing.assert_close(found.kept, features[:, :10])
    assert int(found.neighbors.min()) >= 10
