"""The noise estimate where the noise is known; edges against their definition."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from pcsr_zoo.geometry.distinct import first_occurrences
from pcsr_zoo.geometry.edges import neighbor_edges, rank_at_ends
from pcsr_zoo.geometry.noise import estimate_noise

N = 4000


def sphere(seed=0):
    """Points, normals, and the side of the square that each has to itself."""
    points = np.random.default_rng(seed).normal(size=(N, 3))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    return points, points, np.sqrt(4 * np.pi / N)


def torus(seed=0):
    """Uniform by area: rejection by the distance from the axis."""
    rng = np.random.default_rng(seed)
    u, v, w = rng.uniform(0, 1, (3, 4 * N))
    keep = w < (1 + 0.4 * np.cos(2 * np.pi * v)) / 1.4
    u, v = 2 * np.pi * u[keep][:N], 2 * np.pi * v[keep][:N]
    ring = np.stack([np.cos(u), np.sin(u), 0 * u], axis=1)
    normal = ring * np.cos(v)[:, None] + np.sin(v)[:, None] * [0.0, 0, 1]
    return ring + 0.4 * normal, normal, np.sqrt(4 * np.pi**2 * 0.4 / N)


def plane(seed=0):
    points = np.random.default_rng(seed).uniform(size=(N, 3)) * [1.0, 1, 0]
    return points, np.tile([0.0, 0, 1], (N, 1)), np.sqrt(1 / N)


SHAPES = {"sphere": sphere, "torus": torus, "plane": plane}


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("sigma", [0.05, 0.1, 0.2, 0.3])
def test_noise_across_the_surface_is_estimated(name, sigma):
    """Known to within 30 %, from the cloud alone."""
    points, normals, spacing = SHAPES[name]()
    noise = np.random.default_rng(1).normal(size=(N, 1)) * sigma * spacing
    assert estimate_noise(points + noise * normals) == pytest.approx(sigma, rel=0.3)


@pytest.mark.parametrize("name", SHAPES)
def test_noise_in_all_directions_is_estimated(name):
    points, _, spacing = SHAPES[name]()
    noisy = points + np.random.default_rng(1).normal(size=(N, 3)) * 0.2 * spacing
    assert estimate_noise(noisy) == pytest.approx(0.2, rel=0.3)


@pytest.mark.parametrize("name", SHAPES)
def test_clean_clouds_read_clean(name):
    assert estimate_noise(SHAPES[name]()[0]) < 0.03


def test_the_estimate_knows_no_unit_place_or_direction():
    points, normals, spacing = torus()
    noisy = points + normals * np.random.default_rng(1).normal(size=(N, 1)) * 0.2 * spacing
    here = estimate_noise(noisy)
    turn, _ = np.linalg.qr(np.random.default_rng(2).normal(size=(3, 3)))
    assert estimate_noise(noisy @ turn * 50 + 7) == pytest.approx(here, rel=1e-3)


def test_edges_of_a_cube_are_no_noise():
    rng = np.random.default_rng(0)
    faces = rng.uniform(-1, 1, (N, 3))
    faces[np.arange(N), rng.integers(0, 3, N)] = rng.choice([-1, 1], N)
    assert estimate_noise(faces) < 0.03


@pytest.mark.parametrize(
    "points",
    [
        np.zeros((0, 3)),
        np.zeros((47, 3)),
        np.random.default_rng(0).normal(size=(47, 3)),
        np.ones((100, 3)),
        np.arange(100.0)[:, None] * [1.0, 2, 3],
        np.repeat(np.random.default_rng(0).normal(size=(20, 3)), 10, axis=0),
    ],
    ids=["none", "few equal", "few", "equal", "line", "duplicates"],
)
def test_too_little_to_tell_reads_clean(points):
    assert estimate_noise(points) == pytest.approx(0, abs=1e-3)


# -- edges ------------------------------------------------------------------------------------------------------


def edges_by_definition(points, k, emptiness):
    distance = np.linalg.norm(points[:, None] - points[None], axis=2)
    near = np.argsort(distance, axis=1, kind="stable")[:, 1 : k + 1]
    out = set()
    for i, j in itertools.combinations(range(len(points)), 2):
        if j in near[i] or i in near[j]:
            gap = np.linalg.norm(points - (points[i] + points[j]) / 2, axis=1).min()
            if gap > emptiness * distance[i, j] / 2:
                out.add((i, j))
    return sorted(out)


@pytest.mark.parametrize("emptiness", [0.0, 0.3, 0.6, 0.9])
@pytest.mark.parametrize("k", [1, 6, 12])
@pytest.mark.parametrize("shape", ["volume", "plane", "uneven"])
def test_edges_against_their_definition(shape, k, emptiness):
    rng = np.random.default_rng(8)
    points = rng.uniform(size=(120, 3)) * ([1.0, 1, 0] if shape == "plane" else 1)
    if shape == "uneven":
        points = points**4
    edges = neighbor_edges(points, k, emptiness=emptiness)
    assert [tuple(edge) for edge in edges] == edges_by_definition(points, k, emptiness)


def test_edges_in_pieces(monkeypatch):
    points = np.random.default_rng(8).uniform(size=(300, 3))
    whole = neighbor_edges(points, 6, emptiness=0.6)
    monkeypatch.setattr("pcsr_zoo.geometry.edges._CHUNK", 7)
    np.testing.assert_array_equal(neighbor_edges(points, 6, emptiness=0.6), whole)


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_edges_of_few_points(count):
    edges = neighbor_edges(np.eye(3)[:count], 6)
    assert [tuple(edge) for edge in edges] == list(itertools.combinations(range(count), 2))
    assert edges.shape == (count * (count - 1) // 2, 2)
    assert edges.dtype == np.int64


def test_rank_at_ends():
    edges = neighbor_edges(np.random.default_rng(0).uniform(size=(60, 3)), 5)
    score = np.random.default_rng(1).permutation(len(edges)).astype(float)
    rank = rank_at_ends(edges, score, 60)
    for e, (i, j) in enumerate(edges):
        expected = min(
            sum(score[f] < score[e] for f in range(len(edges)) if end in edges[f]) for end in (i, j)
        )  # how many better ones there are at that end
        assert rank[e] == expected
    assert rank_at_ends(np.empty((0, 2), np.int64), np.empty(0), 3).shape == (0,)


# -- distinct points --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_first_occurrences(seed):
    rng = np.random.default_rng(seed)
    points = rng.integers(-2, 3, (300, 3)) * rng.choice([1.0, 0.1, 1e300, 1e-300])
    points[points == 0] *= rng.choice([-1.0, 1.0], (points == 0).sum())  # -0 is 0
    seen: dict[tuple, int] = {}
    for i, point in enumerate(points):
        seen.setdefault(tuple(point), i)
    np.testing.assert_array_equal(first_occurrences(points), sorted(seen.values()))


def test_first_occurrences_when_hashes_collide(monkeypatch):
    points = np.random.default_rng(0).integers(0, 3, (200, 3)).astype(float)
    expected = first_occurrences(points)
    monkeypatch.setattr("pcsr_zoo.geometry.distinct._MULTIPLIERS", np.zeros(3, np.uint64))
    np.testing.assert_array_equal(first_occurrences(points), expected)
    assert len(first_occurrences(np.empty((0, 3)))) == 0
