"""The pipeline of patch networks: patches cover a cloud, and their results merge into one without seams."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import cKDTree

from pcsr_zoo.benchmark.patch_thirds import Thirds
from pcsr_zoo.cloud import Cloud
from pcsr_zoo.errors import OptionError, PcsrError
from pcsr_zoo.geometry.fps import farthest_point_sample
from pcsr_zoo.geometry.overlapping_patches import cut
from pcsr_zoo.models.base import Context
from pcsr_zoo.pipelines.patches import upsample_in_patches
from pcsr_zoo.pipelines.patches.merging import owned
from pcsr_zoo.pipelines.recovery import recover
from pcsr_zoo.pipelines.resample import upsample


def sphere(n: int, seed: int = 0, even: bool = False) -> np.ndarray:
    points = np.random.default_rng(seed).normal(size=(4 * n if even else n, 3))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    return points[farthest_point_sample(points, n)] if even else points


def square(n: int) -> np.ndarray:
    points = np.random.default_rng(0).random((4 * n, 3)) * [1, 1, 0]
    return points[farthest_point_sample(points, n)]


def two_clumps(n: int) -> np.ndarray:
    """A dense clump and a single point far away, which is in no patch of a seed in the clump."""
    return np.concatenate([sphere(n - 1) / 100, [[50.0, 0, 0]]])


# -- cutting ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [sphere, two_clumps])
@pytest.mark.parametrize(("n", "size", "overlap"), [(1000, 64, 3.0), (1000, 64, 0.2), (257, 256, 1.0), (5, 2, 1.0)])
def test_every_point_is_in_a_patch(make, n, size, overlap):
    points = make(n)
    index = cut(points, size, overlap)
    assert set(index.ravel()) == set(range(n))
    for patch in index[::7]:
        away = np.linalg.norm(points - points[patch[0]], axis=1)
        np.testing.assert_allclose(away[patch], np.sort(away)[:size])
    assert len(index) >= overlap * n / size


def test_a_small_cloud_is_one_patch():
    assert cut(sphere(100), 256).shape == (1, 100)


# -- batching ---------------------------------------------------------------------------------------------------------


class Seen(Thirds):
    """Keeps what it was given."""

    def expand(self, patches, context):
        self.given = [*getattr(self, "given", []), patches]
        return super().expand(patches, context)


def test_patches_are_normalized_and_put_back():
    """A similarity of the cloud changes nothing that the model sees, and its results by the same similarity."""
    points = sphere(700)
    first, second = Seen("owner"), Seen("owner")
    few = upsample_in_patches(first, points, 2800, Context(), points[:0])
    far = upsample_in_patches(second, 5 * points + 100, 2800, Context(), points[:0])
    np.testing.assert_allclose(far, 5 * few + 100, atol=1e-4)
    for patches in first.given:
        np.testing.assert_allclose(patches.mean(axis=1), 0, atol=1e-12)
        np.testing.assert_allclose(np.linalg.norm(patches, axis=2).max(axis=1), 1)
    for one, other in zip(first.given, second.given, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-9)


@pytest.mark.parametrize("bad", ["shape", "nan"])
def test_what_a_model_must_not_make(bad):
    class Bad(Thirds):
        name = "bad"

        def expand(self, patches, context):
            made = super().expand(patches, context)
            return made[:, :, :2] if bad == "shape" else made * np.nan

    with pytest.raises(PcsrError, match="bad"):
        upsample(Cloud(sphere(300)), 4, model=Bad())


# -- merging ----------------------------------------------------------------------------------------------------------


def test_the_owner_is_the_patch_in_which_a_point_is_most_central():
    index = cut(sphere(500), 50)
    patch = np.arange(len(index))[:, None, None, None]
    made = np.broadcast_to(patch, (*index.shape, 4, 3)).astype(np.float32)
    found = owned(made, index).reshape(500, 4, 3)
    for point in range(500):
        ranks = {
            int(p): int(np.flatnonzero(index[p] == point)[0]) for p in np.flatnonzero((index == point).any(axis=1))
        }
        assert ranks[int(found[point, 0, 0])] == min(ranks.values())
        assert (found[point] == found[point, 0, 0]).all()


@pytest.mark.parametrize("how", ["fps", "owner"])
@pytest.mark.parametrize("make", [sphere, square])
def test_no_seams(make, how):
    """Where patches meet, the new points are as dense as elsewhere."""
    points = make(3000, even=True) if make is sphere else make(3000)
    model = Thirds(how)
    new = upsample(Cloud(points), 4, model=model).positions
    index = cut(points, model.patch_size, model.overlap)
    rank = np.full(len(points), model.patch_size)
    np.minimum.at(rank, index.ravel(), np.broadcast_to(np.arange(model.patch_size), index.shape).ravel())
    inside = np.ones(len(points), bool) if make is sphere else (abs(points[:, :2] - 0.5).max(axis=1) < 0.42)
    radius = 3 * np.median(cKDTree(points).query(points, 2)[0][:, 1])
    density = np.array([len(found) for found in cKDTree(new).query_ball_point(points, radius)])
    low, high = np.quantile(rank[inside], [0.25, 0.75])
    central, border = density[inside & (rank <= low)].mean(), density[inside & (rank >= high)].mean()
    assert abs(border / central - 1) < 0.1


# -- the whole --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["fps", "owner"])
@pytest.mark.parametrize(("n", "count"), [(2, 3), (2, 8), (3, 100), (255, 256), (255, 1020), (2048, 5000), (300, 4800)])
def test_exact_count(n, count, how):
    cloud = Cloud(sphere(n), {"label": np.arange(n)})
    found = upsample(cloud, n=count, model=Thirds(how))
    assert found.positions.shape == (count, 3)
    assert found.attributes["label"].shape == (count,)
    assert not (cKDTree(cloud.positions).query(found.positions)[0] == 0).any()  # the input is not part of the output


@pytest.mark.parametrize("how", ["fps", "owner"])
def test_input_that_is_kept(how):
    cloud = Cloud(sphere(400))
    found = upsample(cloud, 4, model=Thirds(how), keep_input=True).positions
    np.testing.assert_array_equal(found[:400], cloud.positions)
    assert len(found) == 1600


def test_a_noise_that_is_none_is_refused():
    with pytest.raises(OptionError, match="noise"):
        upsample(Cloud(sphere(300)), 4, model=Thirds(), noise=-1.0)


def test_recovery_makes_all_points_anew():
    cloud = Cloud(sphere(400))
    found = recover(cloud, 4, model=Thirds()).positions
    assert len(found) == 1600
    assert not (cKDTree(cloud.positions).query(found)[0] == 0).any()


def test_duplicates_and_order_of_the_input():
    points = sphere(400)
    found = upsample(Cloud(np.concatenate([points, points[:50]])), n=1800, model=Thirds()).positions
    assert len(np.unique(found, axis=0)) > 1000
    other = upsample(Cloud(points[::-1]), n=1600, model=Thirds()).positions
    first = upsample(Cloud(points), n=1600, model=Thirds()).positions
    assert cKDTree(first).query(other)[0].max() < 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("how", ["fps", "owner"])
def test_two_million_points(how):
    found = upsample(Cloud(sphere(2_000_000)), 1.5, model=Thirds(how)).positions
    assert found.shape == (3_000_000, 3)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=0.01)
