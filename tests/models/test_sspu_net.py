"""`sspu-net`: its network, its losses by their definitions, and whole clouds through patches."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import linear_sum_assignment

import pcsr_zoo
from pcsr_zoo.datasets import TrainingSet
from pcsr_zoo.datasets.build import build
from pcsr_zoo.errors import OptionError
from pcsr_zoo.geometry.fps import farthest_point_sample
from pcsr_zoo.models.sspu_net.model import SSPUNet
from pcsr_zoo.models.sspu_net.network import SSPUNetwork
from pcsr_zoo.pipelines.resample import upsample


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> TrainingSet:
    path = tmp_path_factory.mktemp("data") / "train.npz"
    build([], path, generated=3, points=2048, held_out=0.34)
    return TrainingSet.load(path)


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def small(**arguments) -> SSPUNet:
    return SSPUNet(**{"width": 8, "growth": 4, "blocks": 2, "neighbors": 6, "hidden": 8, **arguments})


# -- network ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("expansion", ["neighbors", "up-down-up"])
@pytest.mark.parametrize("n", [2, 3, 5, 64])
def test_shapes(expansion, n):
    network = small(expansion=expansion).network
    assert network(torch.randn(3, n, 3)).shape == (3, n, 4, 3)


def test_the_features_are_those_of_mpu():
    """84, 144, 204, 264 channels after 1 to 4 blocks, with graphs of 16 neighbors."""
    for blocks, channels in enumerate((84, 144, 204, 264), start=1):
        dense = SSPUNetwork(blocks=blocks).dense
        assert (dense.out_channels, dense.neighbors) == (channels, 16)


def test_the_second_unit_gets_what_the_first_left():
    """X - MLP(Y): with an MLP that gives X, the second unit sees zeros."""
    network = small().network
    seen = []
    network.second.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    points = torch.randn(1, 20, 3)
    features = network.compress(network.dense(points))
    network.between = torch.nn.Identity()
    network.between.forward = lambda x: features
    network(points)
    assert float(seen[0].abs().max()) == 0


@pytest.mark.parametrize("option", [{"ratio": 3}, {"merge": "best"}, {"expansion": "none"}, {"width": 0}])
def test_wrong_options(option):
    with pytest.raises(OptionError, match=next(iter(option))):
        small(**option)


# -- recipe -----------------------------------------------------------------------------------------------------------


def loss_of(model, examples, done=0.9, **options):
    recipe = model.recipe(points=64, patches=4, cloud=256, **options)
    return recipe.loss("network", {"network": model.network}, examples, done)


def test_the_shape_term_is_the_printed_sum(data):
    model = small()
    recipe = model.recipe(points=64, patches=4, cloud=256)
    examples = recipe.examples(data, 0, 0, 0, 1)
    terms = loss_of(model, examples, image=0.0, hausdorff=0.0, uniform=0.0)[1]
    sparse, dense = examples["cloud"][0].numpy(), model.network(examples["cloud"])[0].flatten(0, 1).detach().numpy()
    few = dense[farthest_point_sample(dense, len(sparse))].astype(np.float64)
    cost = np.linalg.norm(few[:, None] - sparse, axis=2)
    rows, columns = linear_sum_assignment(cost)
    assert float(terms["shape"]) == pytest.approx((cost[rows, columns] ** 2).sum(), rel=0.1)  # the fast assignment
    assert float(terms["loss"]) == pytest.approx(100 * float(terms["shape"]), rel=1e-5)


def test_the_first_steps_put_new_points_on_their_own_points(data):
    model = small()
    examples = model.recipe(points=64, patches=4, cloud=256).examples(data, 0, 0, 0, 2)
    loss, _ = loss_of(model, examples, done=0.0)
    away = model.network(examples["cloud"]) - examples["cloud"][:, :, None]
    assert loss.item() == pytest.approx(float(away.square().sum() / 2), rel=1e-5)


def test_the_uniform_term_grows_from_zero(data):
    model = small()
    recipe = model.recipe(points=64, patches=4, cloud=256)
    examples = recipe.examples(data, 0, 0, 0, 1)
    only = {"shape": 0.0, "image": 0.0, "hausdorff": 0.0}
    shares = [loss_of(model, examples, done=done, **only)[0].item() for done in (0.02, 0.07, 0.12, 0.9)]
    assert shares[0] == 0
    assert shares[1] == pytest.approx(shares[2] / 2)
    assert shares[2] == pytest.approx(shares[3])


def test_an_even_truth_looks_like_its_sparse_cloud_and_clumps_do_not():
    """The image term prefers a dense even cloud to the sparse points, each repeated near itself."""
    from pcsr_zoo.differentiable_rendering.cameras import cameras_around
    from pcsr_zoo.losses.image import image_loss

    rng = np.random.default_rng(0)
    points = rng.normal(size=(8192, 3)) * [1, 1, 0.3]
    points /= np.linalg.norm(points / [1, 1, 0.3], axis=1, keepdims=True)
    sparse = points[farthest_point_sample(points, 256)]
    truth = points[farthest_point_sample(points, 1024)]
    half = truth[truth[:, 0] > 0]
    holes = half[farthest_point_sample(half, len(half))].repeat(2, axis=0)[:1024] + 0.01 * rng.normal(size=(1024, 3))

    def score(dense):
        a, b = (torch.from_numpy(x.astype(np.float32))[None] for x in (dense, sparse))
        return float(image_loss(a, b, cameras_around(6), 0.25, 32, opacity=0.25))

    assert score(truth) < 0.3 * score(holes)


def test_training_learns(data):
    model = small()
    recipe = model.recipe(points=64, patches=4, cloud=256, start=0.5)
    network = model.network.train()
    optimizer = torch.optim.Adam(network.parameters(), lr=5e-3)
    losses, used = [], set()
    for step in range(60):
        examples = recipe.examples(data, step % 2, 0, 0, 2)
        loss, _ = recipe.loss("network", {"network": network}, examples, step / 60)
        optimizer.zero_grad()
        loss.backward()
        used |= {name for name, p in network.named_parameters() if p.grad is not None and bool((p.grad != 0).any())}
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    assert used == {name for name, _ in network.named_parameters()}
    assert min(losses[25:30]) < 0.6 * losses[0]
    assert np.mean(losses[-6:]) < np.mean(losses[30:36])
    figures = recipe.validate({"network": network.eval()}, data, 0, torch.device("cpu"))
    assert figures["score"] == pytest.approx(figures["there"] + figures["back"])


def test_examples_do_not_depend_on_the_division_of_a_step(data):
    recipe = small().recipe(points=64, patches=4, cloud=256)
    whole = recipe.examples(data, 3, 0, 0, 3)
    part = recipe.examples(data, 3, 0, 2, 1)
    torch.testing.assert_close(whole["cloud"][2:], part["cloud"])
    assert torch.equal(whole["views"][2:], part["views"])
    norms = whole["cloud"].norm(dim=2).amax(dim=1)
    assert bool(((norms > 0.79) & (norms < 1.21)).all())


# -- whole clouds -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("merge", ["fps", "owner"])
@pytest.mark.parametrize("n", [2, 16, 255, 700])
def test_exact_count(n, merge):
    cloud = pcsr_zoo.Cloud(np.random.default_rng(0).normal(size=(n, 3)))
    assert len(upsample(cloud, 4, model=small(merge=merge))) == 4 * n


def test_weights_survive_saving(tmp_path):
    from pcsr_zoo.checkpoints.folder import save_checkpoint

    model = small(merge="owner")
    model.trained = True
    save_checkpoint(tmp_path / "m", model, name="mine")
    cloud = np.random.default_rng(0).normal(size=(300, 3))
    again = pcsr_zoo.load(tmp_path / "m").upsample(cloud, 4)
    np.testing.assert_allclose(again, upsample(pcsr_zoo.Cloud(cloud), 4, model=model).positions)
