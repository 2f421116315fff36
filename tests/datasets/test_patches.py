"""Examples drawn from a training file."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from scipy.spatial import cKDTree

from pcsr_zoo.datasets import TrainingSet
from pcsr_zoo.datasets.patches import NONE, Augmentation, Batch, draw, surface_patch
from pcsr_zoo.datasets.surface_points import sample_surface
from pcsr_zoo.datasets.training_set import pack_shape, write_training_set
from pcsr_zoo.errors import OptionError

POINTS = 4096


def sphere(n, seed):
    from scipy.spatial import ConvexHull

    vertices = np.random.default_rng(seed).normal(size=(2000, 3))
    vertices /= np.linalg.norm(vertices, axis=1, keepdims=True)
    points, _ = sample_surface(vertices, ConvexHull(vertices).simplices, n, seed)
    return points / np.linalg.norm(points, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Three unit spheres; the last one is held out."""
    path = tmp_path_factory.mktemp("train") / "t.npz"
    facts = {"license": "", "license_class": "", "source": "", "vertices": 0, "faces": 0, "normals": "outward"}
    packed = []
    for k in range(3):
        points = sphere(POINTS, k)
        packed.append(pack_shape(points, points, 4 * np.pi, name=f"s{k}", held_out=k == 2, **facts))
    write_training_set(path, packed, {"points": POINTS, "seed": 0, "held_out": 0.3})
    return TrainingSet.load(path)


def arrays(batch):
    return [getattr(batch, name) for name in Batch.__dataclass_fields__]


def same(a, b):
    return all(np.array_equal(x, y) for x, y in zip(arrays(a), arrays(b), strict=True))


@pytest.mark.parametrize("kind", ["patch", "cloud"])
def test_a_step_is_fixed_by_seed_and_step(data, kind):
    first = draw(data, 7, 1, 3, kind, 64, 4)
    draw(data, 8, 1, 3, kind, 64, 4)
    assert same(first, draw(data, 7, 1, 3, kind, 64, 4))
    for step, seed in ((8, 1), (7, 2)):
        assert not np.allclose(first.sparse, draw(data, step, seed, 3, kind, 64, 4).sparse)
    longer = draw(data, 7, 1, 5, kind, 64, 4)  # the first examples do not depend on how many there are
    assert np.array_equal(longer.sparse[:3], first.sparse)


def test_a_step_can_be_shared_out(data):
    whole = draw(data, 4, 2, 5, "patch", 32, 4)
    parts = [draw(data, 4, 2, count, "patch", 32, 4, first=first) for first, count in ((0, 2), (2, 1), (3, 2))]
    for name in Batch.__dataclass_fields__:
        assert np.array_equal(getattr(whole, name), np.concatenate([getattr(part, name) for part in parts])), name
    assert len(np.unique(whole.sparse.sum(axis=(1, 2)))) == 5


@pytest.mark.parametrize("kind", ["patch", "cloud"])
def test_shapes_dtypes_and_only_training_shapes(data, kind):
    batch = draw(data, 0, 0, 12, kind, 48, 2.5)
    assert batch.sparse.shape == batch.sparse_normals.shape == (12, 48, 3)
    assert batch.dense.shape == batch.normals.shape == (12, 120, 3)
    assert batch.noise.shape == batch.shape.shape == batch.scale.shape == (12,)
    assert all(a.dtype == (np.int64 if a is batch.shape else np.float32) for a in arrays(batch))
    assert set(batch.shape.tolist()) == {0, 1}
    assert set(draw(data, 0, 0, 5, kind, 48, shapes=data.held_out).shape.tolist()) == {2}
    tensors = batch.torch()
    assert np.array_equal(tensors.sparse.numpy(), batch.sparse)
    assert tensors.shape.dtype.is_signed


def test_points_lie_on_the_scaled_and_turned_surface(data):
    """On a sphere of radius `scale` the normal leads back to the center, wherever that has gone."""
    batch = draw(data, 1, 0, 10, "patch", 64, 4)
    for k in range(10):
        radius = batch.scale[k]
        centers = batch.dense[k] - radius * batch.normals[k]
        center = centers.mean(axis=0)
        assert np.linalg.norm(centers - center, axis=1).max() < 0.025 * radius  # the normals' quantization
        assert np.linalg.norm(batch.dense[k] - center, axis=1) == pytest.approx(radius, rel=5e-3)
        off = np.abs(np.linalg.norm(batch.sparse[k] - center, axis=1) - radius)
        if batch.noise[k] == 0:
            assert off.max() < 5e-3 * radius
        else:
            assert 0.4 < np.sqrt((off**2).mean()) / batch.noise[k] < 1.6
    assert 0 < (batch.noise > 0).sum() < 10


