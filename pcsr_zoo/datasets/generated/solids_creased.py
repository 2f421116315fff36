"""Solids with edges: machined parts, gears, profiles, stairs, lathed parts, furniture."""

from __future__ import annotations

import numpy as np

from . import implicit as im
from .solids_common import Boxed, Rng, about


def machined_block(rng: Rng) -> Boxed:
    """A box with steps, slots, through holes, pockets and chamfers."""
    half = rng.uniform(0.25, 0.7, 3)
    solid = im.box(half, rng.choice([0, 0, 0.04]))
    for _ in range(rng.integers(1, 4)):  # slots and steps
        size = half * rng.uniform(0.15, 0.5, 3)
        size[rng.integers(3)] = 2
        solid = im.without(solid, im.moved(im.box(size), half * rng.choice([-1, 1], 3) * rng.uniform(0.5, 1.1, 3)))
    for _ in range(rng.integers(1, 5)):  # holes and pockets
        axis = int(rng.integers(3))
        turn = [about("y", np.pi / 2), about("x", np.pi / 2), np.eye(3)][axis]
        place = rng.uniform(-0.7, 0.7, 3) * half
        place[axis] = rng.choice([0.0, half[axis]])
        depth = 2.0 if place[axis] == 0 else half[axis] * rng.uniform(0.3, 0.8)
        solid = im.without(solid, im.moved(im.cylinder(rng.uniform(0.05, 0.16), depth), place, turn))
    for _ in range(rng.integers(0, 4)):  # chamfers
        normal = rng.choice([-1, 1], 3) * np.where(np.arange(3) == rng.integers(3), rng.choice([0, 1]), 1)
        reach = np.abs(normal) @ half / np.linalg.norm(normal)
        solid = im.intersection(solid, im.half_space(normal, reach * rng.uniform(0.78, 0.93)))
    return solid, half


def bracket(rng: Rng) -> Boxed:
    """Two plates at an angle with holes, perhaps a rib and a fillet."""
    wide, long, tall, thick = (
        rng.uniform(0.25, 0.5),
        rng.uniform(0.5, 0.8),
        rng.uniform(0.4, 0.8),
        rng.uniform(0.04, 0.1),
    )
    floor = im.box([long, wide, thick])
    wall = im.moved(im.box([thick, wide, tall]), [-long + thick, 0, tall - thick])
    parts = [floor, wall]
    if rng.random() < 0.3:
        parts.append(im.moved(im.box([thick, wide, tall]), [long - thick, 0, tall - thick]))
    body = im.blend(parts, rng.uniform(0.05, 0.2)) if rng.random() < 0.5 else im.union(parts)
    if rng.random() < 0.6:
        side = 0.8 * min(long, tall) * 1.4
        rib = np.array([[0, 0], [side, 0], [0, side]])
        prism = im.moved(im.extruded(rib, 0.7 * thick), [-long + thick, 0, 0], about("x", np.pi / 2))
        body = im.union([body, prism])
    holes = [im.moved(im.cylinder(rng.uniform(0.05, 0.12), 4 * thick), [x, y, 0]) for x, y in _holes(rng, long, wide)]
    hole = im.cylinder(rng.uniform(0.06, 0.2) * wide * 3, 3 * thick)
    holes.append(im.moved(hole, [-long, 0, 1.4 * tall], about("y", np.pi / 2)))
    return im.moved(im.without(body, *holes), [0, 0, -0.8 * tall]), np.array([long, wide, 1.2 * tall + 0.1])


def _holes(rng: Rng, long: float, wide: float) -> list[tuple[float, float]]:
    return [(x * long, y * wide) for x in (0.35, 0.72) for y in (-0.55, 0.55) if rng.random() < 0.75]


def gear(rng: Rng) -> Boxed:
    """A toothed wheel with a bore and holes, straight or helical."""
    teeth, inner, height = int(rng.integers(7, 22)), rng.uniform(0.68, 0.85), rng.uniform(0.08, 0.3)
    width = np.array([0.0, 0.25, 0.35, 0.6, 0.7]) / teeth * 2 * np.pi
    angle = (np.arange(teeth)[:, None] * 2 * np.pi / teeth + width[[0, 1, 2, 3]]).ravel()
    radius = np.tile([inner, inner, 0.95, 0.95], teeth)
    outline = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    solid = im.extruded(outline, height, rng.choice([0, 0, 0.8]))
    bore = rng.uniform(0.1, 0.25)
    hub = im.union([solid, im.cylinder(bore + 0.1, height + rng.uniform(0, 0.2))])
    holes: list[im.Solid] = [im.cylinder(bore, 2.0)]
    count = int(rng.integers(0, 7))
    middle = (bore + 0.1 + inner) / 2
    for k in range(count):
        at = 2 * np.pi * k / count
        holes.append(
            im.moved(im.cylinder(0.3 * (inner - bore - 0.1), 2), [middle * np.cos(at), middle * np.sin(at), 0])
        )
    return im.without(hub, *holes), np.array([1, 1, height + 0.25])


