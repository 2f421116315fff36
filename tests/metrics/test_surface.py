"""Point-to-surface distance against closed forms and a brute-force point-triangle distance."""

from __future__ import annotations

import numpy as np
import pytest

from pcsr_zoo.errors import CloudError, FileError
from pcsr_zoo.metrics import Surface, point_to_surface

CUBE_VERTICES = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], dtype=float)
CORNERS = "013 032 467 475 045 051 237 276 026 064 157 173"
CUBE_TRIANGLES = np.array([[int(corner) for corner in triangle] for triangle in CORNERS.split()])
OFF = (
    "OFF\n8 12 0\n"
    + "".join(f"{x} {y} {z}\n" for x, y, z in CUBE_VERTICES)
    + "".join(f"3 {a} {b} {c}\n" for a, b, c in CUBE_TRIANGLES)
)


def distance_to_cube(points):
    """Unsigned distance to the surface of [-1, 1]^3."""
    q = np.abs(points) - 1
    outside = np.linalg.norm(np.maximum(q, 0), axis=1)
    return np.abs(outside + np.minimum(q.max(axis=1), 0))


def distance_to_triangle(p, a, b, c):
    """The projection where it falls inside, otherwise the nearest of the three edges."""
    normal = np.cross(b - a, c - a)
    normal = normal / np.linalg.norm(normal)
    foot = p - normal * np.dot(p - a, normal)
    if all(np.dot(np.cross(v - u, foot - u), normal) >= 0 for u, v in ((a, b), (b, c), (c, a))):
        return abs(np.dot(p - a, normal))

    def to_edge(u, v):
        t = np.clip(np.dot(p - u, v - u) / np.dot(v - u, v - u), 0, 1)
        return np.linalg.norm(p - u - t * (v - u))

    return min(to_edge(a, b), to_edge(b, c), to_edge(c, a))


def test_cube():
    points = np.random.default_rng(0).uniform(-2, 2, size=(500, 3))
    np.testing.assert_allclose(
        point_to_surface(points, (CUBE_VERTICES, CUBE_TRIANGLES)), distance_to_cube(points), atol=1e-6
    )


def test_triangle_soup_is_brute_force():
    rng = np.random.default_rng(1)
    vertices, triangles = rng.normal(size=(30, 3)), np.arange(30).reshape(10, 3)
    points = rng.normal(size=(40, 3)) * 2
    expected = [min(distance_to_triangle(p, *vertices[t]) for t in triangles) for p in points]
    np.testing.assert_allclose(point_to_surface(points, (vertices, triangles)), expected, atol=2e-6)


def test_sphere_samples():
    from pcsr_zoo._open3d import import_open3d

    mesh = import_open3d().geometry.TriangleMesh.create_sphere(radius=2.0, resolution=80)
    directions = np.random.default_rng(2).normal(size=(300, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    radii = np.linspace(0.5, 4, 300)
    # the mesh is inscribed: its faces lie up to 2 (1 - cos(pi / 160)) below the sphere
    np.testing.assert_allclose(point_to_surface(directions * radii[:, None], mesh), np.abs(radii - 2), atol=1.2e-3)


@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e5])
def test_far_away_and_any_unit(scale):
    points = np.random.default_rng(3).uniform(-2, 2, size=(200, 3))
    origin = np.array([5e5, 4e6, 300.0])
    found = point_to_surface(points * scale + origin, (CUBE_VERTICES * scale + origin, CUBE_TRIANGLES))
    # float64 itself resolves 5e-10 at 4e6
    np.testing.assert_allclose(found, distance_to_cube(points) * scale, atol=1e-6 * scale + 2e-9)


def test_chunks_and_a_stray_vertex_change_nothing():
    points = np.random.default_rng(4).uniform(-2, 2, size=(101, 3))
    whole = point_to_surface(points, (CUBE_VERTICES, CUBE_TRIANGLES))
    np.testing.assert_array_equal(whole, point_to_surface(points, (CUBE_VERTICES, CUBE_TRIANGLES), chunk=10))
    stray = np.vstack([CUBE_VERTICES, [[1e9, 0, 0]]])
    np.testing.assert_array_equal(whole, point_to_surface(points, (stray, CUBE_TRIANGLES)))


def test_degenerate_surface_is_a_point():
    vertices = np.array([[1.0, 2, 3]] * 3)
    found = point_to_surface([[1.0, 2, 3], [1, 2, 7]], (vertices, [[0, 1, 2]]))
    np.testing.assert_allclose(found, [0, 4], atol=1e-6)


def test_read_and_area(tmp_path):
    path = tmp_path / "cube.off"
    path.write_text(OFF)
    surface = Surface.read(path)
    assert surface.area == pytest.approx(24)
    np.testing.assert_array_equal(surface.triangles, CUBE_TRIANGLES)
    np.testing.assert_allclose(point_to_surface([[0, 0, 0], [0, 0, 3]], path), [1, 2], atol=1e-6)
    np.testing.assert_allclose(point_to_surface([[0, 0, 0.0]], str(path)), [1], atol=1e-6)


def test_errors_name_the_file(tmp_path):
    with pytest.raises(FileError, match=r"gone\.off: no such file"):
        Surface.read(tmp_path / "gone.off")
    broken = tmp_path / "broken.off"
    broken.write_text("OFF\n3 1 0\n0 0 0\n")
    with pytest.raises(FileError, match=r"broken\.off"):
        Surface.read(broken)
    cloud = tmp_path / "cloud.ply"
    cloud.write_text(
        "ply\nformat ascii 1.0\nelement vertex 1\nproperty float x\nproperty float y\nproperty float z\n"
        "end_header\n0 0 0\n"
    )
    with pytest.raises(FileError, match=r"cloud\.ply has no faces"):
        Surface.read(cloud)


@pytest.mark.parametrize(
    ("vertices", "triangles", "message"),
    [
        (CUBE_VERTICES, np.empty((0, 3), int), "no triangles"),
        (CUBE_VERTICES, [[0, 1, 8]], "0 to 7"),
        (CUBE_VERTICES[:, :2], [[0, 1, 2]], r"shape \(V, 3\)"),
        (CUBE_VERTICES, [[0, 1, 2, 3]], r"shape \(T, 3\)"),
        ([[0, 0, 0], [1, 0, 0], [0, np.nan, 0]], [[0, 1, 2]], "vertex 2 is NaN"),
    ],
)
def test_broken_meshes(vertices, triangles, message):
    with pytest.raises(CloudError, match=message):
        point_to_surface([[0.0, 0, 0]], (vertices, triangles))
    with pytest.raises(CloudError, match="cannot use a int as a mesh"):
        point_to_surface([[0.0, 0, 0]], 3)
