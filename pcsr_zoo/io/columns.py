"""Conversion between named columns, as most formats store them, and a `Cloud`.

Reading groups these columns; upper and lower case do not matter:

    x y z | easting northing elevation | lon lat height | x_m y_m z_m | Points:0 Points:1 ...  -> positions (N, 3)
    nx ny nz | normal_x normal_y normal_z           -> normals (N, 3)
    red green blue | r g b | diffuse_red ...        -> colors (N, 3); alpha is a separate attribute
    intensity | scalar_intensity                    -> intensity
    label | labels | class | classification | ...   -> labels
    foo_0 foo_1 ... of one dtype                    -> foo (N, C)

Other names are unchanged. Writing does the reverse; float colors are written as uint8.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np

from ..cloud import COLORS, INTENSITY, LABELS, NORMALS, Cloud
from ..errors import CloudError
from .limits import MOST_COLUMNS

Columns = dict[str, np.ndarray]
Sources = dict[str, tuple[str, ...]]

_AXES = ("x", "y", "z")
LONGITUDES = ("lon", "long", "longitude")
_AXIS_NAMES = (
    ("x", "easting", "east", *LONGITUDES, "rechtswert", "e"),
    ("y", "northing", "north", "lat", "latitude", "hochwert", "n"),
    ("z", "elevation", "elev", "height", "altitude", "alt", "höhe", "hoehe", "h"),
)
_AROUND_AXIS = re.compile(  # coord_x, position_x, x_coordinate, utm_easting, x_m, easting_ft
    r"^(?:coord|pos|position|point|utm|world|global)_|_(?:coord|coordinate|utm|world|m|cm|mm|km|ft|usft|meters?|metres?|feet)$"
)
_COMPONENT = re.compile(r"(?:points?|coords?|coordinates|positions?)(?:_m_xyz)?[:_.]([012])")  # as ParaView names them
_NO_NAME = re.compile(r"[\s\x00-\x20\x7f#,;\"'()\[\]/]+")  # marks that a header of text or PCD cannot hold in a name
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


def axes_among(names: Sequence[str]) -> tuple[str, ...] | None:
    """The three of the names that are x, y and z, by any usual name of theirs; None if one is missing."""
    by_lower = {_AROUND_AXIS.sub("", name.lower()): name for name in reversed(names)}
    by_lower |= {name.lower(): name for name in reversed(names)}
    found = [next((by_lower[alias] for alias in axis if alias in by_lower), None) for axis in _AXIS_NAMES]
    if None in found:
        parts = {match[1]: name for name in names if (match := _COMPONENT.fullmatch(name.lower()))}
        found = [parts.get(str(axis)) for axis in range(3)]
    return None if None in found else tuple(str(name) for name in found)


def cloud_from_columns(columns: Mapping[str, np.ndarray], metadata: Mapping[str, object] | None = None) -> Cloud:
    """Make a cloud from columns of shape (N,) or (N, C), including x, y and z.

    Raises:
        CloudError: x, y or z is missing.
    """
    return cloud_and_sources(columns, metadata)[0]


def cloud_and_sources(
    columns: Mapping[str, np.ndarray], metadata: Mapping[str, object] | None = None
) -> tuple[Cloud, dict[str | None, tuple[str, ...]]]:
    """`cloud_from_columns`, and the names of the columns of each attribute; under None, those of x, y and z."""
    left = dict(columns)
    axes = axes_among([name for name, values in left.items() if values.ndim == 1])
    if axes is None:
        missing = [axis for axis in _AXES if axis not in {name.lower() for name in left}]
        raise CloudError(f"the column {', '.join(missing)} is missing; found: {', '.join(left) or 'none'}")
    with np.errstate(invalid="ignore"):  # signaling NaNs are allowed
        positions = np.stack([left.pop(axis).astype(np.float64) for axis in axes], axis=1)
    attributes, sources = group_columns(left)
    named: dict[str | None, tuple[str, ...]] = {None: axes}
    named.update(sources)  # type: ignore[arg-type]
    return Cloud(positions, attributes, metadata), named


def group_columns(columns: Mapping[str, np.ndarray]) -> tuple[Columns, Sources]:
    """Attributes from columns without x, y and z, and the names of the columns that each attribute was made of."""
    left = dict(columns)
    by_lower = {name.lower(): name for name in reversed(left)}
    attributes: Columns = {}
    sources: Sources = {}

    def take(names: tuple[str, ...]) -> tuple[str, ...] | None:
        found = tuple(by_lower[name] for name in names if by_lower.get(name) in left)
        return found if len(found) == len(names) and all(left[name].ndim == 1 for name in found) else None

    def put(name: str, found: tuple[str, ...], values: np.ndarray) -> None:
        attributes[name], sources[name] = values, found
        for part in found:
            left.pop(part)

    for names in _NORMALS:
        if NORMALS not in attributes and (found := take(names)):
            put(NORMALS, found, np.stack([left[part] for part in found], axis=1))
    for names in _COLORS:
        if COLORS not in attributes and (found := take(names)):
            colors = normalized_colors(np.stack([left[part] for part in found], axis=1))
            if colors is not None:  # otherwise they keep their own names
                put(COLORS, found, colors)
    for name, aliases in ((INTENSITY, _INTENSITY), (LABELS, _LABELS)):
        for alias in aliases:
            if name not in attributes and (found := take((alias,))):
                put(name, found, _as_labels(left[found[0]]) if name == LABELS else left[found[0]])
    for name, found in _vectors(left).items():
        parts = [left[part] for part in found]
        put(free_name(name, attributes, clean=False), found, parts[0] if len(parts) == 1 else np.stack(parts, axis=1))
    return attributes, sources


def columns_from_cloud(cloud: Cloud) -> Columns:
    """All attributes as scalar columns (N,): x y z nx ny nz red green blue intensity labels, then the others.

    Raises:
        CloudError: an attribute is not numeric, or there are too many columns.
    """
    columns: Columns = dict(zip(_AXES, cloud.positions.T, strict=True))
    count = sum(1 if values.ndim == 1 else values.shape[1] for values in cloud.attributes.values())
    if count > MOST_COLUMNS:
        raise CloudError(f"the {count:,} columns of its attributes are more than {MOST_COLUMNS:,}; write .npz instead")
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


def free_name(name: str, taken: Mapping[str, object], clean: bool = True) -> str:
    """The name, with underscores appended until it is unused.

    With `clean`, marks that end a name in the header of a text or a PCD file become underscores, and a name that reads
    as a number, or as PCD's padding, gets a letter.
    """
    if clean:
        name = "".join(mark if mark.isprintable() else "_" for mark in _NO_NAME.sub("_", name.strip()))
        name = name if name.strip("_") else "unnamed"
        name = f"column_{name}" if is_number(name) else name
    while name in taken:
        name += "_"
    return name


def is_number(word: str) -> bool:
    """Whether Python reads the word as a number; "nan" and "inf" are numbers."""
    try:
        float(word)
    except ValueError:
        return False
    return True


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
    with np.errstate(over="ignore"):
        spacing = np.linalg.norm(np.ptp(rows, axis=0)) / np.sqrt(len(rows)) if len(rows) else 0.0
    return bool(error.max() <= tolerance * spacing)


def _as_labels(values: np.ndarray) -> np.ndarray:
    """Integer labels, if the format stored them as floats."""
    if values.dtype.kind == "f" and values.size and np.isfinite(values).all():
        whole = np.rint(values)
        if np.array_equal(whole, values) and np.abs(whole).max() < 2**31:
            return whole.astype(np.int32)
    return values


def _vectors(columns: Columns) -> Sources:
    """The names of attributes and of their columns; foo_0, foo_1, ... (from 0, without gaps, of one dtype) are foo."""
    out: Sources = {}
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
            out[stem] = tuple(parts)
            done.update(parts)
        else:
            out[name] = (name,)
    return out