def test_without_augmentation_a_cloud_is_the_shape_itself(data):
    batch = draw(data, 0, 0, 2, "cloud", 256, 4, augmentation=NONE)
    for k in range(2):
        points = data.points(int(batch.shape[k]))
        for part in (batch.sparse[k], batch.dense[k]):
            assert cKDTree(points).query(part)[0].max() < 1e-6
            assert len(np.unique(part, axis=0)) == len(part)
    assert (batch.noise == 0).all()
    assert batch.scale == pytest.approx(1)
    whole = draw(data, 0, 0, 1, "cloud", 256, None, augmentation=NONE)
    assert np.array_equal(np.unique(whole.dense[0], axis=0), np.unique(data.points(int(whole.shape[0])), axis=0))


def test_even_subsets_are_even_and_varying_ones_vary(data):
    def nearest(densities, contrast=1.0):
        use = Augmentation(densities, contrast, (0, 0), 3, True, (1, 1))
        batch = draw(data, 3, 0, 6, "cloud", 512, 2, augmentation=use)
        gaps = [cKDTree(p).query(p, k=9)[0] for p in batch.sparse]
        one, eight = np.stack([g[:, 1] for g in gaps]), np.stack([g[:, 8] for g in gaps])
        return one.min() / one.mean(), np.quantile(eight, 0.9) / np.quantile(eight, 0.1)

    even, random, varying = nearest((1, 0, 0)), nearest((0, 1, 0)), nearest((0, 0, 1), 2.0)
    assert even[0] > 0.7 > 0.6 > random[0], (even, random, varying)
    assert even[1] < random[1] < 0.8 * varying[1]


def test_patches_are_scaled_to_the_unit_ball(data):
    use = Augmentation(scale=(1, 1), noise=(0, 0), region=(1, 1))
    batch = draw(data, 0, 0, 5, "patch", 64, 4, augmentation=use)
    assert np.linalg.norm(batch.dense, axis=2).max(axis=1) == pytest.approx(1, abs=1e-5)  # region = the dense points


def test_a_patch_does_not_jump_to_the_other_side_of_a_sheet():
    grid = np.stack(np.meshgrid(np.arange(40), np.arange(40), indexing="ij"), axis=-1).reshape(-1, 2) * 0.1
    above = np.concatenate([grid, np.full((1600, 1), 0.25)], axis=1)
    points = np.concatenate([above - [0, 0, 0.25], above])
    start = 20 * 40 + 20
    patch = surface_patch(points, start, 200)
    assert patch[0] == start
    assert len(np.unique(patch)) == 200
    assert (points[patch, 2] == 0).all()
    nearest = np.argsort(np.linalg.norm(points - points[start], axis=1))[:200]
    assert (points[nearest, 2] > 0).any()  # as a ball would
    assert np.linalg.norm(points[patch] - points[start], axis=1).max() < 1.3


@pytest.mark.parametrize(
    "options",
    [
        {"kind": "volume"},
        {"n_sparse": 0},
        {"batch": 0},
        {"step": -1},
        {"first": -1},
        {"ratio": 0.5},
        {"ratio": 1000},
        {"ratio": None},
        {"shapes": []},
    ],
)
def test_options_that_make_no_sense(data, options):
    with pytest.raises(OptionError):
        draw(data, **{"step": 0, "seed": 0, "batch": 1, "kind": "patch", "n_sparse": 16, "ratio": 4, **options})


@pytest.mark.parametrize(
    ("n_sparse", "ratio", "remedy"),
    [(10**6, 4, "--points"), (10**6, None, "--points"), (16, 10**6, "--points"), (16, 0.5, "ratio")],
)
def test_too_many_points_come_with_a_remedy(data, n_sparse, ratio, remedy):
    with pytest.raises(OptionError, match=f"cannot be drawn.*{remedy}"):
        draw(data, 0, 0, 1, "cloud", n_sparse, ratio)


def test_drawing_needs_no_open3d(data):
    import subprocess

    code = "import sys, pcsr_zoo.datasets.patches; assert not {'open3d', 'torch'} & set(sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
