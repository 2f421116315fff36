"""Frames and quadric fits: exact where the surface is a quadric, right where normals are known, finite everywhere."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from pcsr_zoo.geometry.frames import UnitFrame, local_frames
from pcsr_zoo.geometry.jets import Jets, fit_jets, monomials
from pcsr_zoo.geometry.knn import KNN


def neighborhoods(points, centers, k):
    """(M, k, 3) in units of the farthest neighbor's distance, and those units (M, 1)."""
    distance, index = KNN(points).query(centers, k)
    radius = distance[:, -1:]
    return torch.from_numpy((points[index] - centers[:, None]) / radius[:, :, None]), torch.from_numpy(radius)


def fit_at(points, centers, k=10, **options):
    near, radius = neighborhoods(points, centers, k)
    jets = fit_jets(near, **options)
    zero = torch.zeros(len(centers), 3, dtype=near.dtype)
    return centers + (jets.project(zero) * radius).numpy(), jets.normals(zero).numpy()


def sphere(n, seed=0):
    points = np.random.default_rng(seed).normal(size=(n, 3))
    return points / np.linalg.norm(points, axis=1, keepdims=True)


def torus(n, seed=0, major=1.0, minor=0.4):
    """Points on a torus and their outward normals."""
    u, v = np.random.default_rng(seed).uniform(0, 2 * np.pi, (2, n))
    ring = np.stack([np.cos(u), np.sin(u), 0 * u], axis=1)
    normal = ring * np.cos(v)[:, None] + np.sin(v)[:, None] * [0.0, 0, 1]
    return major * ring + minor * normal, normal


# -- the unit frame ---------------------------------------------------------------------------------------------


def test_unit_frame():
    points = np.random.default_rng(0).uniform(size=(500, 3)) * [30.0, 10, 5]
    frame = UnitFrame.of(points)
    unit = frame.to_unit(points)
    np.testing.assert_allclose(unit.mean(axis=0), 0, atol=1e-14)
    np.testing.assert_allclose(np.linalg.norm(unit, axis=1).max(), 1)
    np.testing.assert_allclose(frame.from_unit(unit), points, atol=1e-13)
    same = UnitFrame.of(np.full((4, 3), 2.0))
    assert same.scale == 1.0
    np.testing.assert_array_equal(same.to_unit(np.full((4, 3), 2.0)), 0)


def test_unit_frame_far_from_the_origin():
    points = np.random.default_rng(0).uniform(size=(500, 3)) * 100
    far = points + np.array([5e5, 4.6e6, 300])
    np.testing.assert_allclose(UnitFrame.of(far).to_unit(far), UnitFrame.of(points).to_unit(points), atol=1e-10)
    np.testing.assert_allclose(UnitFrame.of(far).from_unit(UnitFrame.of(far).to_unit(far)), far, atol=2e-9, rtol=0)


# -- local frames -----------------------------------------------------------------------------------------------


def test_local_frames_against_numpy_one_by_one():
    rng = np.random.default_rng(1)
    offsets, weights = rng.normal(size=(40, 12, 3)) * [3.0, 1.0, 0.2], rng.uniform(size=(40, 12))
    centroid, axes, variances = local_frames(torch.from_numpy(offsets), torch.from_numpy(weights))
    for m in range(40):
        mean = np.average(offsets[m], axis=0, weights=weights[m])
        covariance = np.cov(offsets[m].T, aweights=weights[m], ddof=0)
        np.testing.assert_allclose(centroid[m], mean, atol=1e-12)
        frame = axes[m].numpy()
        np.testing.assert_allclose(frame.T @ frame, np.eye(3), atol=1e-12)
        np.testing.assert_allclose(frame @ np.diag(variances[m].numpy()) @ frame.T, covariance, atol=1e-12)
        assert (np.diff(variances[m]) >= 0).all()


