"""LAS and LAZ with laspy (optional: `pip install "pcsr-zoo[las]"`).

Every dimension becomes an attribute: red, green and blue become `colors` (uint16, or uint8 if no value is above 255,
as many files store bytes there), classification becomes `labels`, and the others keep laspy's names. The header (point
format, scales, offsets, records, extra dimensions) is kept in `metadata["las"]["header"]` and written again.
"""

from __future__ import annotations

import copy
from os import PathLike
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from ..cloud import COLORS, INTENSITY, LABELS, Cloud
from ..errors import CloudError, DependencyError, FileError
from .atomic import atomic_path
from .columns import Columns, cloud_from_columns, colors_as_uint8, columns_from_cloud, free_name
from .files import readable_file
from .las_header import check_sizes, copied_header, fresh_header, put_note, take_note, with_colors
from .recovery_note import KEY

_CLASSIFICATION, _RGB = "classification", ("red", "green", "blue")
_SAME = {f"{stem}{axis}": f"n{axis}" for stem in ("normal_", "normal") for axis in "xyz"}


def import_laspy(path: Path) -> ModuleType:
    """Import laspy, and check for a LAZ backend if the file is a .laz.

    Raises:
        DependencyError: one of them is not installed; the message says how to install it.
    """
    remedy = 'install it with: pip install "pcsr-zoo[las]"'
    try:
        import laspy
    except ImportError as error:
        raise DependencyError(f"{path}: LAS and LAZ files require laspy; {remedy}") from error
    if path.suffix.lower() == ".laz" and not laspy.LazBackend.detect_available():
        raise DependencyError(f"{path}: LAZ files require lazrs in addition to laspy; {remedy}")
    return laspy


def read_las(path: str | PathLike[str]) -> Cloud:
    """Read scaled positions (float64), all dimensions, and the header.

    Raises:
        FileError: the file is not a LAS file, or is truncated.
        DependencyError: laspy (for LAZ: lazrs) is not installed.
    """
    path = readable_file(path)
    laspy = import_laspy(path)
    check_sizes(path)
    try:
        las = laspy.read(str(path))
        names = [name for name in las.point_format.dimension_names if name not in ("X", "Y", "Z")]
        columns = {name: np.array(las[name]) for name in names}
        columns.update(zip("xyz", (np.array(las.x), np.array(las.y), np.array(las.z)), strict=True))
    except Exception as error:  # laspy, lazrs, struct and numpy raise different ones
        raise FileError(f"{path} is not a LAS file, is truncated, or is broken: {error}") from None
    if len(las.points) != las.header.point_count:
        raise FileError(
            f"{path} is truncated: the header says {las.header.point_count} points, the file has {len(las.points)}"
        )
    if _CLASSIFICATION in columns:
        if LABELS in columns:
            columns[free_name(LABELS, columns)] = columns[LABELS]
        columns[LABELS] = columns.pop(_CLASSIFICATION)
    header = copy.deepcopy(las.header)
    header.evlrs = copy.deepcopy(las.evlrs)
    eight_bits = "red" in columns and 0 < max(columns[name].max(initial=0) for name in _RGB) < 256
    if eight_bits:
        columns.update({name: columns[name].astype(np.uint8) for name in _RGB})
    metadata: dict[str, Any] = {"format": "LAS", "encoding": "LAZ" if header.are_points_compressed else "binary"}
    note, grid = take_note(header, str(path))
    metadata |= {key: value for key, value in ((KEY, note), ("grid", grid)) if value is not None}
    return cloud_from_columns(
        columns,
        {**metadata, "position_dtype": "float64", "las": {"header": header, "eight_bits": eight_bits}},
    )


def write_las(cloud: Cloud, path: str | PathLike[str]) -> None:
    """Write a cloud with the header that it was read with, or with a new one.

    The header keeps its point format, scales, offsets and records; positions are rounded to its scale. A new header is
    LAS 1.4 with point format 7 for clouds with colors and 6 for others, and its scale is at most 1e-4 of the point
    spacing and at most 0.001 units.

    Attributes that the point format does not have become extra dimensions. For new colors the point format changes to
    the one that adds them. Float colors and intensities in [0, 1] are scaled to 16 bits.

    Raises:
        FileError: the file cannot be written; a position does not fit the header's scale and offset; an
            attribute does not fit its dimension.
        DependencyError: laspy (for LAZ: lazrs) is not installed.
    """
    path = Path(path)
    laspy = import_laspy(path)
    try:
        cloud.validate(min_points=0)  # integers cannot say NaN
        columns = _columns(cloud, cloud.metadata.get("las", {}).get("eight_bits", False))
    except CloudError as error:
        raise FileError(f"cannot write {path}: {error}") from None
    origin = cloud.metadata.get("las", {}).get("header")
    if origin is None:
        header = fresh_header(laspy, cloud.positions, "red" in columns)
        columns = _for_fresh_header(columns)
    else:
        header = copied_header(origin)
        if "red" in columns:
            with_colors(header)
    put_note(laspy, header, cloud)
    try:
        las = _fill(laspy, header, cloud, columns, path)
    except OverflowError:
        raise FileError(
            f"cannot write {path}: a position does not fit into 32 bits at the scale {header.scales} and offset "
            f"{header.offsets} of the input file; write .ply, or delete metadata['las'] for a new header"
        ) from None
    with atomic_path(path) as temporary:
        try:
            las.write(str(temporary), do_compress=path.suffix.lower() == ".laz")
        except (OSError, MemoryError):
            raise
        except Exception as error:
            raise FileError(f"cannot write {path}: {error}; check the path and the disk") from error


