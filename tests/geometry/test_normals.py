"""Estimated normals against surfaces whose normals are known by a formula."""

from __future__ import annotations

import numpy as np
import pytest

from pcsr_zoo.geometry.normals import estimate_normals, orient_normals


def sphere(count: int, seed: int = 0) -> np.ndarray:
    points = np.random.default_rng(seed).normal(size=(count, 3))
    return points / np.linalg.norm(points, axis=1, keepdims=True)


def torus(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    u, v = np.random.default_rng(seed).uniform(0, 2 * np.pi, (2, count))
    normals = np.stack([np.cos(u) * np.cos(v), np.sin(u) * np.cos(v), np.sin(v)], axis=1)
    return np.stack([np.cos(u), np.sin(u), np.zeros(count)], axis=1) + 0.4 * normals, normals


def box(steps: int) -> tuple[np.ndarray, np.ndarray]:
    """A grid of points on a thin box, without its edges, and their normals."""
    size = np.array([1.0, 0.8, 0.08])
    points, normals = [], []
    for axis in range(3):
        u, v = (size[other] for other in range(3) if other != axis)
        grid = np.stack(np.meshgrid(
            np.arange(0.5, u * steps) / steps, np.arange(0.5, v * steps) / steps), axis=-1).reshape(-1, 2)  # fmt: skip
        for side in (0, 1):
            points.append(np.insert(grid, axis, side * size[axis], axis=1))
            normals.append(np.tile((2.0 * side - 1) * np.eye(3)[axis], (len(grid), 1)))
    return np.concatenate(points), np.concatenate(normals)


def test_normals_of_a_sphere_are_its_radii():
    points = sphere(2000)
    cosine = (estimate_normals(points) * points).sum(axis=1)
    assert np.degrees(np.arccos(np.clip(cosine, -1, 1))).max() < 3


@pytest.mark.parametrize(("scale", "shift"), [(1.0, 0.0), (1e-4, 0.0), (30.0, 5e6)])
def test_normals_of_a_torus_point_outwards_at_any_scale_and_place(scale, shift):
    points, normals = torus(3000)
    cosine = (estimate_normals(points * scale + shift) * normals).sum(axis=1)
    assert (cosine > 0.9).mean() > 0.995
    assert (cosine < 0).sum() == 0


def test_both_sides_of_a_thin_box_point_outwards():
    """The sides are as close to each other as two points of one side, so only their faces tell them apart."""
    points, normals = box(25)
    cosine = (estimate_normals(points) * normals).sum(axis=1)
    assert (cosine < 0).mean() < 0.02
    assert np.median(cosine) > 0.9999


def test_signs_spread_from_random_ones():
    """Of two spheres apart from each other, each gets its own."""
    points = np.concatenate([sphere(800), sphere(700, 1) * 0.5 + [5, 0, 0]])
    outward = np.concatenate([points[:800], points[800:] - [5, 0, 0]])
    outward /= np.linalg.norm(outward, axis=1, keepdims=True)
    signs = np.random.default_rng(2).choice([-1.0, 1.0], len(points))[:, None]
    np.testing.assert_array_equal(orient_normals(points, outward * signs), outward)


def test_duplicates_share_a_normal_and_few_points_have_one():
    points = np.repeat(sphere(300), 3, axis=0)
    normals = estimate_normals(points).reshape(300, 3, 3)
    np.testing.assert_array_equal(normals, normals[:, :1].repeat(3, axis=1))
    for few in (
        np.zeros((1, 3)),
        np.eye(3)[:2],
        np.eye(3),
        np.linspace(0, 1, 9)[:, None] * [1, 2, 3],
        np.zeros((5, 3)),
    ):
        np.testing.assert_allclose(np.linalg.norm(estimate_normals(few), axis=1), 1)


def test_a_plane_far_away_has_one_normal():
    points = np.random.default_rng(0).uniform(size=(500, 3)) * [40, 30, 0] + [565_200, 5_934_800, 12]
    normals = estimate_normals(points)
    np.testing.assert_allclose(np.abs(normals), [[0, 0, 1]] * 500, atol=1e-6)
    assert len(np.unique(np.sign(normals[:, 2]))) == 1
