"""`pu-gan`: its generator, its adversarial training, resuming, and whole clouds."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from patch_training import clouds_of_any_size, losses_of_training, survives_saving
from toy_training import write_toy_data

import pcsr_zoo
from pcsr_zoo.errors import OptionError
from pcsr_zoo.geometry.fps import farthest_point_sample
from pcsr_zoo.losses.adversarial import discriminator_loss, generator_loss
from pcsr_zoo.models.base import Context
from pcsr_zoo.models.pu_gan.model import PUGAN, PUGANWithoutDiscriminator
from pcsr_zoo.models.pu_gan.network import Generator
from pcsr_zoo.training import train
from pcsr_zoo.training.trainer import Trainer

pytest_plugins = ("patch_data",)

SMALL = {"points": 32, "growth": 4, "blocks": 2, "neighbors": 6, "width": 16, "hidden": 8}


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def small(cls=PUGAN, **arguments):
    return cls(**{**SMALL, **arguments})


def test_the_published_sizes():
    """120, 240, 360, 480 channels after 1 to 4 blocks; two more copies than the ratio."""
    for blocks, channels in enumerate((120, 240, 360, 480), start=1):
        assert Generator(blocks=blocks).dense.out_channels == channels
    assert PUGAN().network(torch.randn(1, 20, 3)).shape == (1, 20, 6, 3)


def test_the_order_of_the_points_does_not_matter():
    network = small().network.double()
    points, order = torch.randn(1, 30, 3).double(), torch.randperm(30)
    torch.testing.assert_close(network(points[:, order]), network(points)[:, order])


def test_the_result_is_the_farthest_points_of_all_copies():
    model = small()
    patches = np.random.default_rng(0).normal(size=(2, 20, 3))
    made = model.expand(patches, Context())
    assert made.shape == (2, 20, 4, 3)
    for patch, found in zip(patches, made, strict=True):
        with torch.no_grad():
            every = model.network(torch.from_numpy(patch[None]).float())[0].flatten(0, 1).numpy()
        expected = every[farthest_point_sample(every, 80)]
        np.testing.assert_allclose(np.sort(found.reshape(-1, 3), axis=0), np.sort(expected, axis=0), atol=1e-6)


@pytest.mark.parametrize("option", [{"ratio": 1}, {"points": 7}, {"growth": 0}])
def test_wrong_options(option):
    with pytest.raises(OptionError, match=next(iter(option))):
        small(**option)


def test_both_parts_by_hand(data):
    """The generator's term and the discriminator's loss, from confidences in the same points."""
    model = small()
    recipe = model.recipe(patches=1, warmup=0.0, start=9.0)
    networks = recipe.networks()
    examples = recipe.examples(data, 0, 0, 0, 2)
    judge = networks["discriminator"]
    loss, terms = recipe.loss("network", networks, examples, 0.5)
    made, dense = examples["made"], examples["dense"]
    assert float(terms["gan"]) == pytest.approx(float(generator_loss(judge(made)).detach()), rel=1e-5)
    weights = {"emd": 100, "uniform": 10, "repulsion": 1, "gan": 0.5}  # the printed ones
    assert loss.item() == pytest.approx(sum(weight * float(terms[name]) for name, weight in weights.items()), rel=1e-4)
    judged, _ = recipe.loss("discriminator", networks, examples, 0.5)
    assert judged.item() == pytest.approx(discriminator_loss(judge(made), judge(dense)).item())
    judged.backward()
    assert all(parameter.grad is None for parameter in model.network.parameters())


def test_both_parts_learn(data):
    losses = losses_of_training(small().recipe(patches=1, noise=0.0, uniform=0.0, start=9.0), data, 40)
    assert np.mean(losses["network/emd"][-3:]) < 0.7 * losses["network/emd"][0]
    assert min(losses["discriminator/loss"]) < 0.2  # 0.25 without knowing anything


def test_without_a_discriminator():
    recipe = small(PUGANWithoutDiscriminator).recipe()
    assert recipe.parts == ("network",)
    assert list(recipe.networks()) == ["network"]
    assert small().recipe().parts == ("network", "discriminator")


def test_a_resumed_training_ends_with_the_same_weights(tmp_path, monkeypatch):
    """Two optimizers, and what the generator made for the discriminator within a step."""

    class Killed(Exception):
        pass

    write_toy_data(tmp_path / "train.npz", 3, 1024)
    settings = {"steps": 4, "batch": 2, "lr": 1e-3, "warmup": 0, "workers": 0, "validate_every": 0, "save_every": 2}
    settings |= {"part_lr": {"discriminator": 1e-4}}

    def run(name):
        options = {"arguments": SMALL, "recipe": {"patches": 1}, "settings": settings, "device": "cpu"}
        train("pu-gan", tmp_path / "train.npz", tmp_path / name, **options)
        return json.loads((tmp_path / name / "config.json").read_text())["sha256"]

    save = Trainer._save

    def save_and_be_killed(trainer):
        save(trainer)
        if trainer.state.step == 2:
            raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(Trainer, "_save", save_and_be_killed)
        with pytest.raises(Killed):
            run("resumed")
    assert run("resumed") == run("whole")


def test_whole_clouds():
    clouds_of_any_size(small())


def test_weights_survive_saving(tmp_path):
    survives_saving(small(), tmp_path)


def test_both_are_found_by_name():
    assert {"pu-gan", "pu-gan-nodisc"} <= set(pcsr_zoo.list_models("pu-gan*"))
