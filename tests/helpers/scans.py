"""Scans of a spinning sensor in a room, computed by formulas."""

from __future__ import annotations

import numpy as np

from pcsr_zoo import Cloud

ELEVATIONS = np.radians(np.linspace(-24, 8, 17))


def room_range(azimuth, elevation, size=(12.0, 7.0), height=1.7, ceiling=2.5):
    """Range of rays from the origin to the nearest of floor, ceiling and four walls of a box."""
    direction = np.stack(
        [np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)], axis=-1
    )
    limits = np.where(direction > 0, [*size, ceiling], [size[0], size[1], height])
    with np.errstate(divide="ignore"):
        return (limits / np.abs(direction)).min(axis=-1)


def room(elevations=ELEVATIONS, columns=360, field="ring", shuffle=None, origin=(0, 0, 0), tilt=(0, 0), blind=False):
    """A cloud of one turn, stored ring by ring, and its polar coordinates (N, 3) in the frame of the sensor.

    Args:
        field: name of the attribute of rings, or None.
        shuffle: seed of a random order.
        origin, tilt: pose of the sensor in the cloud: the cloud is turned by `tilt` about x and y, and then moved.
        blind: whether a sector of 90 degrees returns nothing above the horizon.
    """
    ring, column = np.meshgrid(np.arange(len(elevations)), np.arange(columns), indexing="ij")
    azimuth = -np.pi + (column + 0.3) * 2 * np.pi / columns
    elevation = np.asarray(elevations)[ring]
    polar = np.stack([azimuth, elevation, room_range(azimuth, elevation)], axis=-1).reshape(-1, 3)
    ring = ring.ravel()
    if blind:
        kept = ~((polar[:, 1] > 0) & (np.abs(polar[:, 0]) < np.pi / 4))
        ring, polar = ring[kept], polar[kept]
    if shuffle is not None:
        order = np.random.default_rng(shuffle).permutation(len(ring))
        ring, polar = ring[order], polar[order]
    flat = polar[:, 2] * np.cos(polar[:, 1])
    points = np.stack(
        [flat * np.cos(polar[:, 0]), flat * np.sin(polar[:, 0]), polar[:, 2] * np.sin(polar[:, 1])], axis=1
    )
    (a, b), (ca, cb) = np.sin(tilt), np.cos(tilt)
    turn = np.array([[cb, 0, b], [0, 1, 0], [-b, 0, cb]]) @ np.array([[1, 0, 0], [0, ca, -a], [0, a, ca]])
    attributes = {"intensity": (polar[:, 2] * 10).astype(np.float32)}
    if field is not None:
        attributes[field] = ring.astype(np.uint8)
    return Cloud(points @ turn + origin, attributes), polar
