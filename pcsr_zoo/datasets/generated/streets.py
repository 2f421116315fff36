"""Generated street scenes for spinning LiDAR: triangles of ground, houses, vehicles, poles, trees and people.

A scene is determined by (seed, index). It is in meters, z upwards, the sensor near the origin, on a street along x.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Mesh = tuple[Floats, NDArray[np.int64]]  # vertices (V, 3), triangles (F, 3)
_Thing = Callable[[np.random.Generator], Mesh]
_HALF = 80.0  # the scene reaches this far from the sensor
_BOX = np.array(
    [[0, 2, 1], [1, 2, 3], [4, 5, 6], [5, 7, 6], [0, 1, 4], [1, 5, 4], [2, 6, 3], [3, 6, 7], [0, 4, 2], [2, 4, 6],
     [1, 3, 5], [3, 7, 5]]
)  # fmt: skip


def generate_street(seed: int, index: int) -> Mesh:
    """A street scene: vertices (V, 3) in meters and triangles (F, 3)."""
    rng = np.random.default_rng([seed, index, 25])
    ground = _Ground(rng)
    parts = [ground.mesh()]
    road = rng.uniform(3.0, 8.0)
    for side in (-1.0, 1.0):
        front = road + rng.uniform(1.5, 12.0) + (rng.exponential(15.0) if rng.random() < 0.4 else 0.0)
        parts += _houses(rng, side, front)
        parts += _along(rng, side, road, front)
    parts += _traffic(rng, road)
    if rng.random() < 0.3:  # a crossing wall, hedge or house at the end of the street
        at = rng.uniform(15, 60) * rng.choice([-1, 1])
        parts.append(_box((at, 0, 1.5), (rng.uniform(0.3, 8), rng.uniform(6, 30), rng.uniform(3, 10))))
    if rng.random() < 0.35:  # close walls, as in a yard, a garage or a hall
        for angle in rng.uniform(0, 2 * np.pi, int(rng.integers(1, 4))):
            distance, width = rng.uniform(2.5, 12), rng.uniform(3, 25)
            wall = _box((0, 0, 1), (rng.uniform(0.1, 0.6), width, rng.uniform(2, 9)))
            parts.append(_turned(_moved(wall, (distance, 0, 0)), angle))
    return _joined([ground.settle(part) if number else part for number, part in enumerate(parts)])


class _Ground:
    """A height field of slopes and undulations with two curbs, on which objects stand."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.slope = rng.normal(0, 0.012, 2) * (rng.random() < 0.7)
        self.waves = [
            (rng.uniform(0.01, 0.12) * length / 20, rng.normal(0, 1 / length, 2) * 2 * np.pi, rng.uniform(0, 6.3))
            for length in (8.0, 20.0, 45.0)
        ]
        self.curb = rng.uniform(3.0, 9.0, 2)
        self.step = rng.uniform(0.05, 0.2, 2) * (rng.random(2) < 0.7)
        self.crown = rng.uniform(0, 0.02)

    def height(self, x: Floats, y: Floats) -> Floats:
        z = self.slope[0] * x + self.slope[1] * y - self.crown * np.minimum(np.abs(y), self.curb.min())
        for size, wave, phase in self.waves:
            z = z + size * np.sin(wave[0] * x + wave[1] * y + phase)
        z = z + self.step[0] * np.clip((y - self.curb[0]) / 0.05, 0, 1)
        return np.asarray(z + self.step[1] * np.clip((-y - self.curb[1]) / 0.05, 0, 1))

    def mesh(self) -> Mesh:
        edges = [self.curb[0], self.curb[0] + 0.05, -self.curb[1], -self.curb[1] - 0.05]
        across = np.unique([*np.linspace(-_HALF, _HALF, 81), *edges])
        x, y = np.meshgrid(np.linspace(-1.5 * _HALF, 1.5 * _HALF, 121), across, indexing="ij")
        return _grid(np.stack([x, y, self.height(x, y)], axis=-1))

    def settle(self, part: Mesh) -> Mesh:
        """A part, raised by the height of the ground at its middle."""
        x, y = part[0][:, :2].mean(axis=0, keepdims=True).T
        return _moved(part, (0, 0, float(self.height(x, y)[0])))


