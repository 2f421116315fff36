"""The small triangle that stands for a point in a picture: SSPU-Net's eq. 2 to 4."""

from __future__ import annotations

import torch
from torch import Tensor


def tangent_triangles(view: Tensor, size: Tensor | float, turning: bool = False) -> Tensor:
    """Triangles (..., 3, 3), whose rows are the corners p + size v_k, for points p seen by a camera.

        x = p - o,  v1 = x cross s,  v = s cross v1,  v2 and v3 at 120 degrees from v1 in the plane of v and v1

    with s = [1, 0, 0]. All of them are perpendicular to s, whatever x: in world coordinates, cameras beside s would see
    the triangles edge-on. So coordinates are the camera's (ours; the paper leaves it open), whose first axis is the
    optical one: each triangle faces the picture. On the axis itself, where v1 vanishes, v1 points down.

    Args:
        view: x (..., 3), forward, right, down from the camera (`Cameras.view`).
        size: from the middle to the corners, a number or (...).
        turning: triangles turn about themselves when their points move, at a rate without bound near the axis, which
            says nothing of a surface: without this, gradients leave it out.
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
