"""Smooth solids: blobs, creatures, superquadrics."""

from __future__ import annotations

import numpy as np

from . import implicit as im
from .solids_common import Boxed, Rng, turn


def blob(rng: Rng) -> Boxed:
    """Smoothly joined ellipsoids with bumps."""
    parts = []
    for _ in range(rng.integers(3, 8)):
        center = rng.normal(size=3)
        center *= rng.uniform(0, 0.5) / np.linalg.norm(center)
        parts.append(im.moved(im.ellipsoid(rng.uniform(0.14, 0.38, 3)), center, turn(rng)))
    return _bumpy(rng, im.blend(parts, rng.uniform(0.05, 0.25)), rng.uniform(0, 0.5), rng.uniform(8, 30)), np.ones(3)


def creature(rng: Rng) -> Boxed:
    """A body with tapered, bent limbs, like animals and figures."""
    spread = np.array([rng.uniform(0.3, 0.5), rng.uniform(0.13, 0.25), rng.uniform(0.13, 0.3)])
    parts = [im.ellipsoid(spread)]
    for _ in range(rng.integers(4, 9)):
        way = rng.normal(size=3)
        way /= np.linalg.norm(way)
        root = way * spread * 0.8
        knee = root + (way + 0.5 * rng.normal(size=3)) * rng.uniform(0.12, 0.25)
        tip = knee + (way + 0.7 * rng.normal(size=3)) * rng.uniform(0.1, 0.25)
        width = rng.uniform(0.06, 0.11)
        parts += [im.capsule(root, knee, width, 0.8 * width), im.capsule(knee, tip, 0.8 * width, 0.5 * width)]
        if rng.random() < 0.4:
            parts.append(im.ball(1.2 * width, tip))
    return _bumpy(rng, im.blend(parts, rng.uniform(0.04, 0.1)), rng.uniform(0, 0.3), 25), np.full(3, 1.5)


def superquadric(rng: Rng) -> Boxed:
    """One or two superquadrics: boxy, round, cylindrical, or with the edges of an octahedron."""
    radii = rng.uniform(0.3, 0.9, 3)
    solid = im.superquadric(radii, *rng.uniform(0.25, 1.9, 2))
    if rng.random() < 0.5:
        other = im.superquadric(rng.uniform(0.2, 0.7, 3), *rng.uniform(0.25, 1.9, 2))
        other = im.moved(other, rng.uniform(-0.4, 0.4, 3), turn(rng))
        solid = im.without(solid, other) if rng.random() < 0.4 else im.blend([solid, other], rng.uniform(0.01, 0.2))
    return (_bumpy(rng, solid, 0.35, 25) if rng.random() < 0.3 else solid), np.full(3, 1.3)


def _bumpy(rng: Rng, solid: im.Solid, strength: float, frequency: float) -> im.Solid:
    """Waves whose slopes add up to at most `strength`."""
    count = 5
    waves = rng.normal(size=(count, 3))
    waves *= (rng.uniform(0.5, 1.5, count) * frequency / np.linalg.norm(waves, axis=1))[:, None]
    heights = strength / count / np.linalg.norm(waves, axis=1)
    return im.bumpy(solid, waves, rng.uniform(0, 2 * np.pi, count), heights)
