"""`pu-net`: its network and its loss by their definitions, its training, and whole clouds."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from patch_training import clouds_of_any_size, losses_of_training, survives_saving
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from pcsr_zoo.errors import OptionError
from pcsr_zoo.layers.picking import farthest_points, gather
from pcsr_zoo.models.pu_net.model import PUNet
from pcsr_zoo.models.pu_net.network import LEVELS, RADII, PUNetwork

pytest_plugins = ("patch_data",)


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def small(**arguments) -> PUNet:
    return PUNet(**{"points": 32, "branch": (16, 8), "hidden": 8, **arguments})


def test_the_published_sizes():
    network = PUNetwork(points=1024)
    assert [level.radius for level in network.levels] == list(RADII)
    assert network.branches[0][0].in_features == 259
    assert [level.more[-2].out_features for level in network.levels] == [widths[-1] for widths in LEVELS]
    assert network(torch.randn(1, 64, 3)).shape == (1, 64, 4, 3)


def test_radii_grow_with_the_point_spacing():
    assert [level.radius for level in PUNetwork(points=256).levels] == pytest.approx([0.1, 0.2, 0.4, 0.6])


def test_levels_halve_the_points_and_come_back_by_interpolation():
    network = small().network.double()
    points = torch.randn(1, 40, 3).double()
    seen = []
    for level in network.levels:
        level.register_forward_hook(lambda module, given, made: seen.append((given[0], given[2], made)))
    features = network.features(points)
    assert [(len(a[0]), len(b[0])) for a, b, _ in seen] == [(40, 40), (40, 20), (20, 10), (10, 5)]
    order = farthest_points(points, 40)
    torch.testing.assert_close(seen[2][1], gather(points, order[:, :10]))
    place, value = seen[3][1], torch.relu(network.restore[2](seen[3][2]))
    at = (points[0] - place[0, 2]).norm(dim=1).argmin()  # a point of the level keeps its own features
    torch.testing.assert_close(features[0, at, -64:], value[0, 2], atol=1e-6, rtol=1e-6)


def test_the_order_of_the_points_does_not_matter():
    network = small().network.double()
    points = torch.randn(1, 40, 3).double()
    order = torch.randperm(40)
    torch.testing.assert_close(network(points[:, order]), network(points)[:, order])


@pytest.mark.parametrize("option", [{"ratio": 1}, {"ratio": 17}, {"points": 4}, {"branch": (8,)}, {"hidden": 0}])
def test_wrong_options(option):
    with pytest.raises(OptionError, match=next(iter(option))):
        small(**option)


def test_the_loss_by_its_definition():
    recipe = small().recipe(emd=3.0, repulsion=2.0)
    made, dense = torch.randn(1, 30, 3), torch.randn(1, 30, 3)
    loss, terms = recipe.supervised(made, dense, {}, 0.5)
    cost = cdist(made[0], dense[0])
    assert float(terms["emd"]) == pytest.approx(cost[linear_sum_assignment(cost)].mean(), rel=0.15)  # the fast one
    unit = (np.pi / 30) ** 0.5
    near = np.sort(cdist(made[0], made[0]), axis=1)[:, 1:5] / unit
    assert float(terms["repulsion"]) == pytest.approx(-unit * (near * np.exp(-(near**2))).mean(), rel=1e-4)
    assert float(loss) == pytest.approx(3 * float(terms["emd"]) + 2 * float(terms["repulsion"]), rel=1e-5)


def test_examples_are_in_the_frame_of_the_pipeline(data):
    recipe = small().recipe(patches=2, noise=0.0)
    whole, part = recipe.examples(data, 3, 0, 0, 3), recipe.examples(data, 3, 0, 2, 1)
    torch.testing.assert_close(whole["sparse"][2:], part["sparse"])
    assert whole["dense"].shape == (3, 128, 3)
    torch.testing.assert_close(whole["sparse"].mean(dim=1), torch.zeros(3, 3), atol=1e-5, rtol=0)
    radius = whole["sparse"].norm(dim=2).amax(dim=1)
    assert bool(((radius > 0.8) & (radius < 1.2)).all())
    away = torch.cdist(whole["sparse"], whole["dense"]).amin(dim=2)
    assert float(away.max()) < 1e-3  # the input is a part of the ground truth


def test_new_points_first_learn_to_lie_on_their_input(data):
    """As long as they are farther away than `start`."""
    model = small()
    examples = model.recipe(patches=1).examples(data, 0, 0, 0, 2)
    away = (model.network(examples["sparse"]) - examples["sparse"][:, :, None]).norm(dim=3).detach()
    for start, first in ((0.99, True), (1.01, False)):
        recipe = model.recipe(patches=1, start=start * float(away.mean()))
        loss, terms = recipe.loss("network", recipe.networks(), examples, 0.5)
        assert ("emd" not in terms) == first
        assert not first or loss.item() == pytest.approx(float(away.square().mean()), rel=1e-5)


def test_training_learns(data):
    losses = losses_of_training(small().recipe(patches=1, noise=0.0, start=9.0), data, 40)
    assert np.mean(losses["network/emd"][-3:]) < 0.7 * losses["network/emd"][0]


def test_whole_clouds():
    clouds_of_any_size(small())


def test_weights_survive_saving(tmp_path):
    survives_saving(small(), tmp_path)
