"""The small triangle that represents a point in an image: SSPU-Net's eq. 2 to 4."""

from __future__ import annotations

import torch
from torch import Tensor


def tangent_triangles(view: Tensor, size: Tensor | float, turning: bool = False) -> Tensor:
    """Triangles (..., 3, 3), with corners p + size v_k as rows, for points p in the coordinates of a camera.

        x = p - o,  v1 = x cross s,  v = s cross v1,  v2 and v3 at 120 degrees from v1 in the plane of v and v1

    with s = [1, 0, 0]. All triangles are perpendicular to s. In world coordinates, some cameras would see them edge-on.
    The paper does not say which coordinates it uses; here they are those of the camera, whose first axis is the optical
    axis, so each triangle is parallel to the image. On the axis itself, where v1 vanishes, v1 points down.

    Args:
        view: x (..., 3), in the camera's coordinates (forward, right, down), see `Cameras.view`.
        size: distance from the center to the corners, a number or (...).
        turning: whether gradients include the rotation of a triangle about its center when its point moves. The rate of
            this rotation is unbounded near the axis and has no relation to the surface.
    """
    across = view[..., 1:] if turning else view[..., 1:].detach()
    right, down = across.unbind(dim=-1)
    away = (right * right + down * down + 1e-24).sqrt()
    beside = away < 1e-9
    right = torch.where(beside, torch.ones_like(right), right / away)
    down = torch.where(beside, torch.zeros_like(down), down / away)
    zero = torch.zeros_like(right)
    v1 = torch.stack([zero, down, -right], dim=-1)  # x cross s, of unit length
    v = torch.stack([zero, right, down], dim=-1)  # s cross v1
    v2, v3 = -0.5 * v1 + 0.75**0.5 * v, -0.5 * v1 - 0.75**0.5 * v
    size = torch.as_tensor(size, dtype=view.dtype, device=view.device)
    return view[..., None, :] + size[..., None, None] * torch.stack([v1, v2, v3], dim=-2)
