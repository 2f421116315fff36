"""The street of the sample data, and a simulated scanner that drives through it.

The scanner is of the common spinning kind: 32 beams from -25 to +15 degrees, one turn, 1 cm of range noise,
an intensity that falls with the angle of incidence. The rings, the shadows and the thinning with distance are
those of a real scan; the scene itself is made of boxes, cylinders and spheres.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pcsr_zoo._open3d import import_open3d

BEAMS, TURN, RANGE, NOISE = 32, 900, 35.0, 0.01  # beams, shots in a turn, meters, meters
SENSOR = np.array([0.0, 0.0, 1.9])
# A fictitious location in UTM zone 32 north: easting, northing, height, in meters.
ORIGIN = np.array([565_200.0, 5_934_800.0, 12.0])
# Material: (reflectance, LAS class).
MATERIALS = {
    "asphalt": (0.17, 2),
    "kerb": (0.35, 2),
    "brick": (0.45, 6),
    "glass": (0.08, 6),
    "windscreen": (0.08, 1),
    "leaf": (0.55, 5),
    "wood": (0.30, 5),
    "paint": (0.75, 1),
    "steel": (0.60, 1),
    "cloth": (0.50, 1),
}
CARS = ((-14.0, 2.0), (6.5, 2.1), (13.0, 1.9), (-6.0, -3.9), (19.0, -3.8))
TREES = ((-9.5, 5.6), (3.2, 5.5), (15.5, 5.7), (-17.5, -5.6), (-2.0, -5.6), (9.0, -5.7))
LAMPS = (-22.0, 0.8, 24.0)
PEOPLE = ((5.0, 6.6), (-4.4, 6.2), (-11.0, -6.5))
Spots = Sequence[tuple[float, float]]
Parts = list[tuple[str, object]]


def scene(
    seed: int = 7, cars: Spots = CARS, trees: Spots = TREES, lamps: Sequence[float] = LAMPS, people: Spots = PEOPLE
) -> Parts:
    """The street: a list of (material, Open3D triangle mesh), in meters, from x = -60 to 60; z = 0 is the road.

    Houses and the crowns of trees follow from the seed, whatever the other things are.
    """
    o3d = import_open3d()
    make, rng, parts = o3d.geometry.TriangleMesh, np.random.default_rng(seed), []

    def box(material: str, x: float, y: float, z: float, dx: float, dy: float, dz: float) -> None:
        parts.append((material, make.create_box(dx, dy, dz).translate((x, y, z))))

    def pole(material: str, x: float, y: float, z: float, radius: float, height: float) -> None:
        parts.append((material, make.create_cylinder(radius, height, 24).translate((x, y, z + height / 2))))

    box("asphalt", -60, -4, -0.5, 120, 8, 0.5)
    for side in (-1, 1):  # pavements and house fronts with windows set back by 25 cm
        box("kerb", -60, 4 if side > 0 else -8, -0.5, 120, 4, 0.62)
        x = -60.0
        while x < 60:
            width, height = rng.uniform(9, 14), rng.uniform(8, 13)
            front = side * (8 + rng.uniform(0, 0.8))
            box("brick", x, front if side > 0 else front - 10, 0, width - 0.3, 10, 0.9)
            for floor in range(int(height // 3)):
                z, columns = 0.9 + 3 * floor, int(width // 2.6)
                box("glass", x, front + (0.25 if side > 0 else -9.75), z, width - 0.3, 9.5, 1.7)
                box("brick", x, front if side > 0 else front - 10, z + 1.7, width - 0.3, 10, 1.3)
                for column in range(columns + 1):
                    at = x + (width - 1.3) * column / columns
                    box("brick", at, front if side > 0 else front - 0.3, z, 1.0, 0.3, 1.7)
            x += width + (rng.uniform(3, 5) if rng.random() < 0.3 else 0)
    for x, y in cars:  # parked ones
        body = make.create_box(4.3, 1.8, 0.75).translate((x, y, 0.35))
        cabin = make.create_box(2.4, 1.6, 0.6)
        corners = np.asarray(cabin.vertices)
        corners[corners[:, 2] > 0.3, 0] = corners[corners[:, 2] > 0.3, 0] * 0.6 + 0.55  # sloping windscreens
        cabin.vertices = o3d.utility.Vector3dVector(corners + np.array([x + 0.9, y + 0.1, 1.1]))
        parts += [("paint", body), ("windscreen", cabin)]
        for wheel_x in (0.8, 3.4):
            wheel = make.create_cylinder(0.33, 1.84, 24)
            wheel.rotate(make.get_rotation_matrix_from_xyz((np.pi / 2, 0, 0)), (0, 0, 0))
            parts.append(("asphalt", wheel.translate((x + wheel_x, y + 0.9, 0.33))))
    for x, y in trees:
        pole("wood", x, y, 0.1, 0.16, 3.0)
        for _ in range(14):
            crown = make.create_sphere(rng.uniform(0.45, 0.9), 12)
            vertices = np.asarray(crown.vertices) * rng.normal(1, 0.12, (len(crown.vertices), 1))
            crown.vertices = o3d.utility.Vector3dVector(vertices + np.array([x, y, 4.1]) + rng.normal(0, 0.75, 3))
            parts.append(("leaf", crown))
    for x in lamps:
        pole("steel", x, -4.6, 0.1, 0.08, 6.0)
        box("steel", x - 0.1, -4.7, 6.0, 0.2, 1.4, 0.12)
    for x, y in people:
        pole("cloth", x, y, 0.12, 0.20, 1.4)
        parts.append(("cloth", make.create_sphere(0.14, 16).translate((x, y, 1.68))))
    return parts


def scan(seed: int = 7) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One turn: positions (N, 3) in UTM meters, intensity (N,) uint16, LAS classes (N,) uint8."""
    positions, intensity, classes = Scanner(scene(seed)).turn(SENSOR, np.random.default_rng(seed))
    return ORIGIN + positions, intensity, classes


