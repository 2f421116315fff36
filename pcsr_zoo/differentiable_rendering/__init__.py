"""Point clouds to pictures, differentiably: the rendering unit of SSPU-Net (Zhao et al., ACM MM 2021, sec. 3.2).

`render_clouds(points, cameras_around(8), 0.05)` gives silhouettes and shaded pictures (B, views, size, size) with
gradients for the points. It needs torch alone. (`pcsr_zoo.pictures` makes pictures to look at.)
"""

from __future__ import annotations

from .cameras import Cameras, cameras_around
from .rasterize import rasterize
from .triangles import tangent_triangles
from .unit import Pictures, render_clouds

__all__ = ["Cameras", "Pictures", "cameras_around", "rasterize", "render_clouds", "tangent_triangles"]
