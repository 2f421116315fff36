"""Colors of points: a uniform tone, the cloud's colors, an attribute, or the distance to a reference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..cloud import COLORS, NORMALS, Cloud
from ..errors import CloudError, OptionError

TONE = np.array([0.36, 0.58, 0.78])  # the shaded clouds' blue
MISSING = np.array([0.62, 0.62, 0.62])  # for NaN values, and for clouds without colors beside colored ones

# From dark violet by teal to light yellow, with evenly increasing lightness L*, so that equal steps look equal.
_RAMP = np.array(
    [
        [50, 18, 92],
        [58, 50, 126],
        [52, 82, 142],
        [38, 113, 144],
        [28, 143, 140],
        [52, 171, 124],
        [112, 198, 94],
        [182, 218, 74],
        [249, 231, 85],
    ]
)
_PALETTE = np.array(
    [
        [76, 120, 168],
        [245, 133, 24],
        [84, 162, 75],
        [228, 87, 86],
        [114, 183, 178],
        [238, 202, 59],
        [178, 121, 162],
        [255, 157, 166],
        [157, 117, 93],
        [121, 112, 110],
        [30, 80, 110],
        [150, 190, 60],
    ]
)


@dataclass
class Coloring:
    """RGB values (N, 3) in [0, 1] for each cloud, the strength of the shading, and the content of the legend."""

    rgb: list[NDArray[np.float64]]
    shading: float
    name: str = ""
    span: tuple[float, float] | None = None  # of the color bar
    clipped: tuple[bool, bool] = (False, False)  # values lie below or above the bar
    classes: tuple[float, ...] = ()  # of a legend of swatches


def ramp(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Values (N,) in [0, 1], clipped -> RGB (N, 3) in [0, 1]; NaN is gray."""
    known = np.isfinite(values)
    place = np.clip(np.where(known, values, 0.0), 0, 1) * (len(_RAMP) - 1)
    low = np.minimum(place.astype(np.int64), len(_RAMP) - 2)
    weight = (place - low)[:, None]
    rgb = (_RAMP[low] * (1 - weight) + _RAMP[low + 1] * weight) / 255
    return np.where(known[:, None], rgb, MISSING)


def swatches(count: int) -> NDArray[np.float64]:
    """RGB values (count, 3) in [0, 1] of the first classes, which are easy to distinguish."""
    return _PALETTE[:count] / 255


def coloring(clouds: Sequence[Cloud], color_by: str | None, reference: Any = None) -> Coloring:
    """The colors of all clouds, on one common scale.

    Args:
        color_by: "shaded"; "colors"; "distance"; "x", "y" or "z"; or an attribute's name. None: "colors" if a cloud
            has any, else "shaded".
        reference: for "distance": a Cloud, or (vertices (V, 3), triangles (T, 3)).

    Raises:
        OptionError: no cloud has this attribute, or there is no reference for "distance".
    """
    if color_by is None:
        color_by = COLORS if any(_is_colored(cloud) for cloud in clouds) else "shaded"
    if color_by == "shaded":
        return Coloring([np.tile(TONE, (len(cloud), 1)) for cloud in clouds], 1.0)
    if color_by == "distance":
        if reference is None:
            raise OptionError("coloring by distance needs a reference: give reference= (--reference FILE)")
        measured = [distance_to(cloud.positions, reference) for cloud in clouds]
        return _scalar("distance to the reference, in the files' unit", measured, from_zero=True)
    if color_by in (COLORS, NORMALS):
        own = [c.colors_as_float() if color_by == COLORS else _normals_as_rgb(c) for c in clouds]
        if any(rgb is not None for rgb in own):
            known = [np.full((len(c), 3), np.nan) if o is None else o for c, o in zip(clouds, own, strict=True)]
            rgb = [np.where(np.isfinite(values), values, MISSING) for values in known]
            return Coloring(rgb, 0.25)
    columns = [_column(cloud, color_by) for cloud in clouds]
    if all(column is None for column in columns):
        names = sorted({name for cloud in clouds for name in cloud.attributes})
        raise OptionError(
            f"cannot color by '{color_by}': no cloud has it; use shaded, distance, x, y, z"
            + "".join(f", {name}" for name in names)
        )
    filled = [np.full(len(c), np.nan) if v is None else v for c, v in zip(clouds, columns, strict=True)]
    given = [column for column in columns if column is not None]
    whole = all(column.dtype.kind in "iub" for column in given)
    classes = np.unique(np.concatenate(given)) if whole else np.zeros(0)
    if 0 < len(classes) <= len(_PALETTE):
        return _categorical(color_by, filled, classes)
    return _scalar(color_by, [column.astype(np.float64) for column in filled])


def distance_to(positions: NDArray[np.float64], reference: Any) -> NDArray[np.float64]:
    """Distance (N,) of each position (N, 3) to the nearest point of a Cloud, or of a mesh's surface."""
    if isinstance(reference, Cloud):
        from scipy.spatial import cKDTree

        reference.validate("the reference")
        center = reference.positions.mean(axis=0)
        return cKDTree(reference.positions - center).query(positions - center, workers=-1)[0]
    from ..metrics.point_to_surface import point_to_surface

    return point_to_surface(positions, reference)


def _is_colored(cloud: Cloud) -> bool:
    """Whether a cloud has colors. If all are black, the file has color fields but no colors."""
    return COLORS in cloud.attributes and bool(np.any(cloud.attributes[COLORS][:, :3]))


def _column(cloud: Cloud, name: str) -> NDArray[Any] | None:
    if name in cloud.attributes:
        values = cloud.attributes[name]
        if values.ndim == 2 and values.shape[1] > 1:
            raise OptionError(f"cannot color by '{name}': it has {values.shape[1]} values for each point, not one")
        return values.reshape(-1)
    return cloud.positions[:, "xyz".index(name)] if name in ("x", "y", "z") else None


def _normals_as_rgb(cloud: Cloud) -> NDArray[np.float64] | None:
    if NORMALS not in cloud.attributes:
        return None
    return np.clip(np.nan_to_num(cloud.attributes[NORMALS].astype(np.float64)) * 0.5 + 0.5, 0, 1)


def _scalar(name: str, columns: list[NDArray[np.float64]], from_zero: bool = False) -> Coloring:
    """A color bar over all values; if single values are far outside, from the 1st to the 99th percentile."""
    known = np.concatenate([column[np.isfinite(column)] for column in columns])
    if not len(known):
        raise CloudError(f"cannot color by '{name}': all values are NaN or infinite")
    lowest, highest = float(known.min()), float(known.max())
    p1, p99 = (float(v) for v in np.percentile(known, [1, 99]))
    low = 0.0 if from_zero else (p1 if p1 - lowest > 0.25 * (p99 - p1) else lowest)
    high = p99 if highest - p99 > 0.25 * (p99 - p1) else highest
    if high <= low:
        low, high = lowest, highest
    width = (high - low) or 1.0
    rgb = [ramp((column - low) / width) for column in columns]
    return Coloring(rgb, 0.3, name, (low, high), (lowest < low, highest > high))


def _categorical(name: str, columns: list[NDArray[Any]], classes: NDArray[Any]) -> Coloring:
    rgb = []
    for column in columns:
        known = np.isfinite(column)
        place = np.searchsorted(classes, np.where(known, column, classes[0]))
        rgb.append(np.where(known[:, None], _PALETTE[place] / 255, MISSING))
    return Coloring(rgb, 0.5, name, classes=tuple(float(value) for value in classes))
