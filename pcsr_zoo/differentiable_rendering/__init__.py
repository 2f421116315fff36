"""Differentiable rendering of point clouds: the rendering unit of SSPU-Net (Zhao et al., ACM MM 2021, sec. 3.2).

`render_clouds(points, cameras_around(8), 0.05)` gives silhouettes and shaded images (B, views, size, size) with
gradients with respect to the points. It needs only torch. `pcsr_zoo.pictures` makes pictures for people.
"""

from __future__ import annotations

from .cameras import Cameras, cameras_around
from .rasterize import rasterize
from .triangles import tangent_triangles
from .unit import Pictures, render_clouds

__all__ = ["Cameras", "Pictures", "cameras_around", "rasterize", "render_clouds", "tangent_triangles"]
