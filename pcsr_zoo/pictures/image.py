"""Render clouds side by side to an image, with numpy and Pillow, without a display."""

from __future__ import annotations

import io
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor

from ..cloud import NORMALS, Cloud
from ..errors import FileError, OptionError
from ..io import open_cloud
from .camera import Camera, guess_up, look_at, up_matrix
from .captions import with_captions
from .coloring import coloring
from .splat import hidden, light, point_normals, splat

AZIMUTH, ELEVATION, ELEVATION_OF_FLAT = -55.0, 20.0, 35.0  # default view in degrees
_Z_UP = ("LAS", "LAZ", "KITTI")  # formats in which z is upwards
_LARGEST = 1e100  # coordinates
_FINER = 2  # oversampling along each axis
_VEIL = 0.85  # how much points behind a surface fade into the background


def render(
    clouds: Sequence[Any],
    *,
    color_by: str | None = None,
    reference: Any = None,
    views: Sequence[tuple[float, float]] | None = None,
    size: tuple[int, int] = (600, 560),
    point_size: float | None = None,
    titles: Sequence[str] | None = None,
    background: str = "white",
    up: str = "auto",
) -> Image.Image:
    """Draw clouds side by side with the same camera.

    Args:
        clouds: clouds of any type that `pcsr_zoo.upsample` takes; each becomes a column.
        color_by: "shaded" (uniform color), "colors", "normals", "distance", "x", "y", "z", or an attribute's name;
            values share one scale, shown as a color bar. None: "colors" if a cloud has any, else "shaded".
        reference: for "distance": a cloud, or a mesh as (vertices (V, 3), triangles (T, 3)).
        views: (azimuth, elevation) in degrees; each becomes a row. Azimuth turns about `up`. None looks from
            the front right and above.
        size: (width, height) of one panel, in pixels.
        point_size: diameter of a point in pixels; None fits it to each cloud's spacing.
        titles: a text under each column, of one or two lines; None writes the number of points.
        background: a color that Pillow understands (name or #rrggbb).
        up: the axis that points upwards: "x", "y", "z", "-x", "-y", "-z", or "auto".

    Raises:
        CloudError: a cloud is empty or has rows that are not finite.
        OptionError: an option is invalid; the message names it.
    """
    drawn = [open_cloud(cloud)[0] for cloud in clouds]
    _check(drawn, views or (), size, point_size, titles)
    try:
        paper = np.array(ImageColor.getcolor(background, "RGB"), dtype=np.float64) / 255
    except ValueError:
        raise OptionError(f"background '{background}' is not a color; use a name or #rrggbb") from None
    if reference is not None and not isinstance(reference, tuple):
        reference = open_cloud(reference)[0]
    colors = coloring(drawn, color_by, reference)
    far = max(float(np.abs(cloud.positions).max()) for cloud in drawn)
    if far > _LARGEST or 0 < far < 1 / _LARGEST:  # the camera squares and divides
        drawn = [Cloud(cloud.positions / far, cloud.attributes, cloud.metadata) for cloud in drawn]
    positions = [cloud.positions for cloud in drawn]
    if up == "auto":
        georeferenced = any(cloud.metadata.get("format") in _Z_UP for cloud in drawn)
        up = "z" if georeferenced else guess_up(max(positions, key=len))

    if not views:
        extent = np.abs(up_matrix(up) @ np.ptp(np.concatenate([np.stack(c.bounds) for c in drawn]), axis=0))
        views = [(AZIMUTH, ELEVATION_OF_FLAT if extent[2] < 0.35 * extent[:2].min() else ELEVATION)]
    fine = (size[0] * _FINER, size[1] * _FINER)
    rows = []
    for view in views:
        camera = look_at(positions, view, up, fine, margin=0.06 * min(fine))
        panels = [
            _panel(cloud, rgb, colors.shading, camera, fine, point_size, paper)
            for cloud, rgb in zip(drawn, colors.rgb, strict=True)
        ]
        rows.append(np.concatenate(panels, axis=1))
    pixels = np.concatenate(rows, axis=0)
    if titles is None:
        titles = [f"{len(cloud):,} points" for cloud in drawn]
    return with_captions(pixels, size[0], list(titles), colors, paper)


def save_image(image: Image.Image, path: str | PathLike[str], overwrite: bool = True) -> None:
    """Write a picture atomically in the format of the suffix (.png, .jpg, .webp ...).

    Raises:
        FileError: the suffix is unknown, or the file cannot be written, or it exists and `overwrite` is False.
    """
    from ..io.atomic import atomic_path

    kind = check_picture_path(path)
    memory = io.BytesIO()
    image.save(memory, format=kind)
    with atomic_path(path, overwrite) as temporary:
        temporary.write_bytes(memory.getvalue())