def _houses(rng: np.random.Generator, side: float, front: float) -> list[Mesh]:
    parts, x, built = [], -_HALF, rng.uniform(0.2, 0.75)
    while x < _HALF:
        width, height, depth = rng.uniform(6, 18), rng.uniform(3, 16), rng.uniform(6, 12)
        kind = rng.random()
        setback = front + rng.exponential(1.0)
        middle = (x + width / 2, side * (setback + depth / 2))
        if kind < built:
            parts.append(_box((*middle, height / 2 - 0.5), (width, depth, height + 1)))
            if rng.random() < 0.7:
                parts += _facade(rng, x, width, height, side, setback)
            if rng.random() < 0.4:  # a ridged roof
                parts.append(_roof((*middle, height), width, depth, rng.uniform(1.5, 4)))
        elif kind < built + 0.15:  # a fence or a hedge
            thick = rng.uniform(0.05, 0.8)
            parts.append(_box((middle[0], side * setback, 0.7), (width, thick, rng.uniform(0.8, 2.2))))
        x += width + (rng.uniform(1, 10) if rng.random() < 0.4 else 0.0)
    return parts


def _facade(rng: np.random.Generator, x: float, width: float, height: float, side: float, front: float) -> list[Mesh]:
    """Boxes before a front: frames of windows, pillars, balconies."""
    parts = []
    out, spacing = rng.uniform(0.08, 0.35), rng.uniform(1.5, 3.5)
    for at in np.arange(x + 0.4, x + width - 0.4, spacing):
        parts.append(_box((at, side * (front - out / 2), height / 2), (rng.uniform(0.3, 1.2), out, height)))
    if rng.random() < 0.4:
        deep = rng.uniform(0.6, 1.8)
        for floor in np.arange(3.0, height - 2, 3.0):
            parts.append(_box((x + width / 2, side * (front - deep / 2), floor), (width * 0.6, deep, 0.2)))
            parts.append(_box((x + width / 2, side * (front - deep), floor + 0.5), (width * 0.6, 0.06, 1.0)))
    return parts


def _along(rng: np.random.Generator, side: float, road: float, front: float) -> list[Mesh]:
    """What stands beside a road: parked cars, poles, signs, trees, bushes, people, boxes."""
    parts: list[Mesh] = []
    x = -_HALF * 0.8
    parked = rng.random() < 0.7
    while x < _HALF * 0.8:
        if parked and rng.random() < 0.6:
            parts.append(_moved(_vehicle(rng), (x, side * (road - 1.2), 0)))
            x += 6.5
        x += rng.exponential(3.0)
    things: list[_Thing] = [_pole, _sign, _tree, _bush, _person, _person, _cyclist, _crate]
    for at in rng.uniform(-50, 50, int(rng.integers(6, 30))):
        thing = things[int(rng.integers(len(things)))](rng)
        away = rng.uniform(road + 0.3, max(front - 0.3, road + 0.6))
        parts.append(_moved(_turned(thing, rng.uniform(0, 2 * np.pi)), (at, side * away, 0)))
    return parts


def _traffic(rng: np.random.Generator, road: float) -> list[Mesh]:
    parts = []
    for at in rng.uniform(-60, 60, int(rng.integers(0, 7))):
        if abs(at) > 5:
            y = rng.choice([-0.5, 0.5]) * road * rng.uniform(0.6, 1.0)
            kind = _vehicle if rng.random() < 0.7 else _cyclist
            parts.append(_moved(_turned(kind(rng), rng.normal(0, 0.15) + np.pi * (rng.random() < 0.5)), (at, y, 0)))
    return parts


def _vehicle(rng: np.random.Generator) -> Mesh:
    """A car, a van or a truck: an extruded side view with a narrower roof, and wheels."""
    kind = rng.random()
    if kind < 0.75:
        length, width, height = rng.uniform(3.5, 5.0), rng.uniform(1.6, 1.95), rng.uniform(1.35, 1.8)
        hood, rear = rng.uniform(0.55, 0.65) * height, rng.uniform(0.6, 0.98) * height
        back = rng.uniform(0.0, 0.25) * length
        side = [
            (-0.5, 0.3), (-0.5, rear if back < 0.3 else hood), (-0.5 + back / length, hood if back > 0.3 else height),
            (-0.42 + back / length, height), (0.08, height), (0.24, hood), (0.48, hood * 0.85), (0.5, 0.3),
        ]  # fmt: skip
    else:
        length = rng.uniform(4.8, 9.0)
        width, height = rng.uniform(1.9, 2.5), rng.uniform(1.9, 3.4)
        hood = height * rng.uniform(0.55, 1.0)
        side = [(-0.5, 0.35), (-0.5, height), (0.3, height), (0.42, hood), (0.5, hood * 0.8), (0.5, 0.35)]
    outline = np.array(side) * (length, 1)
    parts = [_extruded(outline, width, narrow=rng.uniform(0.75, 0.95))]
    for x in (-0.3 * length, 0.31 * length):
        for y in (-0.45 * width, 0.45 * width):
            parts.append(_moved(_disk(0.32, 0.2), (x, y, 0.32)))
    return _joined(parts)


