"""Conversion between named columns, as most formats store them, and a `Cloud`.

Reading groups these columns; upper and lower case do not matter:

    nx ny nz | normal_x normal_y normal_z           -> normals (N, 3)
    red green blue | r g b | diffuse_red ...        -> colors (N, 3); alpha is a separate attribute
    intensity | scalar_intensity                    -> intensity
    label | labels | class | classification | ...   -> labels
    foo_0 foo_1 ... of one dtype                    -> foo (N, C)

Other names are unchanged. Writing does the reverse; float colors are written as uint8.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ..cloud import COLORS, INTENSITY, LABELS, NORMALS, Cloud
from ..errors import CloudError

Columns = dict[str, np.ndarray]

_AXES = ("x", "y", "z")
_NORMALS = (("nx", "ny", "nz"), ("normal_x", "normal_y", "normal_z"), ("normalx", "normaly", "normalz"))
_COLORS = (
    ("red", "green", "blue"),
    ("r", "g", "b"),
    ("diffuse_red", "diffuse_green", "diffuse_blue"),
    ("rf", "gf", "bf"),
)
_INTENSITY = ("intensity", "scalar_intensity", "intensities")
_LABELS = (
    "labels",
    "label",
    "class",
    "classification",
    "scalar_label",
    "scalar_labels",
    "scalar_classification",
)


def cloud_from_columns(columns: Mapping[str, np.ndarray], metadata: Mapping[str, object] | None = None) -> Cloud:
    """Make a cloud from columns of shape (N,) or (N, C), including x, y and z.

    Raises:
        CloudError: x, y or z is missing.
    """
    left = dict(columns)
    by_lower = {name.lower(): name for name in reversed(left)}
    missing = [axis for axis in _AXES if axis not in by_lower]
    if missing:
        raise CloudError(f"the column {', '.join(missing)} is missing; found: {', '.join(left) or 'none'}")

    def take(names: tuple[str, ...]) -> list[np.ndarray] | None:
        found = [by_lower[name] for name in names if by_lower.get(name) in left]
        if len(found) != len(names) or any(left[name].ndim != 1 for name in found):
            return None
        return [left.pop(name) for name in found]

    with np.errstate(invalid="ignore"):  # signaling NaNs are allowed
        positions = np.stack([left.pop(by_lower[axis]).astype(np.float64) for axis in _AXES], axis=1)
    attributes: Columns = {}
    for names in _NORMALS:
        if NORMALS not in attributes and (found := take(names)):
            attributes[NORMALS] = np.stack(found, axis=1)
    for names in _COLORS:
        if COLORS not in attributes and (found := take(names)):
            if (colors := normalized_colors(np.stack(found, axis=1))) is not None:
                attributes[COLORS] = colors
            else:  # not colors: keep them under their own names
                left.update(zip(names, found, strict=True))
    for name, aliases in ((INTENSITY, _INTENSITY), (LABELS, _LABELS)):
        for alias in aliases:
            if name not in attributes and (found := take((alias,))):
                attributes[name] = _as_labels(found[0]) if name == LABELS else found[0]
    attributes.update(_join_vectors({name: values for name, values in left.items() if name not in attributes}))
    return Cloud(positions, attributes, metadata)


def columns_from_cloud(cloud: Cloud) -> Columns:
    """All attributes as scalar columns (N,): x y z nx ny nz red green blue intensity labels, then the others.

    Raises:
        CloudError: an attribute is not numeric.
    """
    columns: Columns = dict(zip(_AXES, cloud.positions.T, strict=True))
    given = {NORMALS: ("nx", "ny", "nz"), COLORS: ("red", "green", "blue")}
    first = [name for name in (NORMALS, COLORS, INTENSITY, LABELS) if name in cloud.attributes]
    for name in first + [name for name in cloud.attributes if name not in first]:
        values = numeric(name, cloud.attributes[name])
        if name == COLORS and values.dtype.kind == "f":  # viewers expect uint8
            values = colors_as_uint8(values)
        if values.ndim == 1 or values.shape[1] == 1:
            columns[free_name(name, columns)] = values.reshape(-1)
            continue
        parts: Sequence[str] = given.get(name, ())
        if len(parts) < values.shape[1]:
            extra = ["alpha"] if name == COLORS and values.shape[1] == 4 else []
            parts = (*parts, *extra) if extra else [f"{name}_{i}" for i in range(values.shape[1])]
        for part, column in zip(parts, values.T, strict=False):
            columns[free_name(part, columns)] = column
    return columns


def numeric(name: str, values: np.ndarray) -> np.ndarray:
    """The values if they are numeric; booleans as uint8. Other dtypes raise a CloudError."""
    if values.dtype.kind == "b":
        return values.astype(np.uint8)
    if values.dtype.kind not in "fiu":
        raise CloudError(f"attribute '{name}' has the dtype {values.dtype}, not numeric; delete it before writing")
    return values


def free_name(name: str, taken: Mapping[str, object]) -> str:
    """The name without white space, with underscores appended until it is unused."""
    name = "_".join(name.split()) or "unnamed"
    while name in taken:
        name += "_"
    return name


def normalized_colors(values: np.ndarray) -> np.ndarray | None:
    """Colors as `Cloud` stores them (uint8, uint16, or floats in [0, 1]); None if the values are not colors."""
    if values.dtype in (np.uint8, np.uint16) or not values.size:
        return values
    low, high = values.min(), values.max()
    if not (low >= 0 and high <= 65535):  # also if there is a NaN
        return None
    if values.dtype.kind in "iu" or (high > 1 and np.array_equal(values, np.rint(values))):
        return values.astype(np.uint8 if high <= 255 else np.uint16)
    if high <= 1:
        return values
    return values / np.array(255 if high <= 255 else 65535, dtype=values.dtype)


def colors_as_uint8(values: np.ndarray) -> np.ndarray:
    """Colors in any form that `Cloud` stores, as uint8 of the same shape."""
    if values.dtype == np.uint8:
        return values
    scale = 255 / np.iinfo(values.dtype).max if values.dtype.kind in "iu" else 255
    scaled = np.nan_to_num(values.astype(np.float64)) * scale
    return np.rint(np.clip(scaled, 0, 255)).astype(np.uint8)


def float32_is_enough(positions: np.ndarray, tolerance: float = 1e-3) -> bool:
    """Whether rounding to float32 moves no point by more than `tolerance` times the mean point spacing.

    The spacing is estimated as the diagonal of the bounding box divided by sqrt(N). At UTM coordinates float32 rounds
    to 0.25 m.
    """
    if not len(positions):
        return True
    with np.errstate(over="ignore", invalid="ignore"):
        error = np.abs(positions - positions.astype(np.float32))
    error = error[np.isfinite(positions)]
    if not error.size or error.max() == 0:
        return True
    rows = positions[np.isfinite(positions).all(axis=1)]
    spacing = np.linalg.norm(np.ptp(rows, axis=0)) / np.sqrt(len(rows)) if len(rows) else 0.0
    return bool(error.max() <= tolerance * spacing)


def _as_labels(values: np.ndarray) -> np.ndarray:
    """Integer labels, if the format stored them as floats."""
    if values.dtype.kind == "f" and values.size and np.isfinite(values).all():
        whole = np.rint(values)
        if np.array_equal(whole, values) and np.abs(whole).max() < 2**31:
            return whole.astype(np.int32)
    return values


def _join_vectors(columns: Columns) -> Columns:
    """Columns foo_0, foo_1, ... (from 0, without gaps, of one dtype), joined to one (N, C) column."""
    out: Columns = {}
    done: set[str] = set()
    for name, values in columns.items():
        if name in done:
            continue
        stem = name[:-2]
        parts: list[str] = []
        if name.endswith("_0") and stem and stem not in columns:
            while (part := f"{stem}_{len(parts)}") in columns and columns[part].dtype == values.dtype:
                parts.append(part)
        if len(parts) > 1 and all(columns[part].ndim == 1 for part in parts):
            out[stem] = np.stack([columns[part] for part in parts], axis=1)
            done.update(parts)
        else:
            out[name] = values
    return out
