"""`samplenet`: soft projection, sampling, joint training with both task networks, and whole clouds."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from patch_training import losses_of_training, survives_saving
from scipy.spatial import cKDTree

import pcsr_zoo
from pcsr_zoo.errors import OptionError
from pcsr_zoo.geometry.fps import farthest_point_sample
from pcsr_zoo.models.base import Context, tasks_of
from pcsr_zoo.models.samplenet.model import SampleNet, SampleNetPUNet
from pcsr_zoo.models.samplenet.network import soft_projection
from pcsr_zoo.models.samplenet.sampling import completed

pytest_plugins = ("patch_data",)

TASKS = {
    SampleNet: {"growth": 4, "blocks": 2, "neighbors": 6, "width": 16, "hidden": 8},
    SampleNetPUNet: {"branch": [16, 8], "hidden": 8},
}


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def small(cls=SampleNet, **arguments):
    return cls(**{"points": 64, "bottleneck": 16, "task": TASKS[cls], **arguments})


def test_a_cold_projection_is_the_nearest_point():
    points, proposed = torch.randn(2, 50, 3), torch.randn(2, 9, 3)
    found = soft_projection(proposed, points, 1e-3)
    for b in range(2):
        nearest = points[b][cKDTree(points[b]).query(proposed[b])[1]]
        torch.testing.assert_close(found[b], nearest)


def test_a_warm_projection_by_its_definition():
    points, proposed = np.random.default_rng(0).normal(size=(1, 50, 3)), np.random.default_rng(1).normal(size=(1, 9, 3))
    found = soft_projection(torch.from_numpy(proposed), torch.from_numpy(points), 0.4, group=7)[0]
    for i in range(9):
        squared = ((points[0] - proposed[0, i]) ** 2).sum(axis=1)
        near = np.argsort(squared)[:7]
        weight = np.exp(-squared[near] / 0.4**2)
        np.testing.assert_allclose(found[i], weight @ points[0, near] / weight.sum())
    hot = soft_projection(torch.from_numpy(proposed), torch.from_numpy(points), 1e6, group=50)
    np.testing.assert_allclose(hot[0], np.broadcast_to(points[0].mean(axis=0), (9, 3)), atol=1e-9)


def test_the_temperature_falls_from_1_to_a_hundredth(data):
    temperature = small().recipe().temperature
    assert [temperature(done) for done in (0.0, 0.4, 0.8, 1.0)] == pytest.approx([1.0, 0.1, 0.01, 0.01])


def test_duplicates_are_replaced_by_farthest_points():
    points = np.random.default_rng(0).normal(size=(40, 3))
    index = np.array([3, 5, 5, 8, 3])
    found = completed(points, index, 6)
    assert set(found[:3]) == {3, 5, 8}
    others = np.delete(np.arange(40), [3, 5, 8])
    expected = others[farthest_point_sample(points[others], 3, selected=points[[3, 5, 8]])]
    assert found[3:].tolist() == expected.tolist()
    assert set(completed(points, index, 2)) < {3, 5, 8}


def test_samples_are_the_points_nearest_to_the_proposals():
    model = small()
    points = np.random.default_rng(0).normal(size=(64, 3))  # a single patch
    center, radius = points.mean(axis=0), np.linalg.norm(points - points.mean(axis=0), axis=1).max()
    order = np.argsort(((points - points[farthest_point_sample(points, 1)]) ** 2).sum(axis=1))
    with torch.no_grad():
        given = torch.from_numpy((points[order] - center) / radius).float()[None]
        proposed = model.network.propose(given)[0].numpy() * radius + center
    nearest = np.unique(cKDTree(points).query(proposed)[1])
    found = model.select(points, 16, Context())
    assert len(set(found.tolist())) == 16
    assert set(nearest.tolist()) <= set(found.tolist())


@pytest.mark.parametrize("cls", TASKS)
@pytest.mark.parametrize("ratio", [4, 8])
def test_verbs(cls, ratio):
    from pcsr_zoo.pipelines.recovery import recover
    from pcsr_zoo.pipelines.resample import sample

    model = small(cls, ratio=ratio)
    assert tasks_of(model) == ("sample", "upsample", "recover")
    for n in (16, 200):
        cloud = pcsr_zoo.Cloud(np.random.default_rng(0).normal(size=(n, 3)))
        for count in (2, n // ratio, n - 1, n):
            few = sample(cloud, n=count, model=model).positions
            assert len(np.unique(few, axis=0)) == count
            assert cKDTree(cloud.positions).query(few)[0].max() < 1e-9
        again = recover(sample(cloud, model=model), n=n, model=model)
        assert len(again) == n
        assert np.isfinite(again.positions).all()


@pytest.mark.parametrize("option", [{"ratio": 3}, {"points": 63}, {"points": 16}])
def test_wrong_options(option):
    with pytest.raises(OptionError, match=next(iter(option))):
        small(**option)


@pytest.mark.parametrize("cls", TASKS)
def test_joint_training(cls, data):
    """Both networks get gradients from the task, and the proposals approach the patch."""
    model = small(cls)
    recipe = model.recipe(patches=1, task={"start": 9.0})
    examples = recipe.examples(data, 0, 0, 0, 2)
    for parameter in model.network.decode[-1].parameters():  # proposals on the patch, so that the task begins
        torch.nn.init.zeros_(parameter)
    model.network.decode[-1].bias.data = examples["dense"][0, :16].flatten().clone()
    recipe.alpha = 0.0
    loss, _ = recipe.loss("network", recipe.networks(), examples, 0.3)
    loss.backward()
    assert float(model.network.decode[-1].bias.grad.abs().max()) > 0
    assert float(next(model.network.task.parameters()).grad.abs().max()) > 0
    losses = losses_of_training(small(cls).recipe(patches=1), data, 30)
    assert np.mean(losses["network/simplify"][-3:]) < 0.7 * losses["network/simplify"][0]
    figures = recipe.validate(recipe.networks(), data, 0, torch.device("cpu"))
    assert figures["score"] > 0


def test_weights_survive_saving(tmp_path):
    survives_saving(small(), tmp_path)