def test_points_of_no_weight_do_not_matter():
    rng = np.random.default_rng(1)
    offsets, weights = rng.normal(size=(5, 12, 3)), np.ones((5, 12))
    weights[:, 8:] = 0
    for a, b in zip(
        local_frames(torch.from_numpy(offsets), torch.from_numpy(weights)),
        local_frames(torch.from_numpy(offsets[:, :8]), torch.from_numpy(weights[:, :8])),
        strict=True,
    ):
        np.testing.assert_allclose(a, b, atol=1e-12)


def test_the_normal_of_a_plane():
    rng = np.random.default_rng(2)
    for seed in range(20):
        turn = Rotation.random(random_state=seed)
        plane = turn.apply(np.c_[rng.uniform(-1, 1, (15, 2)), np.zeros(15)])
        _, axes, variances = local_frames(torch.from_numpy(plane[None]), torch.ones(1, 15, dtype=torch.float64))
        np.testing.assert_allclose(abs(axes[0, :, 0].numpy() @ turn.apply([0, 0, 1])), 1, atol=1e-12)
        assert variances[0, 0] < 1e-15


# -- jets -------------------------------------------------------------------------------------------------------


def test_monomials():
    x, y = torch.tensor([2.0, -1.0]), torch.tensor([3.0, 0.5])
    np.testing.assert_allclose(monomials(x, y), [[1, 2, 3, 4, 6, 9], [1, -1, 0.5, 1, -0.5, 0.25]])


def test_projection_and_normals_of_a_known_quadric():
    """With the frame given, both are exact: f and its gradient by hand."""
    c = np.array([0.1, 0.2, -0.3, 0.5, 0.25, -0.4])
    turn = Rotation.from_euler("xyz", [0.3, -1.1, 2.0]).as_matrix()
    origin = np.array([0.2, -0.1, 0.4])
    local = np.random.default_rng(0).uniform(-1, 1, (50, 3))  # height, x, y
    offsets = origin + local @ turn.T
    jets = Jets(*(torch.from_numpy(np.stack([part] * 50)) for part in (origin, turn, c)), None, None)
    x, y = local[:, 1:].T
    surface = c[0] + c[1] * x + c[2] * y + c[3] * x * x + c[4] * x * y + c[5] * y * y
    expected = origin + np.stack([surface, x, y], axis=1) @ turn.T
    np.testing.assert_allclose(jets.project(torch.from_numpy(offsets)), expected, atol=1e-12)
    slope = np.stack([np.ones(50), -(c[1] + 2 * c[3] * x + c[4] * y), -(c[2] + c[4] * x + 2 * c[5] * y)], axis=1)
    normals = slope / np.linalg.norm(slope, axis=1, keepdims=True) @ turn.T
    np.testing.assert_allclose(jets.normals(torch.from_numpy(offsets)), normals, atol=1e-12)


@pytest.mark.parametrize("rounds", [0, 2])
@pytest.mark.parametrize("seed", range(3))
def test_a_quadric_is_recovered(rounds, seed, monkeypatch):
    """Height over the tangent plane at the center is exactly a quadric: so is the fit, but for the ridge's pull."""
    rng = np.random.default_rng(seed)
    xy = rng.uniform(-1, 1, (200, 24, 2))
    a, b, c = rng.uniform(-0.15, 0.15, (3, 200, 1))
    z = a * xy[..., 0] ** 2 + b * xy[..., 0] * xy[..., 1] + c * xy[..., 1] ** 2
    # With -xy at the same height the principal frame is not tilted: it is the quadric's own.
    xy, z = np.concatenate([xy, -xy], axis=1), np.concatenate([z, z], axis=1)
    turn = Rotation.random(random_state=seed)
    near = turn.apply(np.concatenate([xy, z[..., None]], axis=2).reshape(-1, 3)).reshape(200, 48, 3)
    near /= np.linalg.norm(near, axis=2).max(axis=1)[:, None, None]
    zero = torch.zeros(200, 3, dtype=torch.float64)
    plane = local_frames(torch.from_numpy(near), torch.ones(200, 48, dtype=torch.float64))[0].norm(dim=1)
    jets = fit_jets(torch.from_numpy(near), rounds=rounds, sharpness=1.0)
    assert jets.project(zero).norm(dim=1).max() < 0.1 * plane.max()  # the flat fit passes through the mean
    monkeypatch.setattr("pcsr_zoo.geometry.jets._RIDGE", (1e-12,) * 6)
    jets = fit_jets(torch.from_numpy(near), rounds=rounds, sharpness=1.0)
    assert jets.project(zero).norm(dim=1).max() < 1e-8
    assert np.abs(np.abs(jets.normals(zero).numpy() @ turn.apply([0, 0, 1])) - 1).max() < 1e-12
    assert jets.misfit.max() < 1e-8


