"""SSPU-Net's image-consistent loss (Zhao et al., ACM MM 2021, eq. 6): two clouds should look the same in all views."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..differentiable_rendering.cameras import Cameras
from ..differentiable_rendering.unit import render_clouds


def image_loss(
    a: Tensor,
    b: Tensor,
    cameras: Cameras,
    triangle: Tensor | float,
    size: int = 32,
    opacity: float = 1.0,
    **softness: Any,
) -> Tensor:
    """Mean squared difference over clouds, cameras, pixels and both images (silhouette, depth shading).

    The paper sums over pixels; the mean does not depend on their number.

    Args:
        a, b: (B, N, 3) and (B, M, 3), in the view of the cameras. Only `a` gets gradients.
        cameras, triangle, size, softness: see `render_clouds`; triangles of both clouds have one size, as in the paper.
        opacity: of the triangles of `a`, see `rasterize`.
    """
    ours = render_clouds(a, cameras, triangle, size, opacity=opacity, **softness)
    with torch.no_grad():
        theirs = render_clouds(b, cameras, triangle, size, **softness)
    outline = (ours.silhouette - theirs.silhouette).square().mean()
    return (outline + (ours.color - theirs.color).square().mean()) / 2
