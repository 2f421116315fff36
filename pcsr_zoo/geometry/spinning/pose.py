"""The pose of a spinning sensor, found from its rings: each beam of a spinning sensor has one elevation.

Frames are seldom in the frame of the sensor: vehicles have their own origin, mounts are tilted, and motion compensation
moves each point by its time. The wrong origin makes the elevation of a ring depend on azimuth and range. The pose is
therefore the one in which each ring has the same elevation everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_MOST_POINTS = 12_000  # the fit uses a part of larger scans
_ROUNDS = 15


@dataclass(frozen=True)
class Pose:
    """A rigid transform from the frame of a cloud to that of a sensor, which may move during a turn.

    Attributes:
        origin: (3,), the center of the sensor in the frame of the cloud, at phase 0.
        tilt: (2,), small rotations about the x and y axes, radians.
        drift: (3,), how far the center moves from phase 0 to phase 1.
    """

    origin: NDArray[np.float64]
    tilt: NDArray[np.float64]
    drift: NDArray[np.float64]

    @staticmethod
    def at(origin: NDArray[np.float64] | tuple[float, float, float]) -> Pose:
        """An upright sensor at an origin (3,)."""
        return Pose(np.asarray(origin, dtype=np.float64), np.zeros(2), np.zeros(3))

    @property
    def rotation(self) -> NDArray[np.float64]:
        """(3, 3), rotates directions of the cloud's frame into the sensor's frame."""
        (a, b), (ca, cb) = np.sin(self.tilt), np.cos(self.tilt)
        about_x = np.array([[1, 0, 0], [0, ca, -a], [0, a, ca]])
        about_y = np.array([[cb, 0, b], [0, 1, 0], [-b, 0, cb]])
        return np.asarray(about_y @ about_x)

    def to_polar(self, points: NDArray[np.float64], phase: NDArray[np.float64]) -> NDArray[np.float64]:
        """Azimuth, elevation and range (N, 3) of points (N, 3), radians; `phase` (N,) from -.5 to .5 is their time."""
        x, y, z = ((points - self.origin - phase[:, None] * self.drift) @ self.rotation.T).T
        flat = np.hypot(x, y)
        return np.stack([np.arctan2(y, x), np.arctan2(z, flat), np.hypot(flat, z)], axis=1)

    def from_polar(self, polar: NDArray[np.float64], phase: NDArray[np.float64]) -> NDArray[np.float64]:
        """The inverse of `to_polar`."""
        azimuth, elevation, distance = polar.T
        flat = distance * np.cos(elevation)
        local = np.stack([flat * np.cos(azimuth), flat * np.sin(azimuth), distance * np.sin(elevation)], axis=1)
        return np.asarray(local @ self.rotation + self.origin + phase[:, None] * self.drift)


def fit_pose(
    points: NDArray[np.float64],
    labels: NDArray[np.int64],
    phase: NDArray[np.float64],
    start: Pose,
    nearest: float,
) -> Pose:
    """The pose in which each ring has one elevation; `start` if there are too few points.

    Robust least squares (iteratively reweighted) for origin, tilt, and drift if `phase` varies.

    Args:
        points: (N, 3), in units of the cloud.
        labels: (N,), the ring of each point, any numbers.
        phase: (N,), the time of each point from -.5 to .5, or zeros.
        start: where the fit starts.
        nearest: points nearer than this to the start are left out.
    """
    polar = start.to_polar(points, phase)
    far = np.flatnonzero(polar[:, 2] > nearest)
    far = far[:: max(1, len(far) // _MOST_POINTS)]
    if len(far) < 100:
        return start
    near, moments = points[far], phase[far]
    ring = np.unique(labels[far], return_inverse=True)[1]
    size = 8 if np.ptp(phase) > 0.1 else 5
    pose = start
    for _ in range(_ROUNDS):
        elevation = pose.to_polar(near, moments)[:, 1]
        left = elevation - _medians(elevation, ring)[ring]
        scale = max(1.5 * float(np.median(np.abs(left))), 1e-7)
        weight = 1 / (1 + (left / scale) ** 2)  # Cauchy
        slopes = _slopes(pose, near, moments)[:, :size]
        mean: NDArray[np.float64] = np.stack([np.bincount(ring, weight * column) for column in (*slopes.T, elevation)])
        mean = mean / np.bincount(ring, weight)
        root = np.sqrt(weight)[:, None]
        slopes = root * (slopes - mean[:-1].T[ring])
        change = np.linalg.lstsq(slopes, -root[:, 0] * (elevation - mean[-1][ring]), rcond=1e-4)[0]
        full = np.zeros(8)
        full[:size] = change
        pose = Pose(pose.origin + full[:3], pose.tilt + full[3:5], pose.drift + full[5:])
        if np.abs(full[3:5]).max() < 1e-6 and np.abs(full[:3]).max() < 1e-5 * float(np.median(polar[far, 2])):
            break
    return pose if np.isfinite(pose.to_polar(near, moments)).all() else start


def _medians(values: NDArray[np.float64], ring: NDArray[np.int64]) -> NDArray[np.float64]:
    order = np.argsort(ring, kind="stable")
    return np.array([np.median(part) for part in np.split(values[order], np.flatnonzero(np.diff(ring[order])) + 1)])


def _slopes(pose: Pose, points: NDArray[np.float64], phase: NDArray[np.float64]) -> NDArray[np.float64]:
    """Derivatives (N, 8) of elevations by origin, tilt and drift."""
    local = (points - pose.origin - phase[:, None] * pose.drift) @ pose.rotation.T
    x, y, z = local.T
    flat = np.maximum(np.hypot(x, y), 1e-9)
    square = flat**2 + z**2
    by_point = np.stack([-z * x / flat, -z * y / flat, flat], axis=1) / square[:, None]
    by_origin = -by_point @ pose.rotation
    turned = np.cross(local, by_point)  # of small rotations about x and y
    return np.concatenate([by_origin, turned[:, :2], phase[:, None] * by_origin], axis=1)