def check_picture_path(path: str | PathLike[str]) -> str:
    """The picture format of a file's suffix.

    Raises:
        FileError: Pillow cannot write such a file.
    """
    suffix = Path(path).suffix
    kind = Image.registered_extensions().get(suffix.lower())
    if kind is None or kind not in Image.SAVE:
        raise FileError(f"{path}: pictures of the type '{suffix}' cannot be written; use .png, .jpg or .webp")
    return kind


def _check(
    clouds: list[Cloud],
    views: Sequence[tuple[float, float]],
    size: tuple[int, int],
    point_size: float | None,
    titles: Sequence[str] | None,
) -> None:
    if not clouds:
        raise OptionError("there is nothing to draw; give at least one cloud")
    for i, cloud in enumerate(clouds):
        cloud.validate("the cloud" if len(clouds) == 1 else f"cloud {i + 1} of {len(clouds)}")
    if not np.isfinite(np.asarray(views, dtype=np.float64)).all():
        raise OptionError(f"views must be pairs of finite angles (azimuth, elevation), got {views}")
    if min(size) < 32 or size[0] * size[1] * len(clouds) * max(len(views), 1) > 50e6:
        raise OptionError(f"size {size[0]}x{size[1]}: use at least 32x32 pixels, and at most 50 megapixels in total")
    if point_size is not None and not 0 < point_size <= 50:
        raise OptionError(f"point_size must be above 0 and at most 50 pixels, got {point_size}")
    if titles is not None and len(titles) != len(clouds):
        raise OptionError(f"there are {len(titles)} titles for {len(clouds)} clouds; give one for each")


def _panel(
    cloud: Cloud,
    rgb: NDArray[np.float64],
    shading: float,
    camera: Camera,
    size: tuple[int, int],
    point_size: float | None,
    paper: NDArray[np.float64],
) -> NDArray[np.float64]:
    """One cloud in one view, (H, W, 3) in [0, 1], reduced from `size` to the size of the panel."""
    pixels, depth = camera.project(cloud.positions)
    spacing = _spacing(pixels)
    # Neighboring points nearly touch, within bounds, so that sparse clouds look sparse.
    fitting = float(np.clip(0.8 * spacing, 2.5, max(2.5, 0.008 * min(size))))
    radius = point_size * _FINER / 2 if point_size else fitting
    buffer = splat(pixels, depth, size, radius, unit=1 / camera.scale)
    covered = buffer.owner >= 0
    visible, back = np.unique(buffer.owner[covered], return_inverse=True)
    if NORMALS in cloud.attributes:
        normals = np.nan_to_num(cloud.attributes[NORMALS][visible].astype(np.float64))
    else:
        normals = point_normals(cloud.positions, visible)
    surface = np.zeros((*covered.shape, 3))
    surface[covered] = (normals @ camera.axes.T)[back]
    own = float(np.clip((radius - 2.5) / 5, 0.0, 0.5))  # large balls are shaded as balls, small ones as a surface
    behind = np.zeros(covered.shape)
    behind[covered] = hidden(pixels, depth, max(1.3 * spacing, 3.0), 1 / camera.scale)[visible][back]
    brightness = light(buffer, surface, behind, own, shading, 1 / camera.radius)
    lit = np.clip(rgb[visible][back] * brightness[covered], 0, 1)
    # Points behind a sparse surface fade into the background; a dense surface hides them.
    veil = _VEIL * np.clip((spacing - 1) / 4, 0, 1) * behind[covered][:, None]
    canvas = np.broadcast_to(paper, (*covered.shape, 3)).copy()
    canvas[covered] = lit * (1 - veil) + paper * veil
    height, width = size[1] // _FINER, size[0] // _FINER
    return canvas.reshape(height, _FINER, width, _FINER, 3).mean(axis=(1, 3))


def _spacing(pixels: NDArray[np.float64]) -> float:
    """The approximate spacing of points (N, 2) in pixels."""
    for side in (8, 16, 32, 64):
        cells = np.floor(pixels / side).astype(np.int64)
        seen = len(np.unique(cells[:, 1] * 100_003 + cells[:, 0]))
        if len(pixels) >= 4 * seen:
            break
    return float(side * np.sqrt(seen / len(pixels)))