class Scanner:
    """A spinning scanner in a scene, at any place.

    Args:
        parts: the scene.
        shots: number of shots of a beam in a turn.
    """

    def __init__(self, parts: Parts, shots: int = TURN) -> None:
        o3d = import_open3d()
        self.caster = o3d.t.geometry.RaycastingScene()
        for _, mesh in parts:
            self.caster.add_triangles(o3d.t.geometry.TriangleMesh.from_legacy(mesh))
        self.reflectance, self.classes = (
            np.array(column) for column in zip(*(MATERIALS[material] for material, _ in parts), strict=True)
        )
        elevation, azimuth = np.meshgrid(
            np.radians(np.linspace(-25, 15, BEAMS)), np.arange(shots) * 2 * np.pi / shots, indexing="ij"
        )
        flat = np.cos(elevation)
        self.directions = np.stack([flat * np.cos(azimuth), flat * np.sin(azimuth), np.sin(elevation)], axis=-1)

    def turn(self, sensor: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """One turn at `sensor` (3,): positions (N, 3) in the scene's meters, intensity (N,) and LAS classes (N,)."""
        direction = self.directions.reshape(-1, 3)
        rays = np.concatenate([np.broadcast_to(sensor, direction.shape), direction], axis=1).astype(np.float32)
        hits = self.caster.cast_rays(import_open3d().core.Tensor(rays))
        distance = hits["t_hit"].numpy()
        cosine = np.abs(np.sum(hits["primitive_normals"].numpy() * direction, axis=1))
        hit = distance < RANGE
        part = hits["geometry_ids"].numpy()[hit].astype(int)

        strength = self.reflectance[part] * (0.2 + 0.8 * cosine[hit]) * rng.normal(1, 0.06, part.shape)
        noisy = distance[hit] + rng.normal(0, NOISE, part.shape)
        positions = sensor + noisy[:, None] * direction[hit]
        return positions, np.clip(strength * 65535, 1, 65535).astype(np.uint16), self.classes[part].astype(np.uint8)
