"""The differentiable rendering unit: images of clouds from all cameras."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from .cameras import Cameras
from .rasterize import rasterize
from .triangles import tangent_triangles

_FARTHEST_SHADE = 0.2  # brightness of a point at `far`; it is 1 at `near`


class Pictures(NamedTuple):
    """Images of clouds.

    Attributes:
        silhouette: (B, m, size, size), coverage from 0 to 1.
        color: (B, m, size, size, C), on a black background.
    """

    silhouette: Tensor
    color: Tensor


def render_clouds(
    points: Tensor,
    cameras: Cameras,
    triangle: Tensor | float,
    size: int = 64,
    colors: Tensor | None = None,
    sigma: float = 1e-4,
    gamma: float = 1e-2,
    cutoff: float = 1e-3,
    turning: bool = False,
    opacity: float = 1.0,
) -> Pictures:
    """Images of clouds, differentiable with respect to their points.

    The paper does not give the size of the triangles, their colors, the softness or the cameras; the choices are ours.

    Args:
        points: (B, N, 3), in the view of the cameras.
        cameras: see `cameras_around`.
        triangle: distance from the center of a point's triangle to its corners, a number or one for each cloud (B,).
        size: pixels along a side.
        colors: (B, N, C); by default, the brightness decreases with depth.
        sigma, gamma, cutoff, opacity: see `rasterize`.
        turning: see `tangent_triangles`.
    """
    batch, views, number = len(points), len(cameras.center), points.shape[1]
    cameras = cameras.to(points)
    view = cameras.view(points)
    triangle = torch.as_tensor(triangle, dtype=points.dtype, device=points.device)
    corners = tangent_triangles(view, triangle.view(-1, 1, 1) if triangle.ndim else triangle, turning)
    depth = corners[..., :1]
    flat = cameras.focal * corners[..., 1:] / depth.clamp(min=cameras.near * 1e-3)
    flat = torch.where((view[..., :1] > 0)[..., None], flat, flat.new_full((), torch.inf))  # behind the camera
    nearness = cameras.nearness(view[..., 0])
    if colors is None:
        shades = (_FARTHEST_SHADE + (1 - _FARTHEST_SHADE) * nearness)[..., None]
    else:
        shades = colors[:, None].expand(-1, views, -1, -1)
    image = torch.arange(batch * views, device=points.device).repeat_interleave(number)
    silhouette, color = rasterize(
        flat.reshape(-1, 3, 2),
        nearness.flatten(),
        shades.reshape(batch * views * number, -1),
        image,
        batch * views,
        size,
        sigma,
        gamma,
        cutoff,
        opacity,
    )
    grid = (batch, views, size, size)
    return Pictures(silhouette.view(grid), color.view(*grid, -1))
