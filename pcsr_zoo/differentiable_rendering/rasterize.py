"""Soft rasterization (SoftRas: Liu, Li, Chen, Li, ICCV 2019, sec. 3.2 and 3.3) of many small triangles.

    D_j = sigmoid(+-d_j^2 / sigma)                                  coverage of a pixel by triangle j, + inside
    silhouette = 1 - prod_j (1 - D_j)
    color = silhouette sum_j w_j C_j,  w_j = D_j exp(z_j / gamma) / sum_k D_k exp(z_k / gamma)

d_j is the distance from the pixel's center to the border of the triangle, and z_j is its nearness. Two things differ
from SoftRas. In SoftRas, the background has a weight exp(epsilon / gamma), which is smaller than that of any triangle,
so colors end abruptly where silhouettes fade; here colors fade with the silhouettes. In SoftRas, every triangle affects
every pixel; here a triangle affects a window around its box, up to a small coverage `cutoff`. D_j is shifted and scaled
to vanish there, so that images are continuous.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import softplus
from torch.utils.checkpoint import checkpoint

from ..errors import OptionError

_PAIRS = 1 << 19  # pairs of a triangle and a pixel in a part; gradients recompute parts if there are several
_SHARPEST = 0.006  # gamma for which exp(+-1 / (2 gamma)) fits float32
_LEAST = 1e-28  # smallest sum of weights that gives a color: with smaller ones, gradients overflow
_FLAT = 1e-24  # edges of smaller squared length are treated as points

Part = tuple[Tensor, Tensor, int]  # triangles (P,), first pixels of their windows (P, 2), width of the windows


def rasterize(
    triangles: Tensor,
    nearness: Tensor,
    colors: Tensor,
    image: Tensor,
    count: int,
    size: int,
    sigma: float = 1e-4,
    gamma: float = 1e-2,
    cutoff: float = 1e-3,
    opacity: float = 1.0,
) -> tuple[Tensor, Tensor]:
    """Silhouettes (count, size, size) and colors (count, size, size, C) on black.

    Args:
        triangles: corners (T, 3, 2), right and down, in image coordinates from -1 to 1.
        nearness: z (T,), from 0 to 1, constant in each triangle.
        colors: (T, C).
        image: (T,) int64, the index of each triangle's image.
        count: number of images.
        size: pixels along a side.
        sigma: softness of borders, a squared length in image coordinates (SoftRas: 1e-4).
        gamma: softness of occlusion, in nearness.
        cutoff: coverage below which a triangle has no effect.
        opacity: the power of 1 - D_j in the silhouette. With 1 / r, r equal triangles cover as much as one.

    Raises:
        OptionError: an option is invalid.
    """
    if size < 1 or not sigma > 0 or not gamma >= _SHARPEST or not 0 < cutoff < 0.5:
        raise OptionError(
            f"size must be at least 1, sigma positive, gamma at least {_SHARPEST} and cutoff between 0 and .5, "
            f"got {size}, {sigma}, {gamma}, {cutoff}"
        )
    sums = triangles.new_zeros(count * size * size + 1, 2 + colors.shape[1])  # the last row is for pixels outside
    parts = _parts(triangles.detach(), image, size, math.sqrt(sigma * math.log((1 - cutoff) / cutoff)))
    again = len(parts) > 1 and torch.is_grad_enabled()
    for rows, corner, width in parts:
        given = (triangles, nearness, colors, image, rows, corner, width, size, len(sums), sigma, gamma, cutoff)
        sums = sums + (checkpoint(_sums, *given, use_reentrant=False) if again else _sums(*given))
    silhouette = 1 - torch.exp(-opacity * sums[:-1, 0])
    color = silhouette[:, None] * sums[:-1, 2:] / sums[:-1, 1:2].clamp(min=_LEAST)
    return silhouette.view(count, size, size), color.view(count, size, size, -1)


@torch.no_grad()
def _parts(triangles: Tensor, image: Tensor, size: int, margin: float) -> list[Part]:
    """Parts of triangles of about the same size, which are computed together."""
    pixels = (triangles + 1) * (size / 2) - 0.5
    reach = margin * size / 2
    first = (pixels.amin(dim=1) - reach).ceil().clamp(min=0)
    last = (pixels.amax(dim=1) + reach).floor().clamp(max=size - 1)
    widths = (last - first).amax(dim=1) + 1
    seen = (last >= first).all(dim=1) & torch.isfinite(widths)
    parts = []
    lower, upper = 0, 2
    while lower < size:
        rows = (seen & (widths > lower) & (widths <= upper)).nonzero()[:, 0]
        rows = rows[image[rows].sort(stable=True).indices]
        parts += [(some, first[some].long(), upper) for some in rows.split(max(1, _PAIRS // upper**2)) if len(some)]
        lower, upper = upper, upper + max(1, upper // 4)
    return parts


def _sums(
    triangles: Tensor,
    nearness: Tensor,
    colors: Tensor,
    image: Tensor,
    rows: Tensor,
    corner: Tensor,
    width: int,
    size: int,
    places: int,
    sigma: float,
    gamma: float,
    cutoff: float,
) -> Tensor:
    """Sums for each pixel of all images, (places, 2 + C): of -log(1 - D_j), of w_j, and of w_j C_j."""
    steps = torch.arange(width, device=corner.device)
    right = (corner[:, 0, None, None] + steps).expand(-1, width, -1).flatten(1)
    down = (corner[:, 1, None, None] + steps[:, None]).expand(-1, -1, width).flatten(1)
    place = (image[rows, None] * size + down) * size + right
    place = torch.where((right < size) & (down < size), place, places - 1)
    pixel = (torch.stack([right, down], dim=2).to(triangles.dtype) + 0.5) * (2 / size) - 1

    corners = triangles[rows]
    shares, sign = _nearest_of_border(corners.detach(), pixel)
    away = shares @ corners - pixel
    signed = sign * (away * away).sum(dim=2) / sigma
    coverage = torch.sigmoid(signed)
    covers = coverage > cutoff
    coverage = torch.where(covers, (coverage - cutoff) / (1 - cutoff), torch.zeros_like(coverage))
    free = torch.where(covers, softplus(signed) + math.log(1 - cutoff), torch.zeros_like(signed))
    weight = coverage * torch.exp((nearness[rows, None] - 0.5) / gamma)
    columns = torch.cat([free[..., None], weight[..., None], weight[..., None] * colors[rows, None]], dim=2)
    return columns.new_zeros(places, columns.shape[2]).index_add(0, place.flatten(), columns.flatten(0, 1))


@torch.no_grad()
def _nearest_of_border(corners: Tensor, pixel: Tensor) -> tuple[Tensor, Tensor]:
    """Barycentric coordinates (P, W, 3) of the nearest border points, and signs (P, W), 1 inside and -1 outside.

    The coordinates need no gradient: to first order, the distance does not change along the border.
    """
    best = turn = None
    ahead = behind = torch.zeros(pixel.shape[:2], dtype=torch.bool, device=pixel.device)
    shares = pixel.new_zeros(*pixel.shape[:2], 3)
    for k in range(3):
        a, edge = corners[:, None, k], corners[:, None, (k + 1) % 3] - corners[:, None, k]
        from_a = pixel - a
        along = (from_a * edge).sum(dim=2) / (edge * edge).sum(dim=2).clamp(min=_FLAT)
        along = along.clamp(0, 1)
        squared = (from_a - along[..., None] * edge).square().sum(dim=2)
        turn = edge[..., 0] * from_a[..., 1] - edge[..., 1] * from_a[..., 0]
        ahead, behind = ahead | (turn > 0), behind | (turn < 0)
        nearer = torch.ones_like(ahead) if best is None else squared < best
        best = squared if best is None else torch.minimum(best, squared)
        here = torch.zeros_like(shares)
        here[..., k], here[..., (k + 1) % 3] = 1 - along, along
        shares = torch.where(nearer[..., None], here, shares)
    inside = ~(ahead & behind)
    return shares, torch.where(inside, 1.0, -1.0).to(pixel.dtype)
