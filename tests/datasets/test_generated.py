"""Sampling of surfaces, sample elimination, quantization, orientation: against formulas and slow second versions."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import cKDTree

from pcsr_zoo.datasets.generated.dual_contouring import dual_contour
from pcsr_zoo.datasets.quantize import (
    NORMAL_ERROR,
    POSITION_ERROR,
    pack_normals,
    pack_positions,
    unpack_normals,
    unpack_positions,
)
from pcsr_zoo.datasets.surface_points import merge_vertices, orient, sample_surface
from pcsr_zoo.errors import CloudError, OptionError
from pcsr_zoo.geometry.elimination import eliminate

CUBE = np.array(list(np.ndindex(2, 2, 2)), float)
# fmt: off
FACES = np.array([
    [0, 2, 6], [0, 6, 4], [1, 5, 7], [1, 7, 3], [0, 4, 5], [0, 5, 1],
    [2, 3, 7], [2, 7, 6], [0, 1, 3], [0, 3, 2], [4, 6, 7], [4, 7, 5],
])
# fmt: on


def volume(vertices, triangles):
    a, b, c = (vertices[triangles[:, k]] for k in range(3))
    return float(np.sum(a * np.cross(b, c)) / 6)


def sphere_points(n, seed=0):
    points = np.random.default_rng(seed).normal(size=(n, 3))
    return points / np.linalg.norm(points, axis=1, keepdims=True)


# -- elimination


def greedy(points, n, area):
    """Yuksel's algorithm as the paper writes it: one point at a time, the heaviest first."""
    r_max = np.sqrt(area / (2 * np.sqrt(3) * n))
    r_min = r_max * (1 - (n / len(points)) ** 1.5) * 0.65
    distance = np.linalg.norm(points[:, None] - points[None], axis=2)
    share = np.where(distance < 2 * r_max, (1 - np.maximum(distance, 2 * r_min) / (2 * r_max)) ** 8, 0.0)
    np.fill_diagonal(share, 0)
    left = np.arange(len(points))
    while len(left) > n:
        left = np.delete(left, np.argmax(share[np.ix_(left, left)].sum(axis=1)))
    return left


@pytest.mark.parametrize("n", [7, 30, 100, 250, 399])
def test_elimination_is_the_greedy_one(n):
    points = sphere_points(400, seed=n)
    assert np.array_equal(eliminate(points, n, 4 * np.pi), greedy(points, n, 4 * np.pi))


def test_elimination_keeps_exactly_n_of_duplicates_and_all():
    points = np.repeat(sphere_points(50), 4, axis=0)
    kept = eliminate(points, 50, 4 * np.pi)
    assert len(kept) == 50
    assert len(np.unique(kept)) == 50
    assert np.array_equal(eliminate(points, 200, 1.0), np.arange(200))
    assert len(eliminate(points, 0, 1.0)) == 0


def test_elimination_is_as_even_as_open3d():
    from pcsr_zoo._open3d import import_open3d

    o3d = import_open3d()
    n = 1000
    theirs = o3d.geometry.TriangleMesh.create_sphere(1.0, 60)
    vertices, triangles = np.asarray(theirs.vertices), np.asarray(theirs.triangles)
    o3d.utility.random.seed(0)
    reference = np.asarray(theirs.sample_points_poisson_disk(n).points)
    ours, _ = sample_surface(vertices, triangles, n, seed=0)

    def spread(points):
        return np.quantile(cKDTree(points).query(points, k=2)[0][:, 1], [0.0, 0.01, 0.5])

    assert len(ours) == n
    assert spread(ours) == pytest.approx(spread(reference), rel=0.05)


@pytest.mark.parametrize(("n", "area"), [(5, 1.0), (-1, 1.0), (2, 0.0), (2, np.nan)])
def test_elimination_refuses(n, area):
    with pytest.raises(OptionError):
        eliminate(np.zeros((4, 3)), n, area)


# -- sampling


def test_points_lie_on_the_surface_with_its_normals():
    points, normals = sample_surface(CUBE, FACES, 600, seed=3)
    axis, sign = np.argmax(np.abs(normals), axis=1), normals.max(axis=1) > 0.5
    on_face = points[np.arange(600), axis]
    assert on_face == pytest.approx(sign.astype(float), abs=1e-12)  # outward: +x at x = 1
    assert np.linalg.norm(normals, axis=1) == pytest.approx(1)
    share = np.bincount(axis * 2 + sign, minlength=6)
    assert share.min() > 80
    assert share.max() < 120
    again, _ = sample_surface(CUBE, FACES, 600, seed=3)
    other, _ = sample_surface(CUBE, FACES, 600, seed=4)
    assert np.array_equal(points, again)
    assert not np.array_equal(points, other)


def test_no_area_and_not_finite_are_errors():
    with pytest.raises(CloudError, match="area"):
        sample_surface(np.zeros((3, 3)), np.array([[0, 1, 2]]), 10, 0)
    with pytest.raises(CloudError, match="NaN"):
        sample_surface(np.full((3, 3), np.nan), np.array([[0, 1, 2]]), 10, 0)


