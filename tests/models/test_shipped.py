"""The weights of the package: each by its name does what its card says, on a cloud that nobody trained on."""

from __future__ import annotations

import numpy as np
import pytest
from model_contract import torus_cloud
from scipy.spatial import cKDTree

import pcsr_zoo
from pcsr_zoo import Cloud, load, recover, sample
from pcsr_zoo.checkpoints.folder import read_config
from pcsr_zoo.checkpoints.shipped import bundled
from pcsr_zoo.models.base import tasks_of
from pcsr_zoo.zoo import model_class

pytest.importorskip("torch")

NAMES = sorted(bundled())
DENSE = torus_cloud(2048) @ np.array([[0.8, 0.6, 0.0], [-0.48, 0.64, 0.6], [0.36, -0.48, 0.8]]).T  # any pose
RECOVERERS = [name for name in NAMES if "sample" in tasks_of(model_class(name))]
UPSAMPLERS = [name for name in NAMES if "upsample" in tasks_of(model_class(name))]


def off_the_torus(points: np.ndarray) -> float:
    """Mean distance to the exact surface."""
    points = points @ np.array([[0.8, 0.6, 0.0], [-0.48, 0.64, 0.6], [0.36, -0.48, 0.8]])
    ring = np.hypot(np.hypot(points[:, 0], points[:, 1]) - 1, points[:, 2])
    return float(np.abs(ring - 0.4).mean())


def chamfer(a: np.ndarray, b: np.ndarray) -> float:
    return float((cKDTree(a).query(b)[0] ** 2).mean() + (cKDTree(b).query(a)[0] ** 2).mean())


def test_the_names():
    wanted = {"jetnet", "sspu-net-x4"} | {f"pointlie{kind}-x{ratio}" for kind in ("", "-geo") for ratio in (4, 8, 16)}
    assert wanted <= set(NAMES)
    assert wanted <= set(pcsr_zoo.list_models())
    assert set(pcsr_zoo.list_models("pointlie-x*")) == {f"pointlie-x{ratio}" for ratio in (4, 8, 16)}


@pytest.mark.parametrize("name", RECOVERERS)
def test_a_small_file_is_made_dense_again(name, tmp_path):
    ratio = read_config(bundled()[name])["arguments"]["ratio"]
    model = load(name)
    few = sample(Cloud(DENSE), model=name)
    assert len(few) == 2048 // ratio
    few.write(tmp_path / "few.ply")
    again = recover(str(tmp_path / "few.ply"))  # the file remembers the model and the amount
    assert len(again) == 2048
    in_memory = model.recover(model.sample(Cloud(DENSE)))
    np.testing.assert_allclose(again.positions, in_memory.positions, atol=1e-6)
    # nearer to the cloud than the samples are, and near the surface by the measure of the samples' spacing
    assert chamfer(again.positions, DENSE) < 0.6 * chamfer(few.positions, DENSE)
    spacing = (15.8 / len(few)) ** 0.5
    assert off_the_torus(again.positions) < 0.12 * spacing


@pytest.mark.parametrize("name", UPSAMPLERS)
def test_a_sparse_cloud_is_made_dense(name):
    sparse = DENSE[:512] if name != "pointlie-x16" else DENSE[:128]  # DENSE is in the order of farthest points
    ratio = 2048 // len(sparse)
    dense = load(name).upsample(sparse, ratio)
    assert dense.shape == (2048, 3)
    spacing = (15.8 / len(sparse)) ** 0.5
    assert off_the_torus(dense) < 0.12 * spacing
    assert chamfer(dense, DENSE) < 0.6 * chamfer(sparse, DENSE)


@pytest.mark.parametrize("ratio", [4, 8, 16])
def test_draws_differ_by_their_temperature(ratio):
    model = load(f"pointlie-x{ratio}")
    few = model.sample(DENSE)
    mean = model.recover(few, temperature=0)
    spread = [np.linalg.norm(model.recover(few, temperature=t, seed=1) - mean, axis=1).mean() for t in (1.0, 4.0)]
    assert 0 < spread[0] < spread[1]
    np.testing.assert_array_equal(model.recover(few, seed=2), model.recover(few, seed=2))