def _pole(rng: np.random.Generator) -> Mesh:
    height = rng.uniform(2, 9)
    parts = [_tube((0, 0, 0), (0, 0, height), rng.uniform(0.03, 0.2))]
    if rng.random() < 0.4:
        parts.append(_tube((0, 0, height), (rng.uniform(0.5, 2.5), 0, height + 0.1), 0.05))
    return _joined(parts)


def _sign(rng: np.random.Generator) -> Mesh:
    high = rng.uniform(1.6, 3.0)
    board = _box((0, 0, high), (0.03, rng.uniform(0.4, 1.5), rng.uniform(0.4, 1.2)))
    return _joined([_tube((0, 0, 0), (0, 0, high), 0.035), board])


def _tree(rng: np.random.Generator) -> Mesh:
    """A trunk, some branches, and a crown of small random triangles, through which rays pass."""
    height = rng.uniform(3, 10)
    crown = np.array([rng.uniform(1, 3), rng.uniform(1, 3), height * 0.35])
    center = np.array([0, 0, height * 0.7])
    parts = [_tube((0, 0, 0), (0, 0, height * 0.7), rng.uniform(0.06, 0.3))]
    for _ in range(6):
        end = center + rng.normal(0, 0.4, 3) * crown
        parts.append(_tube((0, 0, height * rng.uniform(0.3, 0.6)), (end[0], end[1], end[2]), 0.04))
    parts.append(_leaves(rng, center, crown, int(rng.integers(150, 900)), rng.uniform(0.08, 0.35)))
    return _joined(parts)


def _bush(rng: np.random.Generator) -> Mesh:
    size = np.array([rng.uniform(0.4, 2.0), rng.uniform(0.3, 0.8), rng.uniform(0.3, 0.9)])
    return _leaves(rng, np.array([0, 0, size[2] * 0.8]), size, int(rng.integers(100, 400)), rng.uniform(0.08, 0.25))


