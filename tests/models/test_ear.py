"""`ear`: normals, gaps and projections on shapes whose edges are known, and CGAL's implementation beside it."""

from __future__ import annotations

import numpy as np
import pytest
from model_contract import UpsamplerContract
from scipy.spatial import cKDTree

import pcsr_zoo
from pcsr_zoo import Cloud
from pcsr_zoo.geometry.fps import farthest_point_sample
from pcsr_zoo.geometry.knn import KNN
from pcsr_zoo.models.base import Context
from pcsr_zoo.models.ear.model import EAR
from pcsr_zoo.models.ear.normals import estimate_normals, orient_normals, smooth_normals
from pcsr_zoo.models.ear.resampling import find_gaps, independent, insert, project


class TestEAR(UpsamplerContract):
    name = "ear"


def cube(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """(n, 3) even points on the cube [-1, 1]^3, and their normals."""
    rng = np.random.default_rng(seed)
    points, face = rng.uniform(-1, 1, (4 * n, 3)), rng.integers(6, size=4 * n)
    rows = np.arange(4 * n)
    points[rows, face % 3] = np.where(face < 3, 1.0, -1.0)
    normals = np.zeros_like(points)
    normals[rows, face % 3] = points[rows, face % 3]
    kept = farthest_point_sample(points, n)
    return points[kept], normals[kept]


def off_cube(points: np.ndarray) -> np.ndarray:
    outside = np.linalg.norm(np.maximum(np.abs(points) - 1, 0), axis=1)
    return np.where(np.abs(points).max(axis=1) > 1, outside, 1 - np.abs(points).max(axis=1))


def near_edges(points: np.ndarray) -> np.ndarray:
    return (np.abs(points) > 0.93).sum(axis=1) >= 2


# -- normals ----------------------------------------------------------------------------------------------------------


def test_normals_of_a_sphere_point_outwards():
    points = np.random.default_rng(0).normal(size=(1500, 3))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    found = estimate_normals(points)
    assert ((found * points).sum(axis=1) > 0.9).mean() > 0.99


def test_orientation_mends_signs():
    points = np.random.default_rng(0).normal(size=(1500, 3))
    normals = points / np.linalg.norm(points, axis=1, keepdims=True)
    wrong = normals * np.random.default_rng(1).choice([-1.0, 1.0], (len(points), 1))
    np.testing.assert_array_equal(orient_normals(normals, wrong), normals)


def test_two_parts_are_oriented_each_for_itself():
    points, normals = cube(600)
    both, theirs = np.concatenate([points, points + 50]), np.concatenate([-normals, normals])
    np.testing.assert_array_equal(orient_normals(both, theirs), np.concatenate([normals, normals]))


def test_smoothing_makes_creases_sharp():
    """Normals by neighborhoods are round at the edges of a cube; after smoothing fewer are."""
    points, normals = cube(2000)
    rounded = estimate_normals(points)
    sharp = smooth_normals(points, rounded, 0.3, 30.0)
    wrong = [((found * normals).sum(axis=1) < np.cos(np.radians(25))).mean() for found in (rounded, sharp)]
    assert wrong[1] < wrong[0]


# -- insertion --------------------------------------------------------------------------------------------------------


def test_gaps_by_a_loop():
    points, normals = cube(200)
    gaps = find_gaps(points, normals, KNN(points), 2.0)
    for i in range(0, 200, 13):
        near = KNN(points).query(points[i : i + 1], 17)[1][0]
        best = -1.0
        for j in near:
            middle = (points[i] + points[j]) / 2
            away = middle - points[near]
            along = (away * normals[near]).sum(axis=1)
            gap = ((away**2).sum(axis=1) - along**2).min()
            best = max(best, gap * (2 - normals[i] @ normals[j]) ** 2)
        assert gaps.priority[i] == pytest.approx(best, abs=1e-12)


def test_gaps_of_a_round_do_not_touch_each_other():
    points, normals = cube(500)
    gaps = find_gaps(points, normals, KNN(points), 1.0)
    chosen = independent(points, gaps)
    assert len(chosen) > 20
    assert int(chosen[0]) == int(gaps.priority.argmax())
    middle = (points[chosen] + points[gaps.other[chosen]]) / 2
    apart = cKDTree(middle).query(middle, 2)[0][:, 1]
    assert (apart >= np.sqrt(gaps.clearance[chosen]) - 1e-12).all()


def test_a_place_is_projected_onto_the_plane_of_its_side():
    points, normals = cube(3000)
    places = np.array([[0.95, 0.2, 1.04], [0.3, -0.2, 0.9]])
    found, turned = project(places, np.array([[[0.0, 0, 1]]] * 2), points, normals, KNN(points), 30.0)
    np.testing.assert_allclose(found[:, 2], 1.0, atol=1e-3)
    np.testing.assert_allclose(found[:, :2], places[:, :2], atol=1e-3)
    np.testing.assert_allclose(turned, [[0, 0, 1]] * 2, atol=1e-3)


def test_new_points_are_on_a_noisy_cube_and_reach_its_edges():
    """With the true normals nothing is rounded off; with estimated ones little."""
    points, normals = cube(1000)
    noisy = points + 0.005 * np.random.default_rng(1).normal(size=points.shape)
    for given, tolerance in ((normals, 0.012), (EAR().normals(noisy, Context()), 0.025)):
        made = insert(noisy, given, 3000, 30.0, 1.0)[0]
        assert len(made) == 3000
        assert off_cube(made).mean() < tolerance / 2
        edge = off_cube(made[near_edges(made)])
        assert len(edge) > 60
        assert edge.mean() < tolerance


def test_gaps_across_creases_come_first():
    points, normals = cube(1000)
    plain, edges = (near_edges(insert(points, normals, 200, 30.0, s)[0]).sum() for s in (0.0, 5.0))
    assert edges > 1.5 * plain


def test_normals_of_the_file_are_used():
    """Those of a cloud whose normals are wrong on purpose give another result; without them they are estimated."""
    points, normals = cube(600)
    plain = pcsr_zoo.upsample(Cloud(points), 2, model="ear").positions
    true = pcsr_zoo.upsample(Cloud(points, {"normals": normals.astype(np.float32)}), 2, model="ear").positions
    assert off_cube(true).mean() < off_cube(plain).mean()
    broken = np.where(np.arange(600)[:, None] == 7, np.nan, normals).astype(np.float32)
    same = pcsr_zoo.upsample(Cloud(points, {"normals": broken}), 2, model="ear").positions
    np.testing.assert_array_equal(same, plain)


def test_against_cgal():
    """As near to the surface, and as even, as CGAL's edge_aware_upsample_point_set with the same normals."""
    pytest.importorskip("CGAL", reason="CGAL has wheels up to Python 3.11, and is for comparison only")
    from CGAL import CGAL_Point_set_processing_3 as processing
    from CGAL.CGAL_Kernel import Point_3, Vector_3
    from CGAL.CGAL_Point_set_3 import Point_set_3

    points, _ = cube(1000)
    normals = EAR().normals(points, Context())
    theirs = Point_set_3()
    theirs.add_normal_map()
    for point, normal in zip(points, normals, strict=True):
        theirs.insert(Point_3(*map(float, point)), Vector_3(*map(float, normal)))
    radius = 3 * float(cKDTree(points).query(points, 7)[0][:, 1:].mean())
    processing.edge_aware_upsample_point_set(theirs, 30.0, 0.0, radius, 4000)
    cgal = np.array([[p.x(), p.y(), p.z()] for p in theirs.points()])[1000:]
    ours = insert(points, normals, 3000, 30.0, 0.0)[0]
    assert len(cgal) == len(ours) == 3000
    assert off_cube(ours).mean() < 1.1 * off_cube(cgal).mean()
    truth, _ = cube(4000, seed=1)
    cover = [float((cKDTree(np.concatenate([points, new])).query(truth)[0] ** 2).mean()) for new in (ours, cgal)]
    assert cover[0] < 1.15 * cover[1]
