"""PU-GAN's uniformity against a second implementation, lattices, and the order that it must give."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.spatial import cKDTree

from pcsr_zoo.errors import CloudError, OptionError
from pcsr_zoo.metrics import estimate_area, uniformity
from pcsr_zoo.metrics.uniformity import FRACTIONS, disk_clutter


def sphere(points):
    return points / np.linalg.norm(points, axis=1, keepdims=True)


def fibonacci_sphere(n):
    k = np.arange(n) + 0.5
    z, angle = 1 - 2 * k / n, np.pi * (1 + 5**0.5) * k
    s = np.sqrt(1 - z**2)
    return np.stack([s * np.cos(angle), s * np.sin(angle), z], axis=1)


def hexagonal(rows, spacing=1.0):
    x, y = np.meshgrid(np.arange(rows, dtype=float), np.arange(rows, dtype=float))
    x = x + (y % 2) / 2
    return np.stack([x, y * np.sqrt(3) / 2, 0 * x], axis=-1).reshape(-1, 3) * spacing


def by_definition(points, area, mean):
    """All points are seeds; nothing but loops over the printed formula."""
    unit = points / np.sqrt(area)
    d = np.linalg.norm(unit[:, None] - unit[None], axis=2)
    nearest = (d + 1e9 * np.eye(len(d))).min(axis=1)
    values = []
    for p in (0.004, 0.006, 0.008, 0.010, 0.012):
        radius, expected, products = np.sqrt(p / np.pi), p * len(points), []
        for j in range(len(points)):
            members = [k for k in range(len(points)) if d[j, k] <= radius]
            lattice = np.sqrt(2 * np.pi * radius**2 / (len(members) * np.sqrt(3)))
            clutter = sum((nearest[k] - lattice) ** 2 / lattice for k in members)
            products.append((len(members) - expected) ** 2 / expected * clutter / (len(members) if mean else 1))
        values.append(np.mean(products))
    return values


@pytest.mark.parametrize("clutter", ["sum", "mean"])
def test_is_the_definition(clutter):
    points = sphere(np.random.default_rng(0).normal(size=(400, 3)))
    found = uniformity(points, area=4 * np.pi, clutter=clutter)
    np.testing.assert_allclose(found, by_definition(points, 4 * np.pi, clutter == "mean"), rtol=1e-9)


def test_a_hexagonal_lattice_has_no_clutter():
    points = hexagonal(60)
    tree = cKDTree(points)
    nearest = tree.query(points, k=2)[0][:, 1]
    inner = points[(np.abs(points - points.mean(axis=0)) < 8).all(axis=1)]
    for radius in (4.0, 9.0):
        sizes, clutter = disk_clutter(tree, nearest, inner, radius)
        cell = np.sqrt(3) / 2
        assert np.abs(sizes / (np.pi * radius**2 / cell) - 1).max() < 0.1
        assert (clutter / sizes).max() < 1e-3  # what counting whole points leaves; the spacing is 1
    # every second point a third of the way to its neighbor: the spacing, 1, falls to 2/3
    paired = points.copy()
    paired[::2, 0] += 1 / 3
    nearest = cKDTree(paired).query(paired, k=2)[0][:, 1]
    sizes, clutter = disk_clutter(cKDTree(paired), nearest, inner, 9.0)
    assert np.median(clutter / sizes) == pytest.approx((1 / 3) ** 2, rel=0.1)


def test_orders_clouds_by_evenness():
    rng = np.random.default_rng(1)
    even = fibonacci_sphere(3000)
    jittered = sphere(even + rng.normal(size=even.shape) * 0.012)
    random = sphere(rng.normal(size=even.shape))
    clumped = sphere(np.repeat(random[:1000], 3, axis=0) + rng.normal(size=even.shape) * 0.003)
    values = [uniformity(x, area=4 * np.pi) for x in (even, jittered, random, clumped)]
    for better, worse in itertools.pairwise(values):
        assert (better * 2 < worse).all()


def test_unit_place_and_order_do_not_matter():
    rng = np.random.default_rng(2)
    points = sphere(rng.normal(size=(700, 3)))
    expected = uniformity(points, area=4 * np.pi)
    np.testing.assert_allclose(uniformity(points * 1000 + 50, area=4e6 * np.pi), expected, rtol=1e-6)
    np.testing.assert_allclose(uniformity(rng.permutation(points), area=4 * np.pi), expected, rtol=1e-9)
    with_estimate = uniformity(points)
    np.testing.assert_allclose(uniformity(points * 7), with_estimate, rtol=1e-6)


def test_area_estimate():
    assert estimate_area(fibonacci_sphere(4000)) == pytest.approx(4 * np.pi, rel=0.03)
    random = sphere(np.random.default_rng(3).normal(size=(4000, 3)))
    assert estimate_area(random * 5) == pytest.approx(100 * np.pi, rel=0.05)


def test_small_and_degenerate():
    two = uniformity([[0.0, 0, 0], [1, 0, 0]], area=1.0)
    assert two.shape == (len(FRACTIONS),)
    assert np.isfinite(two).all()
    with pytest.raises(CloudError, match="at least 2"):
        uniformity([[0.0, 0, 0]], area=1.0)
    with pytest.raises(CloudError, match="points are equal"):
        uniformity(np.ones((50, 3)))
    assert np.isfinite(uniformity(np.ones((50, 3)), area=1.0)).all()
    for wrong in ({"area": 0.0}, {"area": np.nan}, {"fractions": (2.0,)}, {"seeds": 0}, {"clutter": "max"}):
        with pytest.raises(OptionError):
            uniformity(fibonacci_sphere(100), **wrong)
