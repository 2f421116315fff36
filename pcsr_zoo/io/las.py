"""LAS and LAZ with laspy (optional: `pip install "pcsr-zoo[las]"`).

Every dimension that is used becomes an attribute: red, green and blue become `colors` (uint16, or uint8 if no value is
above 255, as many files store bytes there), classification becomes `labels`, and the others keep their names. Standard
dimensions that are 0 at all points are not read; they are 0 in a file that is written, too. The header (point format,
scales, offsets, records, extra dimensions) is kept in `metadata["las"]["header"]` and written again.
"""

from __future__ import annotations

import io
from os import PathLike
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from ..cloud import COLORS, INTENSITY, LABELS, Cloud
from ..errors import CloudError, DependencyError, FileError
from .atomic import atomic_path
from .columns import Columns, colors_as_uint8, columns_from_cloud, free_name, group_columns
from .files import read_bytes, readable_file
from .las_extra import (
    add_extra_dimensions,
    fitting,
    hidden_records,
    keep_records,
    name_extra_dimensions,
    put_extra,
    take_extra,
)
from .las_header import (
    COLORED,
    check_scales,
    check_sizes,
    copied_header,
    degrees_crs,
    fresh_header,
    put_note,
    take_note,
    with_colors,
)
from .laz import decompress
from .recovery_note import KEY

_CLASSIFICATION, _RGB = "classification", ("red", "green", "blue")
_RETURNS = ("return_number", "number_of_returns")


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
    """Read scaled positions (float64), the dimensions that are used, and the header.

    Raises:
        FileError: the file is not a LAS file, or is truncated.
        DependencyError: laspy (for LAZ: lazrs) is not installed.
    """
    path = readable_file(path)
    laspy = import_laspy(path)
    check_sizes(path)
    las, packed, extra = _read(laspy, path)
    check_scales(las.header, path)
    positions = np.stack([np.array(las.x), np.array(las.y), np.array(las.z)], axis=1)
    columns, dimensions = _used(las, extra)
    ones = all(name in columns and (columns[name] == 1).all() for name in _RETURNS)
    for name in _RETURNS if ones else ():  # what a file says whose points were not measured by returns
        del columns[name]
    eight_bits = (
        las.point_format.id in COLORED
        and "red" in columns
        and 0 < max(columns[name].max(initial=0) for name in _RGB) < 256
    )
    if eight_bits:
        columns.update({name: columns[name].astype(np.uint8) for name in _RGB})
    attributes, sources = group_columns(columns)
    header = las.header
    metadata: dict[str, Any] = {"format": "LAS", "encoding": "LAZ" if packed else "binary"}
    note, grid = take_note(header, str(path))
    metadata |= {key: value for key, value in ((KEY, note), ("grid", grid)) if value is not None}
    if crs := degrees_crs(header):
        metadata["degrees"] = crs
    about = {
        "header": header,
        "extra": extra,
        "eight_bits": eight_bits,
        "single_returns": ones,
        "dimensions": {name: tuple(dimensions[part] for part in parts) for name, parts in sources.items()},
    }
    return Cloud(positions, attributes, {**metadata, "position_dtype": "float64", "las": about})


def _read(laspy: ModuleType, path: Path) -> tuple[Any, bool, list[bytes]]:
    """A `laspy.LasData`, whether it was compressed, and the records of its extra dimensions."""
    data = read_bytes(path)
    try:
        with laspy.LasReader(io.BytesIO(hidden_records(data))) as reader:
            header = reader.header
            packed, record = header.are_points_compressed, header.vlrs.extract("LasZipVlr")
            extra = name_extra_dimensions(laspy, header)
            if header.evlrs is not None:
                keep_records(header.evlrs)
            size, start = header.point_format.size, header.offset_to_point_data
            if packed:
                if not record:
                    raise FileError(f"{path} is broken: it is compressed, but has no record that describes how")
                data = decompress(path, start, header.point_count, size, bytes(record[0].record_data))
                start = 0
                header.are_points_compressed = False
            left = max(0, len(data) - start) // size
            if left < header.point_count:
                raise FileError(
                    f"{path} is truncated: the header says {header.point_count} points, the file has {left}"
                )
            points = laspy.PackedPointRecord.from_buffer(
                bytearray(data[start : start + header.point_count * size]), header.point_format
            )
            points = laspy.ScaleAwarePointRecord(points.array, points.point_format, header.scales, header.offsets)
            las = laspy.LasData(header, points)
            las.evlrs = header.evlrs
    except FileError:
        raise
    except BaseException as error:  # laspy, struct and numpy raise many; pyo3 raises a BaseException
        if isinstance(error, (KeyboardInterrupt, SystemExit, MemoryError)):
            raise
        raise FileError(f"{path} is not a LAS file, is truncated, or is broken: {error}") from None
    return las, packed, extra


