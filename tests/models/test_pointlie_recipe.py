"""How PointLIE is trained: examples, losses, and that it learns."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from model_contract import torus_cloud
from scipy.stats import kurtosis

from pcsr_zoo.datasets.patches import NONE, draw
from pcsr_zoo.datasets.training_set import TrainingSet, pack_shape
from pcsr_zoo.errors import OptionError
from pcsr_zoo.layers.picking import farthest_points, gather
from pcsr_zoo.losses.chamfer import chamfer_loss
from pcsr_zoo.losses.earth_mover import earth_mover_loss
from pcsr_zoo.metrics import chamfer_distance
from pcsr_zoo.models.pointlie.model import PointLIE


@pytest.fixture(scope="module")
def data() -> TrainingSet:
    """Two tori, one to train on and one held out."""
    packed = []
    for k in range(2):
        points = torus_cloud(1024, seed=k)
        ring = points * [1, 1, 0] / np.linalg.norm(points[:, :2], axis=1, keepdims=True)
        about = {"license": "ours", "license_class": "permissive", "source": "here", "vertices": 0, "faces": 0}
        packed.append(
            pack_shape(
                points, (points - ring) / 0.4, 15.8, name=f"torus-{k}", normals="outward", held_out=k == 1, **about
            )
        )
    arrays = {
        **{name: np.stack([getattr(one, name) for one in packed]) for name in ("coarse", "fine", "normals")},
        "boxes": np.stack([one.box for one in packed]),
        "frames": np.stack([one.frame for one in packed]),
    }
    return TrainingSet(arrays, [one.info for one in packed], {"points": 1024})


def made(**arguments) -> PointLIE:
    torch.manual_seed(0)
    return PointLIE(4, blocks=1, hidden=16, growth=6, neighbors=8, **arguments)


def loss_of(recipe, examples) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    torch.manual_seed(0)
    return recipe.loss("network", recipe.networks(), examples, 0.0)


def test_examples_are_the_same_whoever_draws_them(data):
    recipe = made().recipe(points=256, inputs="random")
    both = recipe.examples(data, 3, 0, 0, 2)
    parts = [recipe.examples(data, 3, 0, k, 1) for k in (0, 1)]
    assert set(both) == {"dense", "picks", "spacing", "random"}
    for name, values in both.items():
        torch.testing.assert_close(torch.cat([part[name] for part in parts]), values, rtol=0, atol=0)
    assert both["dense"].shape == (2, 256, 3)
    assert both["picks"].equal(farthest_points(both["dense"], 128))
    assert not torch.equal(recipe.examples(data, 4, 0, 0, 1)["dense"], parts[0]["dense"])


def test_the_loss_is_the_weighted_sum_of_its_terms(data):
    names = ("sample", "emd", "candidates", "repulsion", "uniform", "latent")
    weights = {name: 0.5 + k for k, name in enumerate(names)}
    recipe = made().recipe(points=256, **weights)
    examples = recipe.examples(data, 0, 0, 0, 2)
    loss, figures = loss_of(recipe, examples)
    assert float(loss.detach()) == pytest.approx(sum(weights[name] * float(figures[name]) for name in names), rel=1e-5)
    assert float(figures["sample"]) == pytest.approx(0, abs=1e-6)  # an untrained network moves nothing


@pytest.mark.parametrize("volume", [False, True])
def test_terms_of_the_loss(data, volume):
    """Recomputed from what the network gives; the latent term from torch's distributions and the volume."""
    model = made(temperature=0.5)
    for parameter in model.network.parameters():
        parameter.data += 0.05 * torch.randn_like(parameter)
    recipe = model.recipe(points=256, volume=volume)
    examples = recipe.examples(data, 0, 0, 0, 1)
    _, figures = loss_of(recipe, examples)
    dense, side = examples["dense"], examples["spacing"]
    with torch.no_grad():
        sampled = model.network(dense, 64)
        density = torch.distributions.Normal(0, 1).log_prob(sampled.latent)
        expected = -(density + (sampled.volume if volume else 0)).mean()
        torch.testing.assert_close(figures["latent"], expected, rtol=1e-4, atol=1e-4)
        fps = gather(dense, farthest_points(dense, 64))
        torch.testing.assert_close(figures["sample"], earth_mover_loss(sampled.points, fps, 2 * side))
        torch.manual_seed(0)
        z = 0.5 * torch.randn(1, 64, 45)
        recovered = model.network.recover(sampled.points, z, 256)
        expected = earth_mover_loss(recovered, dense, side, exact=False)
        torch.testing.assert_close(figures["emd"], expected, rtol=1e-4, atol=1e-5)
        found = model.network.candidates(sampled.points, z)
        assert found.shape[1] == model.network.growth * 64 > 256
        torch.testing.assert_close(figures["candidates"], chamfer_loss(found, dense, side), rtol=1e-4, atol=1e-5)


def test_one_way_training_knows_nothing_of_sampling(data):
    recipe = made().recipe(points=256, two_way=False, inputs="fps")
    _, figures = loss_of(recipe, recipe.examples(data, 0, 0, 0, 1))
    assert set(figures) == {"emd", "candidates", "repulsion", "uniform", "loss"}


