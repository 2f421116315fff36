"""`mpu`: its levels, its pieces, its training level by level, and whole clouds."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from patch_training import clouds_of_any_size, losses_of_training, survives_saving
from scipy.spatial import cKDTree

import pcsr_zoo
from pcsr_zoo.catalog import resolve
from pcsr_zoo.errors import OptionError
from pcsr_zoo.layers.interpolation import bilateral_interpolate
from pcsr_zoo.models.mpu.model import MPU
from pcsr_zoo.models.mpu.network import Known, Level, owners

pytest_plugins = ("patch_data",)

SMALL = {"points": 24, "growth": 4, "blocks": 2, "neighbors": 6, "hidden": 16}


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def small(**arguments) -> MPU:
    return MPU(**{**SMALL, **arguments})


def test_the_published_sizes():
    level = Level()
    assert (level.dense.out_channels, level.dense.neighbors) == (264, 16)
    widths = [layer.out_features for layer in level.offset if isinstance(layer, torch.nn.Linear)]
    assert [level.own.out_features, *widths] == [128, 128, 64, 3]
    assert [len(MPU(ratio=ratio).network.levels) for ratio in (2, 4, 8, 16)] == [1, 2, 3, 4]


def test_a_level_moves_and_grows_with_its_points():
    level = Level(4, 2, 6, 16).double()
    points, shift = torch.randn(2, 20, 3).double(), torch.tensor([5.0, -3.0, 2.0]).double()
    made, features = level(points)
    moved, same = level(7 * points + shift)
    torch.testing.assert_close(moved, 7 * made + shift)
    torch.testing.assert_close(same, features)


def test_the_skip_connection_adds_a_fifth_of_the_level_before():
    level = Level(4, 2, 6, 16).double()
    points = torch.randn(1, 20, 3).double()
    own = level(points)[1]
    before = Known(torch.randn(1, 10, 3).double(), torch.randn(1, 10, own.shape[2]).double())
    expected = own + 0.2 * bilateral_interpolate(before.features, before.points, own, points)
    torch.testing.assert_close(level(points, before)[1], expected)


def test_owners_by_a_loop():
    index = torch.stack([torch.stack([torch.randperm(30)[:12] for _ in range(4)]) for _ in range(2)])
    slot, covered = owners(index, 30)
    for b in range(2):
        for point in range(30):
            places = [(rank, piece) for piece in range(4) for rank in range(12) if index[b, piece, rank] == point]
            assert bool(covered[b, point]) == bool(places)
            if places:
                rank, piece = min(places)
                assert int(slot[b, point]) == piece * 12 + rank


def test_new_points_lie_beside_their_own_points():
    """Also those that are in no piece."""
    network = small().network.eval()
    for level in network.levels:
        torch.nn.init.zeros_(level.offset[-1].weight)
        torch.nn.init.zeros_(level.offset[-1].bias)
    points = torch.randn(2, 24, 3)
    with torch.no_grad():
        torch.testing.assert_close(network(points), points[:, :, None].expand(-1, -1, 4, -1))
    second, far = network.levels[1], torch.cat([torch.randn(1, 60, 3), 9 + 0.1 * torch.randn(1, 3, 3)], dim=1)
    with torch.no_grad():
        made, _ = network._in_pieces(second, far, Known(far, torch.randn(1, 63, second.dense.out_channels)))
    torch.testing.assert_close(made, far[:, :, None].expand(-1, -1, 2, -1), rtol=1e-4, atol=1e-3)


def test_the_order_of_the_points_does_not_matter():
    network = small().network.double()
    points, order = torch.randn(1, 24, 3).double(), torch.randperm(24)
    with torch.no_grad():
        a, b = network(points)[0].flatten(0, 1), network(points[:, order])[0].flatten(0, 1)
    assert cKDTree(a).query(b)[0].max() < 1e-9


@pytest.mark.parametrize("option", [{"ratio": 3}, {"points": 7}, {"growth": 0}])
def test_wrong_options(option):
    with pytest.raises(OptionError, match=next(iter(option))):
        small(**option)


def test_levels_are_trained_one_after_another(data):
    model = small()
    recipe = model.recipe(patches=1, each=3)
    assert [int(recipe.examples(data, step, 0, 0, 1)["level"][0]) for step in range(8)] == [1, 1, 1, 2, 2, 2, 2, 2]
    for step, (trained, frozen) in ((0, (0, 1)), (5, (1, 0))):
        examples = recipe.examples(data, step, 0, 0, 2)
        assert examples["dense"].shape[1] == 24 * (2 if step == 0 else 4)
        model.network.zero_grad(set_to_none=True)
        recipe.loss("network", recipe.networks(), examples, 0.0)[0].backward()
        levels = model.network.levels
        assert all(p.grad is None for p in levels[frozen].parameters())
        assert all(p.grad is not None for p in levels[trained].parameters())


def test_the_prefixes_of_a_patch_are_even(data):
    """Farthest points first: the closest pair of the first n is farther apart than that of n random ones."""
    recipe = small().recipe(patches=1)
    dense = recipe.dense_patch(data, 0, 0, 0)
    few = dense[:24], dense[np.random.default_rng(0).permutation(len(dense))[:24]]
    even, random = (cKDTree(points).query(points, 2)[0][:, 1].min() for points in few)
    assert even > 2 * random


def test_the_loss_by_its_definition():
    recipe = small().recipe(far=2.0)
    made, dense = torch.randn(1, 30, 3), torch.randn(1, 30, 3)
    from pcsr_zoo.layers.picking import spacing

    limit = (2.0 * float(spacing(dense)[0])) ** 2
    there, back = (cKDTree(a[0]).query(b[0])[0] ** 2 for a, b in ((dense, made), (made, dense)))
    expected = np.where(there < limit, there, 0).mean() + np.where(back < limit, back, 0).mean()
    assert 0 < (there >= limit).sum() < 30
    assert recipe.supervised(made, dense, {}, 0.0)[0].item() == pytest.approx(1000 * expected, rel=1e-4)


def test_training_learns(data):
    recipe = small().recipe(patches=1, noise=0.0, each=30, random=0.0)
    losses = losses_of_training(recipe, data, 60, lr=4e-3, batch=4, same=False)
    for level in (1.0, 2.0):
        value = [x for x, k in zip(losses["network/loss"], losses["network/level"], strict=True) if k == level]
        assert len(value) == 30
        assert np.mean(value[-5:]) < 0.9 * np.mean(value[:3])


@pytest.mark.parametrize("ratio", [2, 4])
def test_whole_clouds(ratio):
    clouds_of_any_size(small(ratio=ratio))


def test_weights_survive_saving(tmp_path):
    survives_saving(small(), tmp_path)


def test_its_other_name():
    assert resolve("3pu").model_class is MPU
    with pytest.raises(OptionError, match="mpu"):
        pcsr_zoo.load("3pu-x64")