def _used(las: Any, extra: list[bytes]) -> tuple[Columns, dict[str, str]]:
    """Columns of the dimensions that are used, and the dimension of each. NaN stands for "no data"."""
    columns: Columns = {}
    dimensions: dict[str, str] = {}
    standard = [name for name in las.point_format.standard_dimension_names if name not in ("X", "Y", "Z")]
    for name in standard:
        values = np.array(las[name])
        key = LABELS if name == _CLASSIFICATION else name
        columns[key], dimensions[key] = values, name
    for group in (_RGB, *((key,) for key in list(columns) if key not in _RGB)):
        if group[0] in columns and not any(columns[key].any() for key in group):
            for key in group:
                del columns[key]
    for name, values in take_extra(las, extra).items():
        key = free_name(name, {**columns, "x": 0, "y": 0, "z": 0}, clean=False)
        columns[key], dimensions[key] = values, name
    return columns, dimensions


def write_las(cloud: Cloud, path: str | PathLike[str], overwrite: bool = True) -> None:
    """Write a cloud with the header that it was read with, or with a new one.

    The header keeps its point format, scales, offsets and records; positions are rounded to its scale. A new header is
    LAS 1.4 with point format 7 for clouds with colors and 6 for others, and its scale is at most 1e-4 of the point
    spacing and at most 0.001 units.

    Attributes that the point format does not have become extra dimensions. For new colors the point format changes to
    the one that adds them. Float colors and intensities in [0, 1] are scaled to 16 bits.

    Raises:
        FileError: the file cannot be written; a position does not fit the header's scale and offset; an
            attribute does not fit its dimension; the suffix is .copc.laz.
        DependencyError: laspy (for LAZ: lazrs) is not installed.
    """
    path = Path(path)
    if path.name.lower().endswith(".copc.laz"):
        raise FileError(f"cannot write {path}: COPC is not supported; write .laz, and convert it with PDAL or untwine")
    laspy = import_laspy(path)
    said = cloud.metadata.get("las", {})
    try:
        cloud.validate(min_points=0)  # integers cannot say NaN
        columns = _columns(cloud, said)
    except CloudError as error:
        raise FileError(f"cannot write {path}: {error}") from None
    if said.get("header") is None:
        header = fresh_header(laspy, cloud.positions, COLORS in cloud.attributes)
        columns = _for_fresh_header(columns)
    else:
        header = copied_header(said["header"])
        if COLORS in cloud.attributes:
            with_colors(header)
    put_note(laspy, header, cloud)
    try:
        las, records = _fill(laspy, header, cloud, columns, path)
    except OverflowError:
        raise FileError(
            f"cannot write {path}: a position does not fit into 32 bits at the scale {header.scales} and offset "
            f"{header.offsets} of the input file; write .ply, or delete metadata['las'] for a new header"
        ) from None
    with atomic_path(path, overwrite) as temporary:
        try:
            with open(temporary, "wb+") as handle:
                keep_records(las.header.vlrs, records)
                las.update_header()
                packed = path.suffix.lower() == ".laz"
                with laspy.LasWriter(handle, las.header, do_compress=packed, closefd=False) as writer:
                    writer.write_points(las.points)
                    if las.header.version.minor >= 4 and las.evlrs is not None:
                        writer.write_evlrs(las.evlrs)
        except (OSError, MemoryError):
            raise
        except Exception as error:
            raise FileError(f"cannot write {path}: {error}; check the path and the disk") from error