def profile_bar(rng: Rng) -> Boxed:
    """An extruded random star or I, T, U, L or Z section, with or without a twist."""
    if rng.random() < 0.5:
        count = int(rng.integers(4, 10))
        angle = np.sort(rng.uniform(0, 2 * np.pi, 2 * count))
        angle = (angle + np.arange(2 * count) * np.pi / count) / 2
        radius = rng.uniform(0.25, 0.7, 2 * count)
        outline = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    else:
        a, b, t = rng.uniform(0.35, 0.6), rng.uniform(0.35, 0.6), rng.uniform(0.07, 0.13)
        sections = {
            "L": [(-a, -b), (a, -b), (a, -b + t), (-a + t, -b + t), (-a + t, b), (-a, b)],
            "T": [(-t, -b), (t, -b), (t, b - t), (a, b - t), (a, b), (-a, b), (-a, b - t), (-t, b - t)],
            "U": [(-a, -b), (a, -b), (a, b), (a - t, b), (a - t, -b + t), (-a + t, -b + t), (-a + t, b), (-a, b)],
            "Z": [(-a, -b), (t, -b), (t, b - t), (a, b - t), (a, b), (-t, b), (-t, -b + t), (-a, -b + t)],
        }
        outline = np.array(sections[str(rng.choice(list(sections)))])
    return im.extruded(outline, rng.uniform(0.3, 0.9), rng.choice([0, 0, 1.0])), np.array([0.85, 0.85, 0.9])


def stairs(rng: Rng) -> Boxed:
    """Straight stairs, or stacked boxes like buildings."""
    if rng.random() < 0.5:
        count, wide = int(rng.integers(3, 9)), rng.uniform(0.2, 0.5)
        steps = np.linspace(-0.7, 0.7, count + 1)
        outline = [(-0.7, -0.7), (0.7, -0.7)]
        outline += [point for k in range(count, 0, -1) for point in ((steps[k], steps[k]), (steps[k - 1], steps[k]))]
        under = rng.random() < 0.5 and count > 3
        solid = im.extruded(np.array(outline), wide)
        cut = im.moved(im.cylinder(0.45, 2), [0.55, -0.7, 0])
        return (im.without(solid, cut) if under else solid), np.array([0.7, 0.7, wide])
    parts = [im.moved(im.box([0.8, 0.8, 0.05]), [0, 0, -0.55])]
    for _ in range(rng.integers(4, 10)):
        half = np.array([*rng.uniform(0.08, 0.3, 2), rng.uniform(0.1, 0.6)])
        place = [*rng.uniform(-0.5, 0.5, 2), half[2] - 0.55]
        parts.append(im.moved(im.box(half), place, about("z", rng.choice([0, rng.uniform(0, 1.5)]))))
    return im.union(parts), np.array([0.85, 0.85, 0.75])


def turned(rng: Rng) -> Boxed:
    """A lathed part: a solid of revolution of straight and round pieces, with or without flutes and cuts."""
    heights = np.linspace(-0.85, 0.85, int(rng.integers(6, 12)))
    heights[1:-1] += rng.uniform(-0.05, 0.05, len(heights) - 2)
    radii = rng.uniform(0.12, 0.5, len(heights))
    if rng.random() < 0.5:  # smooth
        fine = np.linspace(-0.85, 0.85, 60)
        radii, heights = np.interp(fine, heights, radii), fine
        radii = np.convolve(np.pad(radii, 4, mode="edge"), np.ones(9) / 9, mode="valid")
    profile = np.concatenate([[[0, heights[0]]], np.stack([radii, heights], axis=1), [[0, heights[-1]]]])
    solid = im.revolved(profile)
    if rng.random() < 0.4:
        solid = im.without(solid, im.moved(im.box([1, 0.1, 0.12]), [0, 0, rng.uniform(0.4, 0.9)]))
    return solid, np.array([0.65, 0.65, 0.9])


def furniture(rng: Rng) -> Boxed:
    """A table, stool or chair: boards on thin legs with rails."""
    wide, deep, tall, leg = rng.uniform(0.4, 0.7), rng.uniform(0.3, 0.5), rng.uniform(0.3, 0.6), rng.uniform(0.03, 0.06)
    parts = [im.box([wide, deep, rng.uniform(0.03, 0.06)])]
    round_legs = rng.random() < 0.5
    for x in (-1, 1):
        for y in (-1, 1):
            top = np.array([x * (wide - leg), y * (deep - leg), 0])
            foot = top * rng.uniform(0.9, 1.1) + [0, 0, -tall]
            leg_box = im.moved(im.box([leg, leg, tall / 2]), (top * [1, 1, 0]) + [0, 0, -tall / 2])
            parts.append(im.capsule(top, foot, leg, 0.7 * leg) if round_legs else leg_box)
    if rng.random() < 0.7:
        parts += [im.moved(im.box([wide, leg / 2, leg]), [0, y * (deep - leg), -0.6 * tall]) for y in (-1, 1)]
    if rng.random() < 0.6:
        back = im.moved(im.box([wide, 0.03, rng.uniform(0.3, 0.4)]), [0, deep - 0.03, 0.35])
        slots = [im.moved(im.box([0.05, 1, 0.2]), [x * wide, 0, 0.38]) for x in (-0.6, -0.2, 0.2, 0.6)]
        parts.append(im.without(back, *slots) if rng.random() < 0.5 else back)
    return im.union(parts), np.array([0.75, 0.6, 0.8])
