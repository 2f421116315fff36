"""The unit frame of a whole cloud, and local frames of neighborhoods."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import CloudError
from .kinds import is_tensor

_FARTHEST = 1e307  # coordinates beyond this leave the range of float64 when they are moved
_NEAREST, _SCALE = 1e-140, 2.0**400
_ALIKE = 1e-6  # relative difference of moments, in the unit frame, that is rounding


@dataclass(frozen=True)
class UnitFrame:
    """The frame in which models work: the mean of the points is the origin, and the farthest point has distance 1.

    It is computed and applied in float64, so that clouds far from the origin (UTM coordinates) keep their precision.

    Attributes:
        center: (3,), the mean of the points, in units of the cloud.
        scale: the distance of the farthest point from the center, in units of the cloud.
    """

    center: NDArray[np.float64]
    scale: float

    @staticmethod
    def of(points: np.ndarray) -> UnitFrame:
        """The frame of points (N, 3). The scale is 1 if all points are equal.

        Raises:
            CloudError: the extent is larger than the largest float64 number.
        """
        center, scale = _center_and_scale(points)
        if not (np.isfinite(center).all() and np.isfinite(scale)):
            far = np.abs(points).max()
            with np.errstate(over="ignore", invalid="ignore"):
                center, scale = _center_and_scale(points / far)
                center, scale = center * far, scale * far
            if not (np.isfinite(center).all() and np.isfinite(scale)) or np.abs(points).max() > _FARTHEST:
                raise CloudError(f"the coordinates reach {far:g}, more than {_FARTHEST:g}; scale the cloud first")
        elif 0 < scale < _NEAREST:  # squares of the distances are not exact, or 0
            center, scale = _center_and_scale(points * _SCALE)
            center, scale = center / _SCALE, scale / _SCALE
        return UnitFrame(center, scale if scale > 0 else 1.0)

    def to_unit(self, points: np.ndarray) -> NDArray[np.float64]:
        """Transform points (N, 3) from units of the cloud to this frame."""
        return (points - self.center) / self.scale

    def from_unit(self, points: np.ndarray) -> NDArray[np.float64]:
        """Transform points (N, 3) from this frame to units of the cloud."""
        return points * self.scale + self.center


def _center_and_scale(points: np.ndarray) -> tuple[NDArray[np.float64], float]:
    with np.errstate(over="ignore", invalid="ignore"):
        center = points.mean(axis=0)
        return center, float(np.sqrt(((points - center) ** 2).sum(axis=1).max()))


def principal_axes(points: np.ndarray) -> NDArray[np.float64]:
    """A rotation (3, 3) to the principal axes of (N, 3) points around the origin; its columns are the axes.

    It turns with the points: the variances order the axes, third moments decide their directions. Where these are the
    same for several axes, as in symmetrical clouds, it is the identity, because only rounding would decide.
    """
    variances, axes = np.linalg.eigh(points.T @ points / len(points))
    third = ((points @ axes) ** 3).mean(axis=0)
    if np.diff(variances).min() < _ALIKE * variances[-1] or np.abs(third[1:]).min() < _ALIKE:
        return np.eye(3)
    axes = axes * np.where(third < 0, -1.0, 1.0)
    axes[:, 0] = np.cross(axes[:, 1], axes[:, 2])
    return axes


def local_frames(offsets: Any, weights: Any) -> tuple[Any, Any, Any]:
    """Local frames of neighborhoods by weighted principal component analysis (Hoppe et al. 1992).

    Args:
        offsets: (M, k, 3) array or tensor, neighbors relative to any nearby origin.
        weights: (M, k), not negative; the sum of each row is positive.

    Returns:
        The centroids (M, 3), the axes (M, 3, 3), whose columns are the unit normal and two unit tangents, and the
        variances (M, 3) along them, ascending. The signs of the axes are arbitrary.
    """
    share = weights / weights.sum(axis=1)[:, None]
    centroid = (share[:, :, None] * offsets).sum(axis=1)
    centered = offsets - centroid[:, None]
    if not is_tensor(offsets):
        along, across = np.linalg.eigh((share[:, :, None] * centered).swapaxes(1, 2) @ centered)
        return centroid, across, np.maximum(along, 0)
    import torch

    with torch.autocast(offsets.device.type, enabled=False):  # numpy has no bfloat16, and the axes need precision
        covariance = (share[:, :, None] * centered).mT @ centered
    if covariance.device.type == "cpu":  # numpy is twice as fast as torch for small matrices
        variances, axes = (torch.from_numpy(part) for part in np.linalg.eigh(covariance.detach().numpy()))
    else:
        variances, axes = torch.linalg.eigh(covariance)
    return centroid, axes, variances.clamp(min=0)
