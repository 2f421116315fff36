"""Thin solids, and solids with many holes: plates, vessels, wire, knots, minimal surfaces, rings, lattices."""

from __future__ import annotations

import numpy as np

from . import implicit as im
from .solids_common import Boxed, Rng, about, turn


def perforated_plate(rng: Rng) -> Boxed:
    """A plate with rows of round or square holes, flat or bent."""
    thick, across = rng.uniform(0.015, 0.05), int(rng.integers(3, 7))
    pitch = 1.5 / across
    size, square = rng.uniform(0.2, 0.36) * pitch, rng.random() < 0.5
    grid = (np.arange(across) - (across - 1) / 2) * pitch

    def holes(p: np.ndarray) -> np.ndarray:
        q = p[:, :2] - np.clip(np.round(p[:, :2] / pitch - grid[0] / pitch), 0, across - 1) * pitch - grid[0]
        return (np.abs(q).max(axis=1) if square else np.linalg.norm(q, axis=1)) - size

    plate = im.without(im.box([0.8, 0.8, thick]), holes)
    if rng.random() < 0.5:
        return im.moved(im.bent(plate, rng.uniform(0.5, 1.5)), [0, 0, 0.2]), np.array([0.85, 0.85, 0.75])
    return plate, np.array([0.8, 0.8, 0.1])


def vessel(rng: Rng) -> Boxed:
    """A pot or a cup with a thin wall, an opening, and with or without a handle."""
    heights = np.linspace(-0.7, 0.7, 24)
    knots = np.linspace(-0.7, 0.7, 5)
    radii = np.polynomial.Polynomial.fit(knots, rng.uniform(0.25, 0.6, 5), 4)(heights)
    radii = np.clip(radii, 0.18, 0.75)
    profile = np.concatenate([[[0, -0.7]], np.stack([radii, heights], axis=1), [[0, 0.7]]])
    thick = rng.uniform(0.03, 0.06)
    wall = im.shell(im.revolved(profile), thick)
    mouth = im.half_space([0, 0, 1], 0.7 - 0.6 * thick)
    body = im.intersection(wall, mouth)
    if rng.random() < 0.5:
        side = float(np.interp(0, heights, radii))
        grip = im.moved(im.torus(0.28, rng.uniform(0.03, 0.06)), [side + 0.02, 0, 0], about("x", np.pi / 2))
        body = im.union([body, im.without(grip, im.revolved(profile))])
    return body, np.array([1.15, 0.85, 0.8])


def wire(rng: Rng) -> Boxed:
    """A spring, a coil or a closed spline of round wire."""
    t = np.linspace(0, 1, 3000)
    if rng.random() < 0.5:
        turns = rng.uniform(3, 7)
        radius = 0.5 * (1 - rng.uniform(0, 0.7) * t)
        angle = 2 * np.pi * turns * t
        curve = np.stack([radius * np.cos(angle), radius * np.sin(angle), 1.4 * (t - 0.5)], axis=1)
        return im.tube(curve, rng.uniform(0.035, 0.35 * 1.4 / turns)), np.array([0.75, 0.75, 0.95])
    curve = np.zeros((len(t), 3))
    for k in range(1, 4):
        for f in (np.cos, np.sin):
            curve += f(2 * np.pi * k * t)[:, None] * rng.normal(size=3) / k
    curve *= 0.8 / np.abs(curve).max()
    return im.tube(curve, rng.uniform(0.035, 0.08)), np.full(3, 0.9)


def knot(rng: Rng) -> Boxed:
    """A (p, q) torus knot or link of round rope."""
    p, q = [(2, 3), (3, 2), (2, 5), (3, 4), (3, 5), (4, 3)][int(rng.integers(6))]
    t = np.linspace(0, 2 * np.pi, 6000)
    r = 0.6 + 0.25 * np.cos(q * t)
    curve = np.stack([r * np.cos(p * t), r * np.sin(p * t), rng.uniform(0.25, 0.35) * np.sin(q * t)], axis=1)
    return im.tube(curve, rng.uniform(0.05, 0.11)), np.array([1.0, 1.0, 0.5])


def minimal_surface(rng: Rng) -> Boxed:
    """A sheet of a gyroid or of a Schwarz surface within a box, a ball or a cylinder."""
    sheet = im.gyroid(rng.uniform(1.2, 2.4), rng.uniform(0.06, 0.14), int(rng.integers(3)))
    bounds: list[im.Solid] = [im.box([0.8] * 3), im.ball(0.9), im.cylinder(0.75, 0.8)]
    within = im.moved(sheet, rng.uniform(-0.5, 0.5, 3))
    return im.intersection(within, bounds[int(rng.integers(3))]), np.full(3, 0.95)


def rings(rng: Rng) -> Boxed:
    """Joined tori at random angles, or joined links of a chain."""
    parts = []
    for _ in range(rng.integers(3, 6)):
        major = rng.uniform(0.25, 0.45)
        offset = rng.uniform(-0.35, 0.35, 3)
        parts.append(im.moved(im.torus(major, rng.uniform(0.05, 0.12)), offset, turn(rng)))
    return im.blend(parts, rng.uniform(0.02, 0.1)), np.full(3, 1.05)


def lattice(rng: Rng) -> Boxed:
    """Struts along a cubic grid, with or without diagonals, or a block drilled from three sides."""
    cells = int(rng.integers(2, 4))
    pitch = 1.4 / cells
    if rng.random() < 0.4:

        def drilled(p: np.ndarray) -> np.ndarray:
            q = np.abs((p + 0.7) % pitch - pitch / 2)
            pairs = [np.hypot(q[:, i], q[:, j]) for i, j in ((0, 1), (1, 2), (2, 0))]
            return np.minimum.reduce(pairs) - radius

        radius = rng.uniform(0.25, 0.4) * pitch
        return im.without(im.box([0.7] * 3), drilled), np.full(3, 0.7)
    width = rng.uniform(0.07, 0.13) * pitch + 0.01
    square, diagonal = rng.random() < 0.5, rng.random() < 0.4

    def struts(p: np.ndarray) -> np.ndarray:
        q = np.abs(p - pitch * np.round((p + 0.7) / pitch) + 0.7)
        pairs = [q[:, [i, j]] for i, j in ((0, 1), (1, 2), (2, 0))]
        bars = np.minimum.reduce([pair.max(axis=1) if square else np.hypot(*pair.T) for pair in pairs]) - width
        if diagonal:
            along = q @ np.ones(3) / 3
            bars = np.minimum(bars, np.linalg.norm(q - along[:, None], axis=1) - width)
        return bars

    return im.intersection(struts, im.box([0.7 + width] * 3)), np.full(3, 0.7 + width)
