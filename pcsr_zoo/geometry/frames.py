"""Frames: the unit frame of a whole cloud, and the canonical frame of a neighborhood."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class UnitFrame:
    """The frame in which models work: the cloud's center at the origin, its farthest point at distance 1.

    It is taken and applied in float64, so that a cloud far from the origin (UTM coordinates) loses nothing.

    Attributes:
        center: (3,), the mean of the points, in their units.
        scale: the distance of the farthest point from it.
    """

    center: NDArray[np.float64]
    scale: float

    @staticmethod
    def of(points: np.ndarray) -> UnitFrame:
        """The frame of (N, 3) points; where all are equal the scale is 1."""
        center = points.mean(axis=0)
        scale = float(np.sqrt(((points - center) ** 2).sum(axis=1).max()))
        return UnitFrame(center, scale if scale > 0 else 1.0)

    def to_unit(self, points: np.ndarray) -> NDArray[np.float64]:
        """Points (N, 3) of the cloud's units in this frame."""
        return (points - self.center) / self.scale

    def from_unit(self, points: np.ndarray) -> NDArray[np.float64]:
        """Points (N, 3) of this frame in the cloud's units."""
        return points * self.scale + self.center


def local_frames(offsets: Any, weights: Any) -> tuple[Any, Any, Any]:
    """Canonical frames of neighborhoods by weighted principal component analysis (Hoppe et al. 1992).

    Args:
        offsets: (M, k, 3) tensor, neighbors relative to any nearby origin.
        weights: (M, k), not negative, with a positive sum in each row.

    Returns:
        centroid (M, 3); axes (M, 3, 3), whose columns are the normal and the two tangents, of unit length; and the
        variances (M, 3) along them, ascending. The signs of the axes are arbitrary.
    """
    import torch

    share = weights / weights.sum(dim=1, keepdim=True)
    centroid = (share[:, :, None] * offsets).sum(dim=1)
    centerd = offsets - centroid[:, None]
    covariance = (share[:, :, None] * centerd).mT @ centerd
    if covariance.device.type == "cpu":  # numpy's loop over small matrices is twice as fast as torch's
        variances, axes = (torch.from_numpy(part) for part in np.linalg.eigh(covariance.detach().numpy()))
    else:
        variances, axes = torch.linalg.eigh(covariance)
    return centroid, axes, variances.clamp(min=0)