# -- orientation


def test_orientation_repairs_any_turned_triangles():
    rng = np.random.default_rng(0)
    for _ in range(20):
        turned = FACES.copy()
        some = rng.random(12) < rng.random()
        turned[some] = turned[some][:, ::-1]
        triangles, sense = orient(CUBE, turned)
        assert sense == "outward"
        assert volume(CUBE, triangles) == pytest.approx(1.0)


def test_a_cavity_stays_and_a_second_solid_is_turned():
    hollow = np.concatenate([CUBE * 3, CUBE + 1, CUBE + 10])
    triangles = np.concatenate([FACES, FACES[:, ::-1] + 8, FACES[:, ::-1] + 16])
    result, sense = orient(hollow, triangles)
    assert sense == "outward"
    assert volume(hollow, result) == pytest.approx(27 - 1 + 1)


def test_open_and_one_sided_surfaces_are_told_apart():
    assert orient(CUBE, FACES[:-1])[1] == "consistent"
    angle = np.arange(5) * 2 * np.pi / 5  # a Moebius band of five triangles: every vertex joined to the next two
    vertices = np.stack([np.cos(angle), np.sin(angle), np.cos(2 * angle)], axis=1)
    band = np.stack([np.arange(5), (np.arange(5) + 1) % 5, (np.arange(5) + 2) % 5], axis=1)
    assert orient(vertices, band)[1] == "unoriented"


def test_merging_makes_a_soup_closed():
    soup, index = CUBE[FACES].reshape(-1, 3), np.arange(36).reshape(-1, 3)
    assert orient(soup, index)[1] == "consistent"
    vertices, triangles = merge_vertices(soup, np.concatenate([index, [[0, 0, 1]]]))
    assert len(vertices) == 8
    assert len(triangles) == 12
    assert orient(vertices, triangles)[1] == "outward"


# -- quantization


def test_positions_lose_less_than_two_hundred_thousandths():
    points = sphere_points(50_000) * np.random.default_rng(1).random((50_000, 1)) ** 0.2
    points = np.concatenate([points, np.eye(3), -np.eye(3)])
    coarse, fine, box = pack_positions(points)
    assert (coarse.dtype, fine.dtype) == (np.uint16, np.uint8)
    error = np.linalg.norm(unpack_positions(coarse, fine, box) - points, axis=1).max()
    assert error < POSITION_ERROR < 2e-5
    assert error > POSITION_ERROR / 3  # the bound says something


def test_a_flat_cloud_stays_flat():
    points = np.random.default_rng(0).random((100, 3)) * [1, 0, 1] + [0, 0.25, 0]
    assert np.array_equal(unpack_positions(*pack_positions(points))[:, 1], np.full(100, 0.25, np.float32))


def test_normals_keep_their_direction():
    normals = np.concatenate([sphere_points(50_000), np.eye(3), -np.eye(3), CUBE * 2 - 1])
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    packed = pack_normals(normals)
    assert packed.dtype == np.int8
    assert packed.shape == (len(normals), 2)
    back = unpack_normals(packed).astype(float)
    assert np.linalg.norm(back, axis=1) == pytest.approx(1, abs=1e-6)
    error = 2 * np.arcsin(np.linalg.norm(back - normals, axis=1) / 2)
    assert NORMAL_ERROR / 2 < error.max() < NORMAL_ERROR
    assert error[50_000:50_006].max() < 1e-6  # the axes are exact


# -- dual contouring


def test_a_box_keeps_its_edges_and_corners():
    half = np.array([0.5, 0.4, 0.3])

    def solid(p):
        return (np.abs(p) - half).max(axis=1)

    low = np.array([-0.71, -0.72, -0.73])
    vertices, triangles = dual_contour(solid, low, -low, 32)
    assert orient(vertices, triangles)[1] == "outward"
    assert volume(vertices, triangles) == pytest.approx(8 * half.prod(), rel=1e-6)
    assert np.abs(vertices).max(axis=0) == pytest.approx(half, abs=1e-6)
    corners = np.array(list(np.ndindex(2, 2, 2))) * 2 - 1
    assert cKDTree(vertices).query(corners * half)[0].max() < 1e-6


def test_a_sphere_is_round_and_closed():
    vertices, triangles = dual_contour(lambda p: np.linalg.norm(p, axis=1) - 0.7, np.full(3, -1.0), np.ones(3), 48)
    assert np.linalg.norm(vertices, axis=1) == pytest.approx(0.7, abs=1e-5)
    assert orient(vertices, triangles)[1] == "outward"
    assert volume(vertices, triangles) == pytest.approx(4 / 3 * np.pi * 0.7**3, rel=5e-3)
    edges = np.sort(np.stack([triangles, np.roll(triangles, -1, axis=1)], axis=2).reshape(-1, 2), axis=1)
    assert len(vertices) - len(np.unique(edges, axis=0)) + len(triangles) == 2  # Euler
