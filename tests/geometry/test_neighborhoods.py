"""Patches: frames that turn with the cloud, quadrics that are found, against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from model_contract import torus_cloud
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from pcsr_zoo.geometry.jets import monomials
from pcsr_zoo.geometry.patches import NEAR, WIDE, Patches, fit_patches


@pytest.fixture(scope="module")
def points() -> np.ndarray:
    return torus_cloud(700)


def ellipsoid(n: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, 3))
    return x / np.linalg.norm(x, axis=1, keepdims=True) * [1.0, 0.7, 0.4]


@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_frames_are_right_handed_and_orthonormal(points, noise):
    frame = fit_patches(points, noise=noise).frame
    torch.testing.assert_close(frame.mT @ frame, torch.eye(3).expand_as(frame), atol=1e-5, rtol=0)
    torch.testing.assert_close(torch.linalg.det(frame), torch.ones(len(points)), atol=1e-5, rtol=0)


@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_what_a_patch_sees_does_not_turn_move_or_scale_with_the_cloud(noise):
    cloud = ellipsoid(900)
    turn = Rotation.random(random_state=1).as_matrix()
    a = fit_patches(cloud, noise=noise)
    b = fit_patches(3.0 * cloud @ turn.T + [10.0, -4.0, 2.0], noise=noise)
    # where two curvatures nearly agree, rounding chooses the direction: a percent may do so
    apart = (a.offsets - b.offsets).abs().amax(dim=(1, 2))
    assert apart.quantile(0.99) < 1e-3
    for name in ("near", "wide", "near_origin", "near_axes", "wide_axes", "residuals", "misfit"):
        other = (getattr(a, name) - getattr(b, name)).abs().reshape(len(cloud), -1).amax(dim=1)
        assert other.quantile(0.98) < 2e-3, name
    moved = torch.from_numpy(turn.astype(np.float32)) @ a.frame - b.frame
    assert moved.abs().amax(dim=(1, 2)).quantile(0.99) < 1e-3
    torch.testing.assert_close(3 * a.radius, b.radius, rtol=1e-4, atol=0)


def test_the_neighbors_are_the_nearest_in_their_places(points):
    patches = fit_patches(points)
    distance, index = cKDTree(points).query(points, WIDE)
    np.testing.assert_array_equal(patches.index, index)
    np.testing.assert_allclose(patches.radius[:, 0], distance[:, NEAR - 1], rtol=1e-6)
    np.testing.assert_allclose(patches.offsets.norm(dim=2) * patches.radius, distance, atol=1e-6)
    world = (patches.frame @ patches.offsets.mT).mT * patches.radius[:, :, None]
    np.testing.assert_allclose(world, points[index] - points[:, None], atol=1e-6)


def test_the_first_axis_is_the_normal_and_the_second_the_direction_of_greater_curvature(points):
    """A torus of radii 1 and .4 bends most, by 2.5, around its tube, and away from the outward normal."""
    patches = fit_patches(points)
    ring = points * [1, 1, 0] / np.linalg.norm(points[:, :2], axis=1, keepdims=True)
    normal = (points - ring) / 0.4
    across = np.cross(ring, [0, 0, 1])
    tube = np.cross(normal, across)
    frame = patches.frame.numpy()
    outside = np.linalg.norm(points[:, :2], axis=1) > 1.05  # there the two curvatures have one sign and differ
    assert np.median((frame[:, :, 0] * normal).sum(axis=1)[outside]) > 0.99
    assert np.median(np.abs((frame[:, :, 1] * tube).sum(axis=1))[outside]) > 0.99


def test_both_quadrics_are_in_the_patch_frame(points):
    """The heights above the quadrics, computed anew from their parts, are the residuals."""
    patches = fit_patches(points)
    for number, (c, origin, axes) in enumerate(
        [
            (patches.near, patches.near_origin, patches.near_axes),
            (patches.wide, patches.wide_origin, patches.wide_axes),
        ]
    ):
        local = (patches.offsets - origin[:, None]) @ axes
        height = local[..., 0] - (monomials(local[..., 1], local[..., 2]) @ c[:, :, None])[..., 0]
        torch.testing.assert_close(height, patches.residuals[..., number], atol=2e-5, rtol=0)
        assert height[:, :NEAR].abs().median() < 0.02  # and they are small on a smooth surface


def test_a_part_is_that_part_of_the_whole(points):
    whole = fit_patches(points)
    parts = [fit_patches(points, part=slice(i, i + 250)) for i in (0, 250, 500)]
    for name in Patches.__dataclass_fields__:
        torch.testing.assert_close(getattr(Patches.cat(parts), name), getattr(whole, name), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("count", [1, 2, 5, 23])
def test_clouds_of_few_points(count):
    patches = fit_patches(np.random.default_rng(count).normal(size=(count, 3)))
    assert patches.offsets.shape == (count, WIDE, 3)
    for name in Patches.__dataclass_fields__:
        assert getattr(patches, name).isfinite().all(), name


def test_a_plane_and_a_line_stay_finite():
    rng = np.random.default_rng(0)
    for shape in ([1.0, 1.0, 0.0], [1.0, 0.0, 0.0]):
        patches = fit_patches(rng.normal(size=(100, 3)) * shape)
        for name in Patches.__dataclass_fields__:
            assert getattr(patches, name).isfinite().all(), name
        if shape[1]:
            assert patches.offsets[:, :, 0].abs().max() < 1e-5
            assert patches.relief.max() < 1e-5


def test_relief_is_the_height_of_the_neighbors(points):
    patches = fit_patches(points)
    expected = np.sqrt((patches.offsets[:, :, 0].numpy() ** 2).mean(axis=1))
    np.testing.assert_allclose(patches.relief[:, 0], expected, rtol=1e-5)
