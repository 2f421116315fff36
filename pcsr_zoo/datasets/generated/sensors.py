"""Models of spinning LiDAR sensors, and their scans of generated scenes.

Tables of beams follow the makers' data sheets: Velodyne VLP-16, HDL-32E, VLP-32C and HDL-64E, and evenly spaced ones
of 64 and 128 beams as Ouster's. The last one is denser than any of them, for rays between the rings of real ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..._open3d import import_open3d

Floats = NDArray[np.float64]

# Elevations in degrees.
BEAMS: dict[str, Floats] = {
    "16": np.linspace(-15, 15, 16),
    "32": np.linspace(-30.67, 10.67, 32),
    "32-uneven": np.array(
        [-25, -15.639, -11.31, -8.843, -7.254, -6.148, -5.333, -4.667, -4, -3.667, -3.333, -3, -2.667, -2.333, -2,
         -1.667, -1.333, -1, -0.667, -0.333, 0, 0.333, 0.667, 1, 1.333, 1.667, 2.333, 3.333, 4.667, 7, 10.333, 15]
    ),
    "64": np.concatenate([np.linspace(-24.33, -8.83, 32), np.linspace(-8.33, 2, 32)]),
    "64-even": np.linspace(-22.5, 22.5, 64),
    "128": np.linspace(-22.5, 22.5, 128),
    "128-narrow": np.linspace(-25.0, 5.0, 128),
}  # fmt: skip


@dataclass(frozen=True)
class Sensor:
    """A spinning sensor.

    Attributes:
        elevations: (R,) of the beams, radians, ascending.
        reach: the largest range, meters.
        noise: standard deviation of ranges, meters.
        loss: the share of returns that are lost at random.
        grazing: returns are lost where the cosine of the angle of incidence, divided by range / reach, is below this.
        height: of the sensor above the scene's origin, meters.
    """

    elevations: Floats
    reach: float = 80.0
    noise: float = 0.015
    loss: float = 0.02
    grazing: float = 0.03
    height: float = 1.8


def cast(
    scene: tuple[Floats, NDArray[np.int64]], sensor: Sensor, azimuth: Floats, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Ranges (R, W) of a sensor at azimuths (W,), with noise; 0 where nothing returns."""
    o3d = import_open3d()
    caster = o3d.t.geometry.RaycastingScene(nthreads=1)
    vertices, triangles = (np.ascontiguousarray(part) for part in scene)
    caster.add_triangles(o3d.core.Tensor(vertices.astype(np.float32)), o3d.core.Tensor(triangles.astype(np.uint32)))
    elevation, turn = np.meshgrid(sensor.elevations, azimuth, indexing="ij")
    flat = np.cos(elevation)
    direction = np.stack([flat * np.cos(turn), flat * np.sin(turn), np.sin(elevation)], axis=-1)
    start = np.broadcast_to([0.0, 0.0, sensor.height], direction.shape)
    hits = caster.cast_rays(o3d.core.Tensor(np.concatenate([start, direction], axis=-1).astype(np.float32)), nthreads=1)
    distance = hits["t_hit"].numpy().astype(np.float64)
    cosine = np.abs((hits["primitive_normals"].numpy() * direction).sum(axis=-1))
    seen = (distance < sensor.reach) & (distance > 0.8)
    seen &= cosine > sensor.grazing * distance / sensor.reach
    seen &= rng.random(distance.shape) > sensor.loss
    noisy = distance + rng.normal(0, sensor.noise, distance.shape)
    return np.where(seen, noisy, 0.0).astype(np.float32)
