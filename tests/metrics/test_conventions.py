"""The three named conventions against a second implementation written from their definitions."""

from __future__ import annotations

import numpy as np
import pytest

from pcsr_zoo import Cloud
from pcsr_zoo.errors import CloudError, OptionError
from pcsr_zoo.metrics import CONVENTIONS, evaluate


def distance_to_cube(points):
    """Unsigned distance to the surface of [-1, 1]^3."""
    q = np.abs(points) - 1
    return np.abs(np.linalg.norm(np.maximum(q, 0), axis=1) + np.minimum(q.max(axis=1), 0))


@pytest.fixture
def cube():
    """(vertices, triangles) of [-1, 1]^3."""
    from pcsr_zoo._open3d import import_open3d

    mesh = import_open3d().geometry.TriangleMesh.create_box(2, 2, 2)
    return np.asarray(mesh.vertices) - 1, np.asarray(mesh.triangles)


def nearest(a, b):
    d = np.sqrt(((a[:, None] - b[None]) ** 2).sum(axis=2))
    return d.min(axis=1), d.min(axis=0)


def center_radius(x):
    center = x.sum(axis=0) / len(x)
    return center, max(np.linalg.norm(row - center) for row in x)


def by_definition(prediction, truth, convention):
    """The table of the benchmark protocol, row by row."""
    ct, rt = center_radius(truth)
    cp, rp = center_radius(prediction)
    if convention == "plain":
        f, b = nearest((prediction - ct) / rt, (truth - ct) / rt)
        return (np.mean(f) + np.mean(b)) / 2, max(f.max(), b.max())
    f, b = nearest((prediction - cp) / rp, (truth - ct) / rt)
    cd, hd = np.mean(f**2) + np.mean(b**2), f.max() ** 2 + b.max() ** 2
    return (cd / 2, hd / 2) if convention == "half-2024" else (cd, hd)


@pytest.fixture
def pair():
    rng = np.random.default_rng(0)
    return rng.normal(size=(70, 3)) * 3 + 10, rng.normal(size=(90, 3)) * 3.1 + 10.2


def test_the_registry_has_the_three():
    assert list(CONVENTIONS) == ["pugan-2019", "half-2024", "plain"]
    assert all(key == convention.id for key, convention in CONVENTIONS.items())


@pytest.mark.parametrize("convention", ["pugan-2019", "half-2024", "plain"])
def test_is_the_definition(pair, convention):
    prediction, truth = pair
    result = evaluate(prediction, truth, convention=convention)
    cd, hd = by_definition(prediction, truth, convention)
    assert result["cd"] == pytest.approx(cd, rel=1e-10)
    assert result["hd"] == pytest.approx(hd, rel=1e-10)
    assert result["convention"] == convention
    assert set(result) == {"convention", "cd", "hd"}


@pytest.mark.parametrize("convention", list(CONVENTIONS))
def test_unit_and_place_do_not_matter(pair, convention):
    prediction, truth = pair
    expected = evaluate(prediction, truth, convention=convention)
    moved = [x * 100 + [5e5, 4e6, 0] for x in pair]
    result = evaluate(*moved, convention=convention)
    assert result["cd"] == pytest.approx(expected["cd"], rel=1e-6)
    assert result["hd"] == pytest.approx(expected["hd"], rel=1e-6)


def test_own_frames_forgive_a_similarity_and_plain_does_not(pair):
    _, truth = pair
    moved = truth * 1.1 + 0.5
    assert evaluate(moved, truth)["cd"] == pytest.approx(0, abs=1e-20)
    assert evaluate(moved, truth, convention="plain")["cd"] > 0.01


def test_p2f_is_in_the_raw_frame_and_pools(cube):
    rng = np.random.default_rng(1)
    prediction, truth = rng.uniform(-3, 3, size=(64, 3)), rng.uniform(-1, 1, size=(50, 3))
    distances = distance_to_cube(prediction)
    for convention in CONVENTIONS:
        result = evaluate(prediction, truth, cube, convention, per_point=True)
        assert result["p2f_mean"] == pytest.approx(distances.mean(), abs=1e-6)
        assert result["p2f_std"] == pytest.approx(np.sqrt(np.mean((distances - distances.mean()) ** 2)), abs=1e-6)
        np.testing.assert_allclose(result["per_point"]["p2f"], distances, atol=1e-6)
    forward, backward = result["per_point"]["forward"], result["per_point"]["backward"]
    assert (len(forward), len(backward)) == (64, 50)
    assert result["cd"] == pytest.approx((forward.mean() + backward.mean()) / 2)


def test_emd_and_uniformity(pair):
    prediction, truth = pair
    truth = truth[:70]
    result = evaluate(Cloud(prediction), Cloud(truth), emd=True, uniformity=True)
    (cp, rp), (ct, rt) = center_radius(prediction), center_radius(truth)
    from scipy.optimize import linear_sum_assignment

    cost = np.linalg.norm(((prediction - cp) / rp)[:, None] - ((truth - ct) / rt)[None], axis=2)
    assert result["emd"] == pytest.approx(cost[linear_sum_assignment(cost)].mean(), rel=1e-10)
    assert list(result["uniformity"]) == ["0.4%", "0.6%", "0.8%", "1.0%", "1.2%"]
    with pytest.raises(CloudError, match="one to one"):
        evaluate(prediction, truth[:60], emd=True)


def test_uniformity_takes_the_area_of_the_mesh(cube):
    from pcsr_zoo.metrics import uniformity

    rng = np.random.default_rng(2)
    points = rng.uniform(-1, 1, size=(600, 3))
    points[np.arange(600), rng.integers(3, size=600)] = rng.choice([-1.0, 1.0], size=600)
    result = evaluate(points, points, cube, uniformity=True)
    np.testing.assert_allclose(list(result["uniformity"].values()), uniformity(points, area=24.0))


def test_identical_clouds_are_zero(pair):
    _, truth = pair
    for convention in CONVENTIONS:
        result = evaluate(np.random.default_rng(3).permutation(truth), truth, convention=convention)
        assert result["cd"] == pytest.approx(0, abs=1e-15)
        assert result["hd"] == pytest.approx(0, abs=1e-15)


@pytest.mark.parametrize("at", [[0.0, 0, 0], [0.1, 0.2, 0.3], [5e5, 4e6, 1.1]])
def test_no_extent(pair, at):
    _, truth = pair
    for equal in (np.array([at]), np.array([at] * 7)):
        with pytest.raises(CloudError, match="all points of the prediction are equal"):
            evaluate(equal, truth)
        for convention in CONVENTIONS:
            with pytest.raises(CloudError, match="all points of the ground truth are equal"):
                evaluate(truth, equal, convention=convention)
        ct, rt = center_radius(truth)
        expected = np.linalg.norm((np.array(at) - ct) / rt - (truth - ct) / rt, axis=1)
        result = evaluate(equal, truth, convention="plain")  # its frame is the ground truth's: defined
        assert result["hd"] == pytest.approx(expected.max())


def test_errors(pair):
    prediction, truth = pair
    with pytest.raises(OptionError, match=r"'cvpr'.*: pugan-2019, half-2024, plain"):
        evaluate(prediction, truth, convention="cvpr")
    bad = truth.copy()
    bad[3] = np.inf
    with pytest.raises(CloudError, match="the ground truth: row 3"):
        evaluate(prediction, bad)
    with pytest.raises(CloudError, match="the prediction is empty"):
        evaluate(np.empty((0, 3)), truth)