def _leaves(rng: np.random.Generator, center: Floats, size: Floats, count: int, leaf: float) -> Mesh:
    direction = rng.normal(size=(count, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    middle = center + direction * size * rng.uniform(0.4, 1, (count, 1)) ** 0.5
    corners = middle[:, None] + rng.normal(0, leaf, (count, 3, 3))
    return corners.reshape(-1, 3), np.arange(3 * count).reshape(-1, 3)


def _person(rng: np.random.Generator) -> Mesh:
    height = rng.uniform(1.2, 1.95)
    stride = rng.uniform(0, 0.35)
    hip, shoulder = 0.48 * height, 0.82 * height
    return _joined(
        [
            _tube((-stride, 0.1, 0), (0, 0.08, hip), 0.08),
            _tube((stride, -0.1, 0), (0, -0.08, hip), 0.08),
            _tube((0, 0, hip), (0.03, 0, shoulder), rng.uniform(0.15, 0.24)),
            _tube((0, 0.25, shoulder), (rng.uniform(-0.2, 0.3), 0.3, hip), 0.055),
            _tube((0, -0.25, shoulder), (rng.uniform(-0.2, 0.3), -0.3, hip), 0.055),
            _tube((0.03, 0, shoulder + 0.05), (0.03, 0, height), 0.1),
        ]
    )


def _cyclist(rng: np.random.Generator) -> Mesh:
    wheel = [_moved(_disk(0.34, 0.05), (x, 0, 0.34)) for x in (-0.52, 0.52)]
    frame = [_tube((-0.52, 0, 0.34), (0, 0, 0.85), 0.03), _tube((0, 0, 0.6), (0.52, 0, 0.34), 0.03)]
    handle = [_tube((0.52, 0, 0.34), (0.42, 0, 1.0), 0.03), _tube((0.42, -0.25, 1.0), (0.42, 0.25, 1.0), 0.03)]
    if rng.random() < 0.15:
        return _joined([*wheel, *frame, *handle])
    rider = _moved(_person(rng), (-0.05, 0, 0.2))
    return _joined([*wheel, *frame, *handle, rider])


def _crate(rng: np.random.Generator) -> Mesh:
    size = rng.uniform(0.3, 1.8, 3)
    return _box((0, 0, size[2] / 2), tuple(size))


def _box(middle: tuple[float, ...], size: tuple[float, ...]) -> Mesh:
    corners = np.array([[x, y, z] for z in (-0.5, 0.5) for y in (-0.5, 0.5) for x in (-0.5, 0.5)])
    return corners * size + middle, _BOX


def _roof(middle: tuple[float, ...], width: float, depth: float, rise: float) -> Mesh:
    w, d = width / 2, depth / 2
    points = np.array([[-w, -d, 0], [w, -d, 0], [w, d, 0], [-w, d, 0], [-w, 0, rise], [w, 0, rise]], float) + middle
    return points, np.array([[0, 1, 5], [0, 5, 4], [2, 3, 4], [2, 4, 5], [0, 4, 3], [1, 2, 5]])


def _tube(start: tuple[float, ...], end: tuple[float, ...], radius: float, sides: int = 8) -> Mesh:
    a, b = np.array(start, float), np.array(end, float)
    along = (b - a) / max(float(np.linalg.norm(b - a)), 1e-9)
    u = np.cross(along, [1.0, 0, 0] if abs(along[0]) < 0.7 else [0, 1.0, 0])
    u /= np.linalg.norm(u)
    angle = np.arange(sides) * 2 * np.pi / sides
    ring = radius * (np.cos(angle)[:, None] * u + np.sin(angle)[:, None] * np.cross(along, u))
    k, n = np.arange(sides), (np.arange(sides) + 1) % sides
    walls = np.concatenate([np.stack([k, n, k + sides], 1), np.stack([n, n + sides, k + sides], 1)])
    caps = np.concatenate([np.stack([0 * k, k, n], 1)[1:-1], np.stack([0 * k, n, k], 1)[1:-1] + sides])
    return np.concatenate([a + ring, b + ring]), np.concatenate([walls, caps])


def _disk(radius: float, width: float) -> Mesh:
    return _tube((0, -width / 2, 0), (0, width / 2, 0), radius, 12)


def _extruded(outline: Floats, width: float, narrow: float) -> Mesh:
    """A side view (x, z) over a width in y; the upper half is narrower."""
    n, middle = len(outline), outline[:, 1].mean()
    half = np.where(outline[:, 1] > middle, narrow, 1.0) * width / 2
    left = np.stack([outline[:, 0], half, outline[:, 1]], axis=1)
    right = left * (1, -1, 1)
    k, m = np.arange(n), (np.arange(n) + 1) % n
    walls = np.concatenate([np.stack([k, m, k + n], 1), np.stack([m, m + n, k + n], 1)])
    fan = np.stack([0 * k, k, m], 1)[1:-1]
    return np.concatenate([left, right]), np.concatenate([walls, fan, fan[:, ::-1] + n])


def _grid(points: Floats) -> Mesh:
    rows, columns = points.shape[:2]
    k = np.arange(rows * columns).reshape(rows, columns)
    a, b, c, d = k[:-1, :-1].ravel(), k[1:, :-1].ravel(), k[:-1, 1:].ravel(), k[1:, 1:].ravel()
    return points.reshape(-1, 3), np.concatenate([np.stack([a, b, c], 1), np.stack([b, d, c], 1)])


def _moved(part: Mesh, by: tuple[float, ...]) -> Mesh:
    return part[0] + np.asarray(by), part[1]


def _turned(part: Mesh, angle: float) -> Mesh:
    c, s = np.cos(angle), np.sin(angle)
    return part[0] @ np.array([[c, s, 0], [-s, c, 0], [0, 0, 1.0]]), part[1]


def _joined(parts: list[Mesh]) -> Mesh:
    starts = np.cumsum([0, *(len(vertices) for vertices, _ in parts)])
    return (
        np.concatenate([vertices for vertices, _ in parts]),
        np.concatenate([triangles + start for (_, triangles), start in zip(parts, starts[:-1], strict=True)]),
    )