def _columns(cloud: Cloud, eight_bits: bool) -> Columns:
    """Scalar columns under laspy's names; colors in 16 bits, or in 8 bits if the source had 8."""
    columns = columns_from_cloud(cloud)
    for axis in "xyz":
        del columns[axis]
    colors = cloud.attributes.get(COLORS)
    if colors is not None and "red" in columns:
        if eight_bits:
            colors = colors_as_uint8(colors).astype(np.uint16)
        elif colors.dtype == np.uint8:
            colors = colors.astype(np.uint16) * 257
        elif colors.dtype.kind == "f":
            colors = np.rint(np.clip(np.nan_to_num(colors), 0, 1) * 65535).astype(np.uint16)
        columns.update(zip(_RGB, colors.T, strict=False))
    if LABELS in columns and columns[LABELS].dtype.kind in "iu":
        columns = {_CLASSIFICATION if name == LABELS else name: values for name, values in columns.items()}
    return columns


def _for_fresh_header(columns: Columns) -> Columns:
    """Rename the columns that do not fit the standard dimensions, so that they become extra dimensions."""
    labels, intensity = columns.get(_CLASSIFICATION), columns.get(INTENSITY)
    if labels is not None and labels.size and (labels.min() < 0 or labels.max() > 255):
        columns[LABELS] = columns.pop(_CLASSIFICATION)
    if intensity is not None and intensity.size and intensity.dtype != np.uint16:
        low, high = intensity.min(), intensity.max()
        if intensity.dtype.kind == "f" and low >= 0 and high <= 1:
            columns[INTENSITY] = np.rint(intensity.astype(np.float64) * 65535).astype(np.uint16)
        elif not (low >= 0 and high <= 65535 and np.array_equal(intensity, np.rint(intensity))):
            columns[free_name("raw_intensity", columns)] = columns.pop(INTENSITY)
    columns.setdefault("return_number", np.ones(len(next(iter(columns.values()), [])), np.uint8))
    columns.setdefault("number_of_returns", columns["return_number"])
    return columns


def _fill(laspy: ModuleType, header: Any, cloud: Cloud, columns: Columns, path: Path) -> Any:
    """Make a `laspy.LasData` with the cloud's points."""
    known = {dimension.name: dimension for dimension in header.point_format.dimensions}
    sources = {name: _SAME.get(name.lower(), name) for name in known if name not in columns}
    taken = {*known, *sources.values()}
    split = {f"{name}_{i}" for name, d in known.items() for i in range(d.num_elements) if d.num_elements > 1}
    extra: Columns = {}
    for name, values in columns.items():
        if name not in taken and name not in split:
            short = free_name(name.encode()[:32].decode("utf-8", "ignore"), {**known, **extra})
            extra[short] = values.astype(np.float32) if values.dtype == np.float16 else values
    if extra:
        header.add_extra_dims([laspy.ExtraBytesParams(name, values.dtype) for name, values in extra.items()])
    las = laspy.LasData(header, laspy.ScaleAwarePointRecord.zeros(len(cloud), header=header))
    las.x, las.y, las.z = cloud.positions.T
    for name, dimension in known.items():
        if dimension.num_elements > 1 and name in cloud.attributes:
            las[name] = cloud.attributes[name]
        elif (column := columns.get(sources.get(name, name))) is not None:
            las[name] = column if dimension.is_scaled else _fitting(column, dimension, name, path)
    for name, values in extra.items():
        las[name] = values
    return las


def _fitting(values: np.ndarray, dimension: Any, name: str, path: Path) -> np.ndarray:
    """The values in the type of the dimension; rounded for an integer type."""
    kind = dimension.kind.name
    if kind == "FloatingPoint":
        return values
    whole = np.rint(values) if values.dtype.kind == "f" else values
    signed = kind == "SignedInteger"
    low, high = (-(2 ** (dimension.num_bits - 1)) if signed else 0), 2 ** (dimension.num_bits - signed) - 1
    if whole.size and not (whole.min() >= low and whole.max() <= high):
        raise FileError(
            f"cannot write {path}: '{name}' of this point format stores {low} to {high}, but the cloud has values of "
            f"{whole.min():g} to {whole.max():g}; change or delete this attribute, or write .ply"
        )
    return whole.astype(np.int64 if signed else np.uint64)
