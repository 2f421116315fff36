"""The camera of a picture, which shows several clouds from the same side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import OptionError

UPS = ("auto", "x", "y", "z", "-x", "-y", "-z")
# Rotations of the named axis to +z. For y, the side that faces +z then faces -y.
_UPRIGHT = {
    "x": ((0, 1, 0), (0, 0, 1), (1, 0, 0)),
    "y": ((1, 0, 0), (0, 0, -1), (0, 1, 0)),
    "z": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
}
_DISTANCE = 4.0  # from the camera to the center, in half diagonals of the box: a weak perspective


def guess_up(positions: NDArray[np.float64]) -> str:
    """Guess the vertical axis of a cloud (N, 3): "z" or "y", the one with the wider base.

    It is "z" for flat clouds (terrain, a LiDAR sweep). The base of an object is its lowest 4 % along the axis: the feet
    of a table span its whole outline, the tip of a nose does not. The guess is right for most objects.
    """
    low, high = positions.min(axis=0), positions.max(axis=0)
    extent = np.maximum(high - low, 1e-12)
    if extent[2] <= 0.35 * min(extent[0], extent[1]):
        return "z"

    def footing(axis: int) -> float:
        foot = positions[positions[:, axis] <= low[axis] + 0.04 * extent[axis]]
        others = [k for k in range(3) if k != axis]
        return float(np.prod((foot.max(axis=0) - foot.min(axis=0))[others] / extent[others]))

    return "y" if footing(1) > footing(2) else "z"


def up_matrix(up: str) -> NDArray[np.float64]:
    """The rotation matrix (3, 3) that maps the axis `up` (one of `UPS`, not "auto") to +z."""
    if up not in UPS[1:]:
        raise OptionError(f"up must be one of {', '.join(UPS)}, got '{up}'")
    matrix = np.array(_UPRIGHT[up[-1]], dtype=np.float64)
    return np.diag([1.0, -1.0, -1.0]) @ matrix if up.startswith("-") else matrix


@dataclass(frozen=True)
class Camera:
    """A camera with a weak perspective whose frame contains a box.

    Attributes:
        center: (3,), the center of the box.
        axes: (3, 3), rows right, up and towards the camera.
        distance: from the camera to the center, in units of the clouds.
        scale: pixels per unit at the center.
        origin: (2,), pixel coordinates of the optical axis.
    """

    center: NDArray[np.float64]
    axes: NDArray[np.float64]
    distance: float
    scale: float
    origin: NDArray[np.float64]

    @property
    def radius(self) -> float:
        """Half the diagonal of the box, in units of the clouds."""
        return self.distance / _DISTANCE

    def project(self, positions: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Positions (N, 3) -> pixels (N, 2) with y downwards, and depths (N,) along the optical axis."""
        local = (positions - self.center) @ self.axes.T
        depth = self.distance - local[:, 2]
        shrink = self.distance / depth
        pixels = local[:, :2]
        pixels *= shrink[:, None]
        pixels *= (self.scale, -self.scale)
        pixels += self.origin
        return pixels, depth


def look_at(
    clouds: Sequence[NDArray[np.float64]],
    view: tuple[float, float],
    up: str,
    size: tuple[int, int],
    margin: float,
) -> Camera:
    """The camera that shows all clouds (each (N, 3)) within `size` = (width, height) pixels less `margin`.

    Args:
        view: azimuth and elevation of the camera in degrees. With z upwards, azimuth 0 looks along -x and 90 along -y;
            elevation 90 looks straight down.
    """
    azimuth, elevation = np.radians(view[0]), np.radians(view[1])
    towards = np.array([np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)])
    right = np.array([-np.sin(azimuth), np.cos(azimuth), 0.0])
    axes = np.stack([right, np.cross(towards, right), towards]) @ up_matrix(up)
    low = np.min([cloud.min(axis=0) for cloud in clouds], axis=0)
    high = np.max([cloud.max(axis=0) for cloud in clouds], axis=0)
    radius = float(np.linalg.norm(high - low)) / 2 or 1.0
    unit = Camera((low + high) / 2, axes, _DISTANCE * radius, 1.0, np.zeros(2))
    landed = [unit.project(cloud)[0] for cloud in clouds]
    first = np.min([pixels.min(axis=0) for pixels in landed], axis=0)
    last = np.max([pixels.max(axis=0) for pixels in landed], axis=0)
    room = np.array(size, dtype=np.float64) - 2 * margin
    scale = float(np.min(room / np.maximum(last - first, 1e-3 * radius)))
    origin = np.array(size) / 2 - scale * (first + last) / 2
    return Camera(unit.center, axes, unit.distance, scale, origin)
