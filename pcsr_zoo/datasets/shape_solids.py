"""Families of closed shapes: each takes a random generator and gives a solid and the half size of a box around it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from . import implicit as im
from .dual_contouring import dual_contour

Rng = np.random.Generator
RESOLUTION = 120  # cells along the longest side
_COARSE = 40


def contour(solid: im.Solid, half: np.ndarray) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The surface as a mesh; all of it lies within `half` (3,) of the origin."""
    low, high = _tight_box(solid, np.asarray(half, np.float64))
    step = float((high - low).max()) / RESOLUTION
    # the grid is shifted a little so that it does not coincide with axis-parallel faces
    return dual_contour(solid, low - step * np.array([3.137, 2.718, 3.414]), high + 3 * step, RESOLUTION + 6)


def _tight_box(solid: im.Solid, half: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A smaller box, so that no cells are wasted: around the coarse grid points that may be near the inside."""
    axes = [np.linspace(-h, h, _COARSE) for h in 1.02 * half]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    spacing = 2.04 * half / (_COARSE - 1)
    near = grid[solid(grid) < float(np.linalg.norm(spacing))]
    if not len(near):
        return -half, half
    return near.min(axis=0) - spacing / 2, near.max(axis=0) + spacing / 2


def _turn(rng: Rng) -> np.ndarray:
    return Rotation.random(random_state=int(rng.integers(2**31))).as_matrix()


def _about(axis: str, angle: float) -> np.ndarray:
    return Rotation.from_euler(axis, angle).as_matrix()


def _bumps(rng: Rng, solid: im.Solid, strength: float, frequency: float) -> im.Solid:
    """Waves whose slopes add up to at most `strength`."""
    count = 5
    waves = rng.normal(size=(count, 3))
    waves *= (rng.uniform(0.5, 1.5, count) * frequency / np.linalg.norm(waves, axis=1))[:, None]
    heights = strength / count / np.linalg.norm(waves, axis=1)
    return im.bumpy(solid, waves, rng.uniform(0, 2 * np.pi, count), heights)


# -- smooth


def blob(rng: Rng) -> tuple[im.Solid, np.ndarray]:
    """Ellipsoids grown together, with bumps."""
    parts = []
    for _ in range(rng.integers(3, 8)):
        centre = rng.normal(size=3)
        centre *= rng.uniform(0, 0.5) / np.linalg.norm(centre)
        parts.append(im.moved(im.ellipsoid(rng.uniform(0.14, 0.38, 3)), centre, _turn(rng)))
    return _bumps(rng, im.blend(parts, rng.uniform(0.05, 0.25)), rng.uniform(0, 0.5), rng.uniform(8, 30)), np.ones(3)


def creature(rng: Rng) -> tuple[im.Solid, np.ndarray]:
    """A body with limbs that taper and bend once: what animals and figures have in common."""
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
    return _bumps(rng, im.blend(parts, rng.uniform(0.04, 0.1)), rng.uniform(0, 0.3), 25), np.full(3, 1.5)


def superquadric(rng: Rng) -> tuple[im.Solid, np.ndarray]:
    """One or two superquadrics: boxy, round, cylindrical, or with the edges of an octahedron."""
    radii = rng.uniform(0.3, 0.9, 3)
    solid = im.superquadric(radii, *rng.uniform(0.25, 1.9, 2))
    if rng.random() < 0.5:
        other = im.superquadric(rng.uniform(0.2, 0.7, 3), *rng.uniform(0.25, 1.9, 2))
        other = im.moved(other, rng.uniform(-0.4, 0.4, 3), _turn(rng))
        solid = im.without(solid, other) if rng.random() < 0.4 else im.blend([solid, other], rng.uniform(0.01, 0.2))
    return (_bumps(rng, solid, 0.35, 25) if rng.random() < 0.3 else solid), np.full(3, 1.3)


# -- creased


def machined_block(rng: Rng) -> tuple[im.Solid, np.ndarray]:
    """A box with steps, slots, holes through it, pockets and cut-off edges."""
    half = rng.uniform(0.25, 0.7, 3)
    solid = im.box(half, rng.choice([0, 0, 0.04]))
    for _ in range(rng.integers(1, 4)):  # slots and steps
        size = half * rng.uniform(0.15, 0.5, 3)
        size[rng.integers(3)] = 2
        solid = im.without(solid, im.moved(im.box(size), half * rng.choice([-1, 1], 3) * rng.uniform(0.5, 1.1, 3)))
    for _ in range(rng.integers(1, 5)):  # holes and pockets
        axis = int(rng.integers(3))
        turn = [_about("y", np.pi / 2), _about("x", np.pi / 2), np.eye(3)][axis]
        place = rng.uniform(-0.7, 0.7, 3) * half
        place[axis] = rng.choice([0.0, half[axis]])
        depth = 2.0 if place[axis] == 0 else half[axis] * rng.uniform(0.3, 0.8)
        solid = im.without(solid, im.moved(im.cylinder(rng.uniform(0.05, 0.16), depth), place, turn))
    for _ in range(rng.integers(0, 4)):  # chamfers
        normal = rng.choice([-1, 1], 3) * np.where(np.arange(3) == rng.integers(3), rng.choice([0, 1]), 1)
        reach = np.abs(normal) @ half / np.linalg.norm(normal)
        solid = im.intersection(solid, im.half_space(normal, reach * rng.uniform(0.78, 0.93)))
    return solid, half


def bracket(rng: Rng) -> tuple[im.Solid, np.ndarray]:
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
        prism = im.moved(im.extruded(rib, 0.7 * thick), [-long + thick, 0, 0], _about("x", np.pi / 2))
        body = im.union([body, prism])
    holes = [im.moved(im.cylinder(rng.uniform(0.05, 0.12), 4 * thick), [x, y, 0]) for x, y in _holes(rng, long, wide)]
    hole = im.cylinder(rng.uniform(0.06, 0.2) * wide * 3, 3 * thick)
    holes.append(im.moved(hole, [-long, 0, 1.4 * tall], _about("y", np.pi / 2)))
    return im.moved(im.without(body, *holes), [0, 0, -0.8 * tall]), np.array([long, wide, 1.2 * tall + 0.1])


def _holes(rng: Rng, long: float, wide: float) -> list[tuple[float, float]]:
    return [(x * long, y * wide) for x in (0.35, 0.72) for y in (-0.55, 0.55) if rng.random() < 0.75]


def gear(rng: Rng) -> tuple[im.Solid, np.ndarray]:
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


def profile_bar(rng: Rng) -> tuple[im.Solid, np.ndarray]:
    """A random star or an I, T, U, L or Z section drawn out, perhaps twisted."""
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


def stairs(rng: Rng) -> tuple[im.Solid, np.ndarray]:
    """Straight stairs, or boxes set on boxes as in a town."""
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
        parts.append(im.moved(im.box(half), place, _about("z", rng.choice([0, rng.uniform(0, 1.5)]))))
    return im.union(parts), np.array([0.85, 0.85, 0.75])


def turned(rng: Rng) -> tuple[im.Solid, np.ndarray]:
    """Work of the lathe: a profile of straight and round pieces about an axis, perhaps fluted or cut."""
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


def furniture(rng: Rng) -> tuple[im.Solid, np.ndarray]:
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


# -- thin


def perforated_plate(rng: Rng) -> tuple[im.Solid, np.ndarray]:
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


def vessel(rng: Rng) -> tuple[im.Solid, np.ndarray]:
    """A pot or a cup: a thin wall, an opening, perhaps a handle."""
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
        grip = im.moved(im.torus(0.28, rng.uniform(0.03, 0.06)), [side + 0.02, 0, 0], _about("x", np.pi / 2))
        body = im.union([body, im.without(grip, im.revolved(profile))])
    return body, np.array([1.15, 0.85, 0.8])


def wire(rng: Rng) -> tuple[im.Solid, np.ndarray]:
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


# -- high genus


def knot(rng: Rng) -> tuple[im.Solid, np.ndarray]:
    """A (p, q) torus knot or link of round rope."""
    p, q = [(2, 3), (3, 2), (2, 5), (3, 4), (3, 5), (4, 3)][int(rng.integers(6))]
    t = np.linspace(0, 2 * np.pi, 6000)
    r = 0.6 + 0.25 * np.cos(q * t)
    curve = np.stack([r * np.cos(p * t), r * np.sin(p * t), rng.uniform(0.25, 0.35) * np.sin(q * t)], axis=1)
    return im.tube(curve, rng.uniform(0.05, 0.11)), np.array([1.0, 1.0, 0.5])


def minimal_surface(rng: Rng) -> tuple[im.Solid, np.ndarray]:
    """A sheet of a gyroid or of a Schwarz surface within a box, a ball or a cylinder."""
    sheet = im.gyroid(rng.uniform(1.2, 2.4), rng.uniform(0.06, 0.14), int(rng.integers(3)))
    bounds: list[im.Solid] = [im.box([0.8] * 3), im.ball(0.9), im.cylinder(0.75, 0.8)]
    within = im.moved(sheet, rng.uniform(-0.5, 0.5, 3))
    return im.intersection(within, bounds[int(rng.integers(3))]), np.full(3, 0.95)


def rings(rng: Rng) -> tuple[im.Solid, np.ndarray]:
    """Tori grown together at random angles, or the links of a chain grown into one."""
    parts = []
    for _ in range(rng.integers(3, 6)):
        major = rng.uniform(0.25, 0.45)
        offset = rng.uniform(-0.35, 0.35, 3)
        parts.append(im.moved(im.torus(major, rng.uniform(0.05, 0.12)), offset, _turn(rng)))
    return im.blend(parts, rng.uniform(0.02, 0.1)), np.full(3, 1.05)


def lattice(rng: Rng) -> tuple[im.Solid, np.ndarray]:
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


SOLIDS: dict[str, Callable[[Rng], tuple[im.Solid, np.ndarray]]] = {
    family.__name__: family
    for family in (
        blob,
        machined_block,
        wire,
        knot,
        creature,
        bracket,
        perforated_plate,
        minimal_surface,
        superquadric,
        gear,
        vessel,
        rings,
        turned,
        stairs,
        lattice,
        furniture,
        profile_bar,
    )
}