@pytest.mark.parametrize("shape", ["sphere", "torus"])
def test_normals_and_projections_on_known_surfaces(shape, monkeypatch):
    """The error of a quadric falls faster than the square of the spacing, a plane's error; the ridge takes some."""

    def errors(n):
        if shape == "sphere":
            points, centers = sphere(n), sphere(300, seed=9)
            normals = centers
        else:
            points, _ = torus(n)
            centers, normals = torus(300, seed=9)
        projected, fitted = fit_at(points, centers + 0.2 / np.sqrt(n) * normals, 16)
        if shape == "sphere":
            off = np.abs(np.linalg.norm(projected, axis=1) - 1)
        else:
            off = np.abs(np.hypot(np.linalg.norm(projected[:, :2], axis=1) - 1, projected[:, 2]) - 0.4)
        tilt = np.arccos(np.minimum(1, np.abs((fitted * normals).sum(axis=1))))
        return np.median(off), np.degrees(np.median(tilt))

    (far, tilt), (near, half_tilt) = errors(2000), errors(8000)  # half the spacing
    assert far < 4e-4  # a plane's is about the spacing squared over 8, 8e-4 for the sphere
    assert near < far / 3
    assert tilt < 1.5
    assert half_tilt < 0.75 * tilt
    monkeypatch.setattr("pcsr_zoo.geometry.jets._RIDGE", (1e-9,) * 6)
    assert errors(8000)[0] < errors(2000)[0] / 7


def crease(n, seed=0):
    """Two half planes at a right angle along the x axis: z = -|y| turned so that both are at 45 degrees."""
    rng = np.random.default_rng(seed)
    x, t = rng.uniform(-1, 1, n), rng.uniform(-1, 1, n)
    return np.stack([x, np.where(t < 0, t, 0), np.where(t > 0, -t, 0)], axis=1)


def test_residual_weights_keep_a_crease():
    points = crease(4000)
    rng = np.random.default_rng(5)
    spacing = np.sqrt(4 / 4000)
    beside = rng.uniform(0.3, 1.5, 400) * spacing  # centers on one of the two sides, near the crease
    centers = np.stack([rng.uniform(-0.8, 0.8, 400), -beside, 0 * beside], axis=1)
    off = []
    for rounds in (0, 2):
        _, y, z = fit_at(points, centers, 10, rounds=rounds)[0].T
        off.append(np.minimum(np.hypot(z, np.maximum(y, 0)), np.hypot(y, np.maximum(z, 0))) / spacing)
    assert off[1].mean() < 0.9 * off[0].mean()
    assert np.median(off[1]) < 0.8 * np.median(off[0])


