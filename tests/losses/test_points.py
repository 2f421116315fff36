"""Losses of point sets against formulas, brute force, and finite differences of themselves."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch

from pcsr_zoo.losses.chamfer import chamfer_loss
from pcsr_zoo.losses.earth_mover import assignment, earth_mover_loss
from pcsr_zoo.losses.gaussian import gaussian_cross_entropy
from pcsr_zoo.losses.repulsion import repulsion_loss
from pcsr_zoo.losses.uniform import uniform_loss
from pcsr_zoo.metrics.emd import earth_movers_distance


def clouds(batch: int, n: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(batch, n, 3)))


# -- earth mover's distance ---------------------------------------------------------------------------------------


def test_earth_mover_against_all_permutations():
    a, b = clouds(3, 6), clouds(3, 6, seed=1)
    unit = torch.tensor([1.0, 2.0, 0.5]).double()
    least = [
        min((x - y[list(order)]).norm(dim=1).mean() for order in itertools.permutations(range(6)))
        for x, y in zip(a, b, strict=True)
    ]
    torch.testing.assert_close(earth_mover_loss(a, b), torch.stack(least).mean())
    torch.testing.assert_close(earth_mover_loss(a, b, unit), (torch.stack(least) / unit).mean())
    assert float(earth_mover_loss(a, b)) == pytest.approx(
        np.mean([earth_movers_distance(x.numpy(), y.numpy()) for x, y in zip(a, b, strict=True)])
    )


def test_earth_mover_of_a_small_shift_is_its_length():
    a = clouds(2, 200)
    shift = torch.tensor([1e-3, 2e-3, -2e-3]).double()
    b = (a + shift)[:, torch.randperm(200)]
    assert float(earth_mover_loss(a, b, 0.5)) == pytest.approx(6e-3)
    assert float(earth_mover_loss(a, b, 0.5, squared=True)) == pytest.approx(36e-6)
    assert float(earth_mover_loss(a, b, 0.5, exact=False)) == pytest.approx(6e-3)


def test_the_faster_assignment_is_a_bijection_and_nearly_the_best():
    a, b = clouds(2, 300), clouds(2, 300, seed=1)
    match = assignment(a, b, exact=False)
    for row in match.tolist():
        assert sorted(row) == list(range(300))
    best, near = float(earth_mover_loss(a, b)), float(earth_mover_loss(a, b, exact=False))
    assert best < near < 1.15 * best


def test_earth_mover_gradient_goes_to_the_partner():
    a, b = clouds(1, 50).requires_grad_(), clouds(1, 50, seed=1)
    (gradient,) = torch.autograd.grad(earth_mover_loss(a, b), a)
    away = a.detach()[0] - b[0, assignment(a, b)[0]]
    torch.testing.assert_close(gradient[0], away / away.norm(dim=1, keepdim=True) / 50)


# -- Chamfer distance ---------------------------------------------------------------------------------------------


def test_chamfer_by_brute_force():
    a, b = clouds(2, 40), clouds(2, 30, seed=1)
    unit = torch.tensor([1.0, 3.0]).double()
    squares = torch.cdist(a, b) ** 2
    each = squares.amin(dim=2).mean(dim=1) + squares.amin(dim=1).mean(dim=1)
    torch.testing.assert_close(chamfer_loss(a, b), each.mean())
    torch.testing.assert_close(chamfer_loss(a, b, unit), (each / unit**2).mean())


# -- repulsion ----------------------------------------------------------------------------------------------------


def test_repulsion_by_the_formula():
    points = clouds(2, 30)
    total = []
    for cloud in points:
        for i in range(30):
            away = sorted((cloud - cloud[i]).norm(dim=1).tolist())[1:5]
            total += [-d / 0.5 * math.exp(-((d / 0.5) ** 2) / 0.7**2) for d in away]
    assert float(repulsion_loss(points, 0.5, h=0.7)) == pytest.approx(np.mean(total))


def test_repulsion_pushes_near_points_apart():
    pair = torch.tensor([[[0.0, 0, 0], [0.5, 0, 0]]]).double().requires_grad_()
    (gradient,) = torch.autograd.grad(repulsion_loss(pair), pair)
    assert gradient[0, 0, 0] > 0 > gradient[0, 1, 0]  # down the slope they part
    at_rest = torch.tensor([[[0.0, 0, 0], [2**-0.5, 0, 0]]]).double().requires_grad_()
    (gradient,) = torch.autograd.grad(repulsion_loss(at_rest), at_rest)
    assert float(gradient.abs().max()) < 1e-6


# -- uniformity ---------------------------------------------------------------------------------------------------


def test_uniform_by_the_formula():
    points = clouds(1, 100)
    points = points / points.norm(dim=2, keepdim=True)
    area, p = 4 * math.pi, 0.05
    unit = math.sqrt(area / 100)
    cloud = points[0].numpy() / unit
    distance = np.linalg.norm(cloud[:, None] - cloud, axis=2)
    gap = np.sort(distance, axis=1)[:, 1]
    radius = math.sqrt(p * 100 / math.pi)
    terms = []
    for j in range(100):  # with as many seeds as points, each is one
        inside = distance[j] < radius
        lattice = math.sqrt(2 * math.pi * radius**2 / (inside.sum() * math.sqrt(3)))
        terms.append((inside.sum() - p * 100) ** 2 / (p * 100) * ((gap[inside] - lattice) ** 2 / lattice).sum())
    found = uniform_loss(points, area, fractions=[p], seeds=1.0)
    assert float(found) == pytest.approx(np.mean(terms), rel=1e-5)
    twice = uniform_loss(torch.cat([points, 3 * points]), torch.tensor([area, 9 * area]).double(), [p, p], seeds=1.0)
    assert float(twice) == pytest.approx(2 * np.mean(terms), rel=1e-5)


def test_even_points_are_more_uniform_than_random_ones():
    side = torch.arange(30.0)
    grid = torch.stack(torch.meshgrid(side, side, indexing="ij"), dim=2).reshape(1, -1, 2)
    grid = torch.cat([grid, 0 * grid[:, :, :1]], dim=2)
    uneven = grid.clone()
    uneven[:, :, :2] = 30 * torch.rand(1, 900, 2, generator=torch.Generator().manual_seed(0))
    assert float(uniform_loss(grid, 900.0)) < 0.2 * float(uniform_loss(uneven, 900.0))


# -- latent variables ---------------------------------------------------------------------------------------------


def test_cross_entropy_is_the_density_of_the_normal_distribution():
    z, mean, log_sigma = (torch.randn(4, 5, 6, dtype=torch.float64) for _ in range(3))
    expected = -torch.distributions.Normal(0.0, 1.0).log_prob(z).mean()
    torch.testing.assert_close(gaussian_cross_entropy(z), expected)
    expected = -torch.distributions.Normal(mean, log_sigma.exp()).log_prob(z).mean()
    torch.testing.assert_close(gaussian_cross_entropy(z, mean, log_sigma), expected)


def test_cross_entropy_of_its_own_draws_is_the_entropy():
    z = torch.randn(400_000, generator=torch.Generator().manual_seed(0))
    assert float(gaussian_cross_entropy(z)) == pytest.approx(0.5 * math.log(2 * math.pi * math.e), abs=0.01)


# -- gradients ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "loss",
    [
        lambda x: earth_mover_loss(x, clouds(2, 12, seed=1), 0.7),
        lambda x: chamfer_loss(x, clouds(2, 15, seed=1), 0.7),
        lambda x: repulsion_loss(x, 0.7),
        lambda x: uniform_loss(x, 20.0, fractions=[0.3], seeds=0.5),
        lambda x: gaussian_cross_entropy(x, 0.3 * x.flip(0), 0.2 * x.flip(1)),
    ],
    ids=["earth mover", "chamfer", "repulsion", "uniform", "cross entropy"],
)
def test_gradients_by_finite_differences(loss):
    assert torch.autograd.gradcheck(loss, clouds(2, 12).requires_grad_())