def _columns(cloud: Cloud, said: dict[str, Any]) -> Columns:
    """Columns under the names of their dimensions, if they were read from LAS, else under their own."""
    known = said.get("dimensions", {})
    columns: Columns = {}
    attributes = dict(cloud.attributes)
    if COLORS in attributes:
        attributes[COLORS] = _sixteen_bits(attributes[COLORS], said.get("eight_bits", False))
    for name, values in attributes.items():
        parts = known.get(name, ())
        width = 1 if values.ndim == 1 else values.shape[1]
        if len(parts) == 1 and parts[0] not in columns:
            columns[parts[0]] = values
        elif len(parts) == width and values.ndim == 2 and not set(parts) & set(columns):
            columns.update(zip(parts, values.T, strict=True))
        else:
            others = columns_from_cloud(Cloud(cloud.positions, {name: values}))
            for part, column in list(others.items())[3:]:
                part = _CLASSIFICATION if part == LABELS and column.dtype.kind in "iu" else part
                columns[free_name(part, columns, clean=False)] = column
    if said.get("single_returns"):
        for name in _RETURNS:
            columns.setdefault(name, np.ones(len(cloud), np.uint8))
    return columns


def _sixteen_bits(colors: np.ndarray, eight_bits: bool) -> np.ndarray:
    """Colors in 16 bits, or as bytes in 16 bits if the source had bytes."""
    if eight_bits:
        return colors_as_uint8(colors).astype(np.uint16)
    if colors.dtype == np.uint8:
        return colors.astype(np.uint16) * 257
    if colors.dtype.kind == "f":
        return np.rint(np.clip(np.nan_to_num(colors), 0, 1) * 65535).astype(np.uint16)
    return colors


_WHOLE = 1 / 128  # share of whole values, from which on a column is one of whole values that were interpolated


def _for_fresh_header(columns: Columns) -> Columns:
    """Rename the columns that do not fit the standard dimensions, so that they become extra dimensions."""
    labels, intensity = columns.get(_CLASSIFICATION), columns.get(INTENSITY)
    if labels is not None and labels.size and (labels.min() < 0 or labels.max() > 255):
        columns[LABELS] = columns.pop(_CLASSIFICATION)
    if intensity is not None and intensity.size and intensity.dtype != np.uint16:
        low, high = intensity.min(), intensity.max()
        if intensity.dtype.kind == "f" and low >= 0 and high <= 1:
            columns[INTENSITY] = np.rint(intensity.astype(np.float64) * 65535).astype(np.uint16)
        elif low >= 0 and high <= 65535 and np.mean(intensity == np.rint(intensity)) >= _WHOLE:
            columns[INTENSITY] = np.rint(intensity).astype(np.uint16)  # whole ones, and means of them
        else:
            columns[free_name("raw_intensity", columns)] = columns.pop(INTENSITY)
    columns.setdefault(_RETURNS[0], np.ones(len(next(iter(columns.values()), [])), np.uint8))
    columns.setdefault(_RETURNS[1], columns[_RETURNS[0]])
    return columns


def _fill(laspy: ModuleType, header: Any, cloud: Cloud, columns: Columns, path: Path) -> tuple[Any, list[bytes]]:
    """Make a `laspy.LasData` with the cloud's points, and the records of its extra dimensions."""
    standard = {d.name: d for d in header.point_format.standard_dimensions}
    present = set(header.point_format.dimension_names)
    new = {name: values for name, values in columns.items() if name not in present}
    records = add_extra_dimensions(laspy, header, cloud.metadata.get("las", {}).get("extra", []), new)
    las = laspy.LasData(header, laspy.ScaleAwarePointRecord.zeros(len(cloud), header=header))
    las.x, las.y, las.z = cloud.positions.T
    for name, dimension in standard.items():
        if (column := columns.get(name)) is not None:
            las[name] = fitting(column, dimension, name, path)
    put_extra(las, records, columns, list(new), path)
    return las, records