def test_an_opposite_sheet_does_not_pull():
    rng = np.random.default_rng(3)
    top, bottom = (np.c_[rng.uniform(-1, 1, (3000, 2)), np.full(3000, z)] for z in (0.0, -0.06))
    centers = np.c_[rng.uniform(-0.8, 0.8, (300, 2)), np.full(300, 0.0)]
    off = [np.abs(fit_at(np.r_[top, bottom], centers, 10, rounds=rounds)[0][:, 2]).mean() for rounds in (0, 2)]
    assert off[1] < 0.5 * off[0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    "near",
    [
        np.array([[1.0, 0, 0]]),
        np.zeros((1, 3)),
        np.array([[0.5, 0, 0], [0, 1.0, 0]]),
        np.linspace(-1, 1, 10)[:, None] * [1.0, 0, 0],
        np.linspace(0, 1, 10)[:, None] * [0.6, 0, 0.8],
        np.zeros((10, 3)),
        np.ones((10, 3)) / np.sqrt(3),
        np.repeat([[1.0, 0, 0], [0, 1.0, 0]], 5, axis=0),
        np.c_[np.random.default_rng(0).uniform(-0.7, 0.7, (10, 2)), np.zeros(10)],
        np.random.default_rng(0).uniform(-0.5, 0.5, (10, 3)),
        np.array([[1e-9, 0, 0], [0, 1e-9, 0], [1e-9, 1e-9, 0], [1.0, 0, 0]]),
    ],
    ids=["one", "itself", "two", "line", "ray", "same", "one place", "two places", "plane", "volume", "outlier"],
)
def test_degenerate_neighborhoods_give_finite_results(near, dtype):
    jets = fit_jets(torch.from_numpy(np.stack([near, near])).to(dtype))
    move, normals = jets.project(torch.zeros(2, 3, dtype=dtype)), jets.normals(torch.zeros(2, 3, dtype=dtype))
    for part in (move, normals, jets.misfit, jets.weights, jets.coefficients):
        assert torch.isfinite(part).all()
    assert move.norm(dim=1).max() <= 2  # not thrown out of the neighborhood
    np.testing.assert_allclose(normals.norm(dim=1), 1, atol=1e-5)


def test_a_line_and_a_plane_are_stayed_on():
    line = (np.random.default_rng(0).uniform(-1, 1, (20, 10, 1))) * [0.36, 0.48, 0.8]
    plane = np.random.default_rng(0).uniform(-0.7, 0.7, (20, 10, 3)) * [1.0, 1, 0]
    zero = torch.zeros(20, 3, dtype=torch.float64)
    moved = fit_jets(torch.from_numpy(line)).project(zero).numpy()
    assert np.linalg.norm(moved - (moved @ [0.36, 0.48, 0.8])[:, None] * [0.36, 0.48, 0.8], axis=1).max() < 1e-12
    assert np.abs(fit_jets(torch.from_numpy(plane)).project(zero)[:, 2]).max() < 1e-12


def test_rotating_the_neighbors_rotates_the_result():
    points, centers = torus(1500)[0], torus(200, seed=4)[0] * 1.01
    turn = Rotation.random(random_state=1)
    projected, normals = fit_at(points, centers)
    turned, turned_normals = fit_at(turn.apply(points), turn.apply(centers))
    np.testing.assert_allclose(turned, turn.apply(projected), atol=1e-9)
    agreement = np.abs((turned_normals * turn.apply(normals)).sum(axis=1))
    np.testing.assert_allclose(agreement, 1, atol=1e-9)


def test_misfit_tells_creases_from_smooth_places():
    points = crease(4000)
    near, _ = neighborhoods(points, points[:1000], 10)
    misfit = fit_jets(near).misfit.numpy()
    distance = np.abs(points[:1000, 1] + points[:1000, 2])
    spacing = np.sqrt(4 / 4000)
    assert np.quantile(misfit[distance > 4 * spacing], 0.99) < 1e-3
    assert np.median(misfit[distance < 0.5 * spacing]) > 0.02


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_agrees():
    near, _ = neighborhoods(torus(1500)[0], torus(200, seed=4)[0] * 1.01, 10)
    zero = torch.zeros(200, 3, dtype=torch.float64)
    here, there = fit_jets(near).project(zero), fit_jets(near.cuda()).project(zero.cuda())
    np.testing.assert_allclose(there.cpu(), here, atol=1e-9)
