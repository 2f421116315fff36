"""Reconstructed surfaces against the surfaces that the points are from."""

from __future__ import annotations

import numpy as np
import pytest

import pcsr_zoo
from pcsr_zoo import Cloud, reconstruct_surface
from pcsr_zoo._open3d import import_open3d
from pcsr_zoo.errors import CloudError, OptionError
from pcsr_zoo.pipelines.surface import METHODS, with_normals


def sphere(count: int, seed: int = 0) -> np.ndarray:
    """Evenly spread points of the unit sphere: a Fibonacci lattice, turned at random."""
    height = 1 - (2 * np.arange(count) + 1) / count
    angle = np.pi * (1 + np.sqrt(5)) * np.arange(count)
    flat = np.sqrt(1 - height**2)
    points = np.stack([flat * np.cos(angle), flat * np.sin(angle), height], axis=1)
    return points @ np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))[0]


def as_open3d(mesh):
    o3d = import_open3d()
    vertices = o3d.utility.Vector3dVector(mesh.vertices.positions - mesh.vertices.positions.mean(axis=0))
    return o3d.geometry.TriangleMesh(vertices, o3d.utility.Vector3iVector(mesh.triangles.astype(np.int32)))


@pytest.mark.parametrize("method", METHODS)
def test_a_sphere_comes_back_with_volume_and_colors_far_from_the_origin(method):
    center, radius = np.array([565_200.0, 5_934_800.0, 12.0]), 7.0
    unit = sphere(1500)
    red = np.where(unit[:, 2] > 0, 250, 10).astype(np.uint8)
    cloud = Cloud(center + radius * unit, {"colors": np.stack([red, red, red], axis=1), "labels": (unit[:, 2] > 0) + 3})
    mesh = reconstruct_surface(cloud, method=method, depth=5)
    away = (mesh.vertices.positions - center) / radius
    np.testing.assert_allclose(np.linalg.norm(away, axis=1), 1, atol=0.01)
    surface = as_open3d(mesh)
    assert surface.is_edge_manifold(allow_boundary_edges=method != "poisson")
    assert surface.get_surface_area() == pytest.approx(4 * np.pi * radius**2, rel=0.03)
    np.testing.assert_allclose((mesh.vertices.attributes["normals"] * away).sum(axis=1), 1, atol=0.02)
    a, b, c = (away[mesh.triangles[:, corner]] for corner in range(3))
    assert ((np.cross(b - a, c - a) * (a + b + c)).sum(axis=1) > 0).all()  # faces outwards
    far = np.abs(away[:, 2]) > 0.2
    assert mesh.vertices.attributes["colors"].dtype == np.uint8
    np.testing.assert_array_equal(mesh.vertices.attributes["colors"][far, 0] > 128, away[far, 2] > 0)
    np.testing.assert_array_equal(mesh.vertices.attributes["labels"][far], (away[far, 2] > 0) + 3)


def test_trimming_leaves_out_what_closes_the_border():
    """Poisson's surface of half a sphere goes on below it."""
    points = sphere(1500)
    half = points[points[:, 2] > 0]
    lowest = {trim: reconstruct_surface(half, depth=5, trim=trim).vertices.positions[:, 2].min() for trim in (0, 2)}
    assert lowest[0] < -0.45
    assert -0.35 < lowest[2] < 0


def test_normals_of_the_cloud_are_used_unless_they_shall_not_be():
    """Normals that point inwards turn the mesh inside out."""
    points = sphere(500)
    cloud = Cloud(points, {"normals": -points})
    for estimate, sign in ((False, -1), (True, 1)):
        vertices = reconstruct_surface(cloud, depth=5, estimate=estimate).vertices
        assert (np.sign((vertices.attributes["normals"] * vertices.positions).sum(axis=1)) == sign).all()
    np.testing.assert_array_equal(with_normals(cloud).attributes["normals"], -points)
    empty = Cloud(points, {"normals": np.zeros_like(points)})
    np.testing.assert_allclose(with_normals(empty).attributes["normals"], points, atol=0.05)


@pytest.mark.parametrize("kind", [np.asarray, lambda x: np.asarray(x, np.float32), Cloud])
def test_any_kind_of_cloud(kind):
    assert len(reconstruct_surface(kind(sphere(500)), depth=4).triangles) > 100


def test_the_same_cloud_gives_the_same_mesh():
    first, second = (reconstruct_surface(sphere(1000), depth=5) for _ in range(2))
    np.testing.assert_array_equal(first.vertices.positions, second.vertices.positions)
    np.testing.assert_array_equal(first.triangles, second.triangles)


@pytest.mark.parametrize("points", [np.zeros((0, 3)), np.zeros((1, 3)), np.zeros((50, 3)), np.eye(3)])
@pytest.mark.parametrize("method", METHODS)
def test_too_few_points(points, method):
    """On one point, Open3D's Poisson reconstruction ends the process."""
    with pytest.raises(CloudError):
        reconstruct_surface(points, method=method)


def test_points_that_no_ball_connects():
    with pytest.raises(CloudError, match="radius"):
        reconstruct_surface(sphere(100), method="ball-pivoting", radius=1e-6)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *(("method", "marching"), ("depth", 1), ("depth", 15), ("depth", 8.5), ("depth", True)),
        *(("trim", -1), ("trim", float("nan")), ("radius", 0), ("radius", float("inf"))),
    ],
)
def test_options_out_of_range_are_named(option, value):
    with pytest.raises(OptionError, match=option):
        pcsr_zoo.reconstruct_surface(sphere(50), **{option: value})
