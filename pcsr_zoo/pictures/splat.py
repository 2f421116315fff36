"""Splatting of points as balls with a depth buffer, and their lighting, in numpy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_KEY, _FILL = (
    np.array([-0.45, 0.65, 0.62]),
    np.array([0.75, 0.1, 0.45]),
)  # directions of two lights: right, up, towards the camera
_NOTHING, _INDEX = np.iinfo(np.int64).max, 0xFFFFFFFF
_NORMALS_FROM = 100_000  # largest number of points whose normals are fitted; others use those of the nearest

_CLOSING = np.hypot(*np.mgrid[-3:4, -3:4]) < 3.3  # a disk in units of half gaps


@dataclass
class Splat:
    """The depth buffer of a picture.

    Attributes:
        depth: (H, W), depth along the optical axis; inf for empty pixels.
        owner: (H, W), index of the visible point, or -1.
        ball: (H, W, 3), normal of the point's ball at the pixel, in camera axes.
    """

    depth: NDArray[np.float32]
    owner: NDArray[np.int64]
    ball: NDArray[np.float32]


def splat(
    pixels: NDArray[np.float64], depth: NDArray[np.float64], size: tuple[int, int], radius: float, unit: float
) -> Splat:
    """Draw each point as a ball of `radius` pixels; the nearest one is visible.

    Args:
        pixels, depth: (N, 2) and (N,), the results of `Camera.project`.
        size: (width, height) in pixels.
        radius: radius of the balls in pixels.
        unit: length of one pixel in the unit of `depth`, which gives the thickness of the balls.
    """
    width, height = size
    cell = np.floor(pixels).astype(np.int64)
    index = np.flatnonzero(((cell >= 0) & (cell < (width, height))).all(axis=1))
    flat = cell[index, 1] * width + cell[index, 0]
    # Points of the same pixel make the same ball, so only the nearest one is drawn.
    front = np.full(width * height, _NOTHING)
    np.minimum.at(front, flat, _key(depth[index], index))
    flat = np.flatnonzero(front < _NOTHING)
    index = front[flat] & _INDEX

    near = depth[index].astype(np.float32)
    x, y = flat % width, flat // width
    off = (cell[index] + 0.5 - pixels[index]).astype(np.float32)  # from the exact center to the pixel's center
    reach = int(np.ceil(radius))
    buffer = np.full(width * height, _NOTHING)
    for dy in range(-reach, reach + 1):
        for dx in range(-reach, reach + 1):
            if np.hypot(max(abs(dx) - 0.5, 0), max(abs(dy) - 0.5, 0)) > radius:
                continue
            bulge = np.float32(radius**2) - (off[:, 0] + np.float32(dx)) ** 2 - (off[:, 1] + np.float32(dy)) ** 2
            if dx == dy == 0:  # a point fills its own pixel at any radius
                bulge = np.maximum(bulge, 0)
            on = bulge >= 0
            on &= (x >= -dx) & (x < width - dx) & (y >= -dy) & (y < height - dy)
            reached = near[on] - np.sqrt(bulge[on]) * np.float32(unit)
            np.minimum.at(buffer, flat[on] + (dy * width + dx), _key(reached, index[on]))

    covered = np.flatnonzero(buffer < _NOTHING)
    owner = np.full(width * height, -1)
    owner[covered] = buffer[covered] & _INDEX
    nearest = np.full(width * height, np.inf, dtype=np.float32)
    nearest[covered] = (buffer[covered] >> 32).astype(np.int32).view(np.float32)
    middle = np.stack([covered % width, covered // width], axis=1) + 0.5
    right, down = (middle - pixels[owner[covered]]).T / max(radius, 0.5)
    ball = np.zeros((width * height, 3), dtype=np.float32)
    ball[covered] = np.stack([right, -down, np.sqrt(np.clip(1 - right**2 - down**2, 0.05, 1))], axis=1)
    return Splat(nearest.reshape(height, width), owner.reshape(height, width), ball.reshape(height, width, 3))


def _key(depth: NDArray[np.floating], index: NDArray[np.int64]) -> NDArray[np.int64]:
    """Depth and index in one integer that sorts by depth: non-negative floats sort like their bits."""
    bits = np.maximum(depth, 0).astype(np.float32).view(np.int32).astype(np.int64)
    return (bits << 32) | index


def point_normals(positions: NDArray[np.float64], wanted: NDArray[np.int64], seed: int = 0) -> NDArray[np.float64]:
    """Unit normals (M, 3) of the points `wanted` (M,) by PCA over 16 neighbors; the sign is arbitrary."""
    from scipy.spatial import cKDTree

    base = positions - positions.mean(axis=0)
    sample = base
    if len(base) > _NORMALS_FROM:
        sample = base[np.random.default_rng(seed).choice(len(base), _NORMALS_FROM, replace=False)]
    tree = cKDTree(sample)
    borrowed = len(sample) < len(base) or len(wanted) > len(sample)
    queries = sample if borrowed else base[wanted]
    _, neighbors = tree.query(queries, k=min(16, len(sample)), workers=-1)
    near = sample[neighbors.reshape(len(queries), -1)]
    near = near - near.mean(axis=1, keepdims=True)
    normals = np.linalg.eigh(np.einsum("nki,nkj->nij", near, near))[1][:, :, 0]
    if borrowed:
        return normals[tree.query(base[wanted], workers=-1)[1]]
    return normals


def hidden(pixels: NDArray[np.float64], depth: NDArray[np.float64], gap: float, unit: float) -> NDArray[np.float64]:
    """The probability (N,), 0 to 1, that a point is behind a surface and only visible through its gaps.

    Args:
        gap: spacing of neighboring points in pixels; surfaces are assumed to have no holes of radius 1.5 gap.
        unit: length of one pixel in the unit of `depth`.
    """
    from scipy.ndimage import maximum_filter, minimum_filter

    place = np.floor((pixels - pixels.min(axis=0)) * (2 / gap)).astype(np.int64)
    place += _CLOSING.shape[0]  # margin for the filters
    width, height = place.max(axis=0) + 1 + _CLOSING.shape[0]
    screen = np.full((height, width), np.inf)
    np.minimum.at(screen, (place[:, 1], place[:, 0]), depth)
    # A morphological closing: dilate the front to fill its holes, then erode it to its outline.
    screen = maximum_filter(minimum_filter(screen, footprint=_CLOSING), footprint=_CLOSING)
    behind = depth - screen[place[:, 1], place[:, 0]]
    return np.clip(behind / (gap * unit) / 2 - 1, 0, 1)


def light(
    buffer: Splat,
    normals: NDArray[np.float64],
    behind: NDArray[np.float64],
    own: float,
    strength: float,
    per_unit: float,
) -> NDArray[np.float64]:
    """Brightness (H, W, 3) of the covered pixels, around 1, from two lights and depth darkening.

    Args:
        buffer: the depth buffer.
        normals: (H, W, 3) in camera axes, of any sign.
        behind: (H, W), the result of `hidden`; pixels behind a surface are not darkened.
        own: 0 uses the normals of the surface, 1 those of the balls without depth darkening.
        strength: strength of the lights; 0 leaves only depth darkening, so that colors can be read.
        per_unit: 1 / radius of the scene.
    """
    normal = np.where(normals[..., 2:] < 0, -normals, normals)
    normal = normal * (1 - own) + buffer.ball * own
    normal /= np.maximum(np.linalg.norm(normal, axis=-1, keepdims=True), 1e-9)
    key = np.clip(normal @ (_KEY / np.linalg.norm(_KEY)), 0, None)
    fill = np.clip(normal @ (_FILL / np.linalg.norm(_FILL)), 0, None)
    lamps = 0.40 + key[..., None] * np.array([0.76, 0.74, 0.70]) + fill[..., None] * np.array([0.10, 0.13, 0.18])
    shine = 0.22 * key[..., None] ** 24
    hollows = _hollows(buffer.depth, per_unit * (1 - own)) ** (1 - behind)
    return (1 - strength + strength * (lamps + shine)) * hollows[..., None]


def _hollows(depth: NDArray[np.float32], per_unit: float) -> NDArray[np.float64]:
    """Eye-dome lighting and wide depth darkening (H, W) in (0, 1]: pixels behind their surroundings are darker.

    After Boucheny, "Interactive scientific visualization of large datasets" (2009), and Luft, Colditz
    and Deussen, "Image enhancement by unsharp masking the depth buffer" (2006).
    """
    from scipy.ndimage import uniform_filter

    covered = np.isfinite(depth)
    if not covered.any():
        return np.ones(depth.shape)
    nearest = float(depth[covered].min())
    relative = np.where(covered, depth - nearest, 0.0) * per_unit / 2
    relative[~covered] = 2.0
    response = np.zeros(depth.shape)
    for step in (1, 3):
        for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1)):
            other = np.roll(relative, (dy * step, dx * step), axis=(0, 1))
            response += np.clip(relative - other, 0, 0.08)
    edges = np.exp(-3.0 * response)
    width = max(3, depth.shape[0] // 24)
    weight, mean = covered.astype(np.float32), relative.astype(np.float32) * covered
    for _ in range(2):  # two box filters are nearly a Gaussian
        weight, mean = uniform_filter(weight, width), uniform_filter(mean, width)
    wide = np.exp(-2.5 * np.clip(relative - mean / np.maximum(weight, 1e-6), 0, 0.2))
    return edges * wide
