"""PCD v0.7 files of the Point Cloud Library: ascii, binary and binary_compressed."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from ..cloud import COLORS, Cloud
from ..errors import CloudError, FileError
from . import lzf
from .atomic import atomic_path
from .columns import (
    Columns,
    cloud_from_columns,
    colors_as_uint8,
    columns_from_cloud,
    float32_is_enough,
    free_name,
    numeric,
)
from .files import read_bytes
from .limits import check_expansion
from .pcd_header import Header, parse_header
from .recovery_note import KEY, MARK, note_of, note_to_text, split_comments
from .table import parse_table

_PCL_NAMES = {"nx": "normal_x", "ny": "normal_y", "nz": "normal_z", "labels": "label"}


def read_pcd(path: str | PathLike[str]) -> Cloud:
    """Read the points with all fields.

    `rgb` and `rgba`, packed into a float or an unsigned integer, become `colors` (uint8) and `alpha`. normal_x,
    normal_y and normal_z become `normals`. An organized cloud (HEIGHT > 1) has NaN for pixels without a measurement.

    Raises:
        FileError: the file is not a PCD file, is truncated, or has wrong counts.
    """
    path = Path(path)
    data = read_bytes(path)
    header = parse_header(data, path)
    body = data[header.size :]
    if header.encoding == "ascii":
        columns = _from_ascii(body, header, path)
    elif header.encoding == "binary":
        columns = _from_rows(body, header, path)
    else:
        columns = _from_compressed(body, header, path)
    for name in ("rgb", "rgba"):
        if name in columns and columns[name].dtype.itemsize == 4 and columns[name].ndim == 1:
            _unpack_colors(columns, name)
    metadata: dict[str, Any] = {
        "format": "PCD",
        "encoding": header.encoding,
        "position_dtype": "float64" if header.row["x"].itemsize == 8 else "float32",
        "pcd": {
            "viewpoint": header.viewpoint,
            "width": header.width,
            "height": header.height,
            "vectors": [name for name, values in columns.items() if values.ndim == 2],
        },
    }
    if note := split_comments(header.comments, str(path))[1]:
        metadata[KEY] = note
    try:
        return cloud_from_columns(columns, metadata)
    except CloudError as error:
        raise FileError(f"{path}: {error}") from None


def write_pcd(cloud: Cloud, path: str | PathLike[str], overwrite: bool = True) -> None:
    """Write a binary PCD file. Positions are float32, as PCL expects, or float64 if float32 would move the points.

    An attribute (N, C) becomes C fields, or one field with COUNT C if it was read from one.

    Raises:
        FileError: the file cannot be written.
    """
    path = Path(path)
    said = cloud.metadata.get("pcd", {})
    vectors = {n: v for n, v in cloud.attributes.items() if n in said.get("vectors", []) and v.ndim == 2}
    try:
        scalars = {name: values for name, values in cloud.attributes.items() if name not in vectors}
        columns = columns_from_cloud(Cloud(cloud.positions, scalars))
        columns.update({free_name(name, columns): numeric(name, values) for name, values in vectors.items()})
    except CloudError as error:
        raise FileError(f"cannot write {path}: {error}") from None
    if float32_is_enough(cloud.positions):
        columns.update({axis: columns[axis].astype(np.float32) for axis in ("x", "y", "z")})
    columns = {_PCL_NAMES.get(name, name): values for name, values in columns.items()}
    if COLORS in cloud.attributes and cloud.attributes[COLORS].shape[1] >= 3:
        columns = _pack_colors(columns)
    columns = {name: v.astype(np.float32) if v.dtype == np.float16 else v for name, v in columns.items()}
    fields = [(name, v.dtype.newbyteorder("<"), v.shape[1:]) for name, v in columns.items()]
    table = np.empty(len(cloud), np.dtype(fields))
    for name, values in columns.items():
        table[name] = values
    kinds = {"f": "F", "i": "I", "u": "U"}
    viewpoint = said.get("viewpoint", [0, 0, 0, 1, 0, 0, 0])
    header = [
        "# .PCD v0.7 - Point Cloud Data file format",
        *([f"# {MARK} {note_to_text(note)}"] if (note := note_of(cloud.metadata)) else []),
        "VERSION 0.7",
        "FIELDS " + " ".join(columns),
        "SIZE " + " ".join(str(v.dtype.itemsize) for v in columns.values()),
        "TYPE " + " ".join(kinds[v.dtype.kind] for v in columns.values()),
        "COUNT " + " ".join(str(v.shape[1] if v.ndim == 2 else 1) for v in columns.values()),
        f"WIDTH {len(cloud)}",
        "HEIGHT 1",
        "VIEWPOINT " + " ".join(f"{float(v):.17g}" for v in viewpoint),
        f"POINTS {len(cloud)}",
        "DATA binary",
    ]
    with atomic_path(path, overwrite) as temporary, open(temporary, "wb") as handle:
        handle.write(("\n".join(header) + "\n").encode("utf-8"))
        handle.write(table.tobytes())


def _from_ascii(body: bytes, header: Header, path: Path) -> Columns:
    numbers = parse_table(body.decode("utf-8", "replace"), path, first_line=header.lines + 1)
    width = sum(int(np.prod(header.row[name].shape)) for name in header.row.names or ())
    if len(numbers) != header.points or (header.points and numbers.shape[1] != width):
        raise FileError(
            f"{path}: the header says {header.points} points of {width} numbers, but there are {len(numbers)} rows of "
            f"{numbers.shape[1]}; the file is truncated or its header is wrong"
        )
    numbers = numbers.reshape(header.points, width)
    columns: Columns = {}
    at = 0
    for name in header.row.names or ():
        kind, shape = header.row[name].base, header.row[name].shape
        count = int(np.prod(shape))
        values = numbers[:, at : at + count].reshape(-1, *shape)
        at += count
        if kind.kind == "V":
            continue
        if kind.kind == "f":  # positions keep all digits of the text
            columns[name] = values if name in ("x", "y", "z") else values.astype(kind)
        else:
            limits = np.iinfo(kind)
            if not ((values >= limits.min) & (values <= limits.max)).all():
                raise FileError(f"{path}: field '{name}' has a number that does not fit its type {kind}")
            columns[name] = values.astype(kind)
    return columns


def _from_rows(body: bytes, header: Header, path: Path) -> Columns:
    if len(body) < header.points * header.row.itemsize:
        raise FileError(
            f"{path} is truncated: {header.points} points take {header.points * header.row.itemsize} bytes, but it has "
            f"{len(body)}; copy or download it again"
        )
    table = np.frombuffer(body, header.row, header.points)
    return {
        name: np.ascontiguousarray(table[name]) for name in header.row.names or () if header.row[name].base.kind != "V"
    }


def _from_compressed(body: bytes, header: Header, path: Path) -> Columns:
    """Read two sizes, then LZF data with one field after the other."""
    expected = header.points * header.row.itemsize
    check_expansion(path, expected, len(body), f"{header.points:,} points of {header.row.itemsize} bytes")
    if not header.points and len(body) < 8:
        return {name: np.empty(0, header.row[name].base) for name in header.row.names or ()}
    packed, size = (int(v) for v in np.frombuffer(body[:8].ljust(8, b"\0"), "<u4"))
    if len(body) < 8 or len(body) - 8 < packed:
        raise FileError(f"{path} is truncated: it has {max(len(body) - 8, 0)} of {packed} compressed bytes")
    if size != expected:
        raise FileError(f"{path}: {header.points} points take {expected} bytes, but the compressed block has {size}")
    try:
        plain = lzf.decompress(body[8 : 8 + packed], size)
    except ValueError as error:
        raise FileError(f"{path}: the compressed block is broken: {error}") from None
    columns: Columns = {}
    at = 0
    for name in header.row.names or ():
        kind, shape = header.row[name].base, header.row[name].shape
        count = header.points * int(np.prod(shape))
        if kind.kind != "V":
            columns[name] = np.frombuffer(plain, kind, count, at).reshape(-1, *shape)
        at += count * kind.itemsize
    return columns


def _unpack_colors(columns: Columns, name: str) -> None:
    packed = np.ascontiguousarray(columns.pop(name)).view(np.uint32)
    if "red" in columns or COLORS in columns:
        return
    columns.update(
        red=(packed >> 16 & 255).astype(np.uint8),
        green=(packed >> 8 & 255).astype(np.uint8),
        blue=(packed & 255).astype(np.uint8),
    )
    if name == "rgba":
        columns.setdefault("alpha", (packed >> 24).astype(np.uint8))


def _pack_colors(columns: Columns) -> Columns:
    """Pack red, green and blue into a float `rgb`, as PCL does; with an 8-bit alpha into an unsigned `rgba`."""
    red, green, blue = (colors_as_uint8(columns[name]).astype(np.uint32) for name in ("red", "green", "blue"))
    packed = red << 16 | green << 8 | blue
    with_alpha = "alpha" in columns and columns["alpha"].dtype == np.uint8
    out: Columns = {}
    for name, values in columns.items():
        if name == "red":
            if with_alpha:
                out["rgba"] = packed | columns["alpha"].astype(np.uint32) << 24
            else:
                out["rgb"] = packed.view(np.float32)
        elif name not in ("green", "blue") and not (name == "alpha" and with_alpha):
            out[name] = values
    return out