@pytest.mark.parametrize("inputs", ["own", "fps", "random"])
def test_what_the_inverse_path_is_fed(data, inputs, monkeypatch):
    recipe = made().recipe(points=256, inputs=inputs)
    network = recipe.networks()["network"]
    network.layers[-1].blocks[0].shift_kept[-1].bias.data[:3] = 0.1  # own samples are moved
    examples = recipe.examples(data, 0, 0, 0, 1)
    given = []
    monkeypatch.setattr(
        network,
        "candidates",
        lambda points, *rest: given.append(points) or type(network).candidates(network, points, *rest),
    )
    loss_of(recipe, examples)
    dense = examples["dense"]
    fps = gather(dense, examples["picks"][:, :64])
    expected = {
        "own": network(dense, 64).points,
        "fps": fps,
        "random": gather(dense, examples.get("random", fps[..., :0].long())),
    }
    torch.testing.assert_close(given[0], expected[inputs])
    assert not torch.equal(expected["own"], fps)


@pytest.mark.parametrize("arguments", [{}, {"form": "map"}, {"space": "positions", "graph": "positions"}], ids=str)
def test_every_parameter_learns_and_the_loss_falls(data, arguments):
    recipe = made(**arguments).recipe(points=256)
    network = recipe.networks()["network"].train()
    examples = recipe.examples(data, 0, 0, 0, 1)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    losses, used = [], set()
    for _ in range(20):
        loss, _ = loss_of(recipe, examples)
        optimizer.zero_grad()
        loss.backward()
        used |= {name for name, p in network.named_parameters() if p.grad is not None and bool((p.grad != 0).any())}
        optimizer.step()
        losses.append(float(loss.detach()))
    assert used == {name for name, _ in network.named_parameters()}
    assert min(losses[-3:]) < 0.9 * losses[0]


def test_a_share_of_the_steps_is_fed_random_points(data):
    """The share, which steps, and that validation counts them."""
    recipe = made().recipe(points=256, random=0.25)
    fed = ["random" in recipe.examples(data, step, 0, 0, 1) for step in range(80)]
    assert fed == ["random" in recipe.examples(data, step, 0, 0, 1) for step in range(80)]
    assert 8 < sum(fed) < 34
    with torch.no_grad():
        figures = recipe.validate(recipe.networks(), data, 0, torch.device("cpu"))
    assert figures["score"] == pytest.approx((figures["own"] + figures["random"]) / 2)
    with pytest.raises(OptionError, match="random"):
        made().recipe(random=1.5)


def test_a_share_of_the_steps_takes_whole_shapes(data):
    """Whole tori are as wide as long and have a hole in their middle; patches of 256 of 1,024 points are neither."""
    recipe = made().recipe(points=256, whole=0.5, whole_after=30)
    whole = []
    for step in range(60):
        dense = recipe.examples(data, step, 0, 0, 1)["dense"][0]
        side = np.sort(np.linalg.svd(dense - dense.mean(dim=0), compute_uv=False))[::-1]  # two equal, one small
        away = float((dense - dense.mean(dim=0)).norm(dim=1).min()) / float(dense.norm(dim=1).max())
        whole.append(side[1] > 0.95 * side[0] and away > 0.3)
    assert sum(whole[:30]) == 0
    assert 5 < sum(whole[30:]) < 25
    for bad in ({"whole": -0.1}, {"whole_after": 0.5}, {"whole_after": -1}):
        with pytest.raises(OptionError, match=next(iter(bad))):
            made().recipe(**bad)


def test_validation(data):
    model = made()
    recipe = model.recipe(points=256)
    with torch.no_grad():
        figures = recipe.validate(recipe.networks(), data, 0, torch.device("cpu"))
        again = recipe.validate(recipe.networks(), data, 0, torch.device("cpu"))
        given = torch.from_numpy(draw(data, 0, 0, 1, "cloud", 256, 4.0, shapes=data.held_out, augmentation=NONE).dense)
        sampled = model.network(given, 256)
        z = sampled.latent[0].double().numpy()
        exact = model.network.recover(sampled.points, sampled.latent, 1024, sampled.unit)[0].numpy()
        zero = model.network.recover(sampled.points, 0 * sampled.latent, 1024)[0].numpy()
    assert figures == again
    for name, found in (("true", exact), ("zero", zero)):
        found, truth = ((cloud - cloud.mean(axis=0)).astype(float) for cloud in (found, given[0].numpy()))
        radius = np.linalg.norm(truth, axis=1).max()
        expected = 1000 * chamfer_distance(found, truth) / radius**2
        assert figures[name] == pytest.approx(expected, rel=1e-3)
    assert 0 < figures["shift"] < 100
    assert figures["score"] == figures["own"] == pytest.approx(figures["fps"])  # untrained, its samples are those
    assert figures["moved"] == pytest.approx(0, abs=1e-6)
    assert figures["random"] != figures["own"]
    assert figures["true"] < 0.1 * figures["score"]
    std = z.std(axis=0, ddof=1)
    found = [figures[key] for key in ("std_low", "std_high", "kurtosis")]
    assert found == pytest.approx([std.min(), std.max(), np.median(kurtosis(z, fisher=False))], rel=0.02)


def test_shapes_of_few_points_are_not_validated():
    """1,024 points of a shape are 64 samples at ratio 16; of 128 points, only 8 would be left."""
    recipe = PointLIE(16, blocks=1, hidden=4, growth=2).recipe(points=256)
    few = type("Few", (), {"about": {"points": 128}, "held_out": [0], "train": [0]})()
    with pytest.raises(OptionError, match="128 points"):
        recipe.validate(recipe.networks(), few, 0, torch.device("cpu"))


def test_options_are_checked():
    for options, message in (
        ({"inputs": "other"}, "inputs 'other'"),
        ({"two_way": False}, "two_way"),
        ({"points": 30}, "points"),
        ({"points": 1022}, "points"),
    ):
        with pytest.raises(OptionError, match=message):
            made().recipe(**options)
    assert made().recipe().points == 1024
    assert PointLIE(16, hidden=4, growth=2).recipe().points == 2048
