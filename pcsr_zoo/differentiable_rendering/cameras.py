"""Cameras on a sphere, looking at its center."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import OptionError


@dataclass(frozen=True)
class Cameras:
    """m pinhole cameras with square images.

    Attributes:
        center: (m, 3), the positions of the cameras.
        axes: (m, 3, 3), orthonormal rows forward (the optical axis), right, down.
        focal: the focal length in image coordinates, which span -1 to 1.
        near, far: the depths of nearness 1 and 0.
    """

    center: Tensor
    axes: Tensor
    focal: float
    near: float
    far: float

    def view(self, points: Tensor) -> Tensor:
        """Points (B, N, 3) in the coordinates (forward, right, down) of each camera: (B, m, N, 3)."""
        return (points[:, None] - self.center[:, None]) @ self.axes.mT

    def nearness(self, depth: Tensor) -> Tensor:
        """Nearness of depths: linear from 1 at `near` to 0 at `far`, clamped to this range."""
        return ((self.far - depth) / (self.far - self.near)).clamp(0, 1)

    def turned(self, rotation: Tensor) -> Cameras:
        """The cameras, rotated about the origin by a matrix (3, 3)."""
        return Cameras(self.center @ rotation.T, self.axes @ rotation.T, self.focal, self.near, self.far)

    def only(self, which: Tensor) -> Cameras:
        """Some of the cameras, by their indices (k,)."""
        return Cameras(self.center[which], self.axes[which], self.focal, self.near, self.far)

    def to(self, like: Tensor) -> Cameras:
        """The cameras on the device and with the dtype of a tensor."""
        return Cameras(self.center.to(like), self.axes.to(like), self.focal, self.near, self.far)


def cameras_around(count: int = 8, radius: float = 1.0, distance: float = 3.0) -> Cameras:
    """Cameras evenly spread (a Fibonacci lattice) on a sphere about the origin.

    Args:
        count: m, the number of cameras.
        radius: radius of the ball about the origin that fills each image.
        distance: distance of the cameras from the origin, more than `radius`.

    Raises:
        OptionError: there are no cameras, or they are inside the ball.
    """
    if count < 1 or not 0 < radius < distance:
        raise OptionError(f"cameras must be at least 1 and outside of the ball, got {count}, {radius}, {distance}")
    steps = torch.arange(count, dtype=torch.float64)
    height = 1 - (2 * steps + 1) / count
    angle = steps * math.pi * (3 - math.sqrt(5))
    ring = (1 - height**2).sqrt()
    outward = torch.stack([ring * angle.cos(), ring * angle.sin(), height], dim=1)
    forward = -outward
    up = torch.zeros_like(forward)
    up[:, 2] = 1.0
    up[forward[:, 2].abs() > 0.99] = torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64)
    right = torch.linalg.cross(forward, up)
    right = right / right.norm(dim=1, keepdim=True)
    down = torch.linalg.cross(forward, right)
    axes = torch.stack([forward, right, down], dim=1)
    focal = math.sqrt(distance**2 - radius**2) / radius
    return Cameras(distance * outward, axes, focal, distance - radius, distance + radius)
