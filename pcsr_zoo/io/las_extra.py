"""Extra dimensions of LAS: the records that describe them (LAS 1.4 R15, table 24) survive byte by byte.

laspy needs names that are distinct and are not names of standard dimensions, reads one record of several, and writes
minima, maxima and "no data" values of its own. Here the dimensions get such names for laspy alone, and a file that is
written gets the records that were read.
"""

from __future__ import annotations

import struct
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from ..errors import FileError
from .columns import Columns, free_name

_RECORD = 192
_TYPES = ("u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8")
_NO_DATA, _SCALE, _OFFSET = 1, 8, 16  # bits of the options
_LASF, _NUMBER, _HEAD = "LASF_Spec", 4, 54
_HIDDEN = b"pcsr-zoo extra"


def _field(record: bytes, at: int, kind: str, count: int) -> np.ndarray:
    return np.frombuffer(record, kind, 3, at)[:count]


def _type(record: bytes) -> tuple[np.dtype, int]:
    """The dtype and the number of elements of a dimension; undocumented bytes are uint8."""
    number, options = record[2], record[3]
    if number == 0:
        return np.dtype("u1"), max(1, options)
    if number > 30:
        raise ValueError(f"an extra dimension has the unknown type {number}")
    return np.dtype("<" + _TYPES[(number - 1) % 10]), 1 + (number - 1) // 10


def _name(record: bytes) -> str:
    return record[4:36].split(b"\0")[0].decode("utf-8", "replace")


def name_extra_dimensions(laspy: ModuleType, header: Any) -> list[bytes]:
    """Give the header dimensions of distinct names, from all of its records, which are returned in their order.

    Bytes of a point that no record describes keep the dimension that laspy makes of them.
    """
    data = b"".join(bytes(vlr.record_data_bytes()) for vlr in header.vlrs if vlr.user_id == _HIDDEN.decode())
    size = header.point_format.size
    found = [data[at : at + _RECORD] for at in range(0, len(data) - _RECORD + 1, _RECORD)]
    layout = type(header.point_format)(header.point_format.id)
    records: list[bytes] = []
    taken = dict.fromkeys([*layout.dimension_names, "x", "y", "z", "xyz", "array", "points"])
    for record in found:
        kind, count = _type(record)
        if layout.size + kind.itemsize * count > size:
            break  # laspy ignores records that do not fit, too
        name = free_name(_name(record) or "unnamed", taken, clean=False)
        taken[name] = None
        layout.add_extra_dimension(laspy.ExtraBytesParams(name, kind if count == 1 else f"{count}{kind.str[1:]}"))
        records.append(record)
    if rest := size - layout.size:
        name = free_name("ExtraBytes", taken, clean=False)
        layout.add_extra_dimension(laspy.ExtraBytesParams(name, "u1" if rest == 1 else f"{rest}u1"))
    header._point_format = layout  # the public setter writes records of laspy's own
    keep_records(header.vlrs)
    return records


def hidden_records(data: bytes) -> bytes:
    """The bytes of a file whose records of extra dimensions have another name, which laspy does not know."""
    out = bytearray(data[: int.from_bytes(data[96:100], "little")])
    at = int.from_bytes(data[94:96], "little")
    for _ in range(int.from_bytes(data[100:104], "little")):
        if at + _HEAD > len(out):
            break
        number, length = struct.unpack_from("<HH", out, at + 18)
        if number == _NUMBER and out[at + 2 : at + 18].split(b"\0")[0] == _LASF.encode():
            out[at + 2 : at + 18] = _HIDDEN.ljust(16, b"\0")
        at += _HEAD + length
    return bytes(out) + data[len(out) :]


def _describes(record: Any) -> bool:
    return record.user_id == _HIDDEN.decode() or (record.user_id, record.record_id) == (_LASF, _NUMBER)


def keep_records(vlrs: Any, records: list[bytes] | None = None) -> None:
    """Remove the records of extra dimensions from a list of records, and add these, if any."""
    others = [vlr for vlr in vlrs if not _describes(vlr)]
    if records:
        import laspy

        others.append(laspy.VLR(_LASF, _NUMBER, "Extra Bytes Record", b"".join(records)))
    vlrs.clear()
    vlrs.extend(others)


def take_extra(las: Any, records: list[bytes]) -> Columns:
    """Columns of the extra dimensions, scaled; "no data" is NaN in dimensions of floats and scaled ones."""
    names = list(las.point_format.extra_dimension_names)
    columns: Columns = {}
    for i, name in enumerate(names):
        values = np.array(las.points.array[name])
        columns[name] = _scaled(values, records[i]) if i < len(records) else values
    return columns


def _scaled(values: np.ndarray, record: bytes) -> np.ndarray:
    """Real values of the stored ones."""
    count = 1 if values.ndim == 1 else values.shape[1]
    options = record[3] if record[2] else 0
    none = _no_data(record, values.dtype, count)
    is_float = values.dtype.kind == "f"
    if not options & (_SCALE | _OFFSET) and not (none is not None and is_float):
        return values
    real = values.astype(np.float64) if options & (_SCALE | _OFFSET) else values.copy()
    if options & _SCALE:
        real = real * _field(record, 112, "<f8", count)
    if options & _OFFSET:
        real = real + _field(record, 136, "<f8", count)
    if none is not None:
        real[values == none] = np.nan
    return real


def _no_data(record: bytes, kind: np.dtype, count: int) -> np.ndarray | None:
    if not record[2] or not record[3] & _NO_DATA:
        return None
    wide = {"f": "<f8", "i": "<i8", "u": "<u8"}[kind.kind]
    with np.errstate(over="ignore"):
        return _field(record, 40, wide, count).astype(kind)


def add_extra_dimensions(laspy: ModuleType, header: Any, records: list[bytes], new: Columns) -> list[bytes]:
    """Add dimensions for new columns to a header, and return the records of all of its extra dimensions.

    The keys of `new` become the names of the dimensions. Their records have at most 32 bytes of the names.
    """
    present = list(header.point_format.extra_dimension_names)
    out = list(records)
    if new and len(present) > len(out):  # bytes that no record describes get some, so that others can follow
        for i in range(header.point_format.dimension_by_name(present[-1]).num_elements):
            out.append(struct.pack("<2xBB32s", 1, 0, f"byte {i}".encode()).ljust(_RECORD, b"\0"))
    stored = {_name(record): None for record in out}
    for name, values in new.items():
        kind = np.dtype(np.float32) if values.dtype == np.float16 else values.dtype
        kind = np.dtype(np.uint8) if kind.kind == "b" else kind
        count = 1 if values.ndim == 1 else values.shape[1]
        number = 10 * (count - 1) + _TYPES.index(kind.str[1:]) + 1
        short = free_name(" ".join(name.split()).encode()[:32].decode("utf-8", "ignore"), stored, clean=False)
        while len(short.encode()) > 32:  # an underscore was added
            short = free_name(short.encode()[:30].decode("utf-8", "ignore") + "_", stored, clean=False)
        stored[short] = None
        header.point_format.add_extra_dimension(
            laspy.ExtraBytesParams(name, kind if count == 1 else f"{count}{kind.str[1:]}")
        )
        out.append(struct.pack("<2xBB32s", number, 0, short.encode()).ljust(_RECORD, b"\0"))
    return out


def put_extra(las: Any, records: list[bytes], columns: Columns, new: list[str], path: Path) -> None:
    """Store columns in the extra dimensions, of which the last ones are `new`.

    Raises:
        FileError: a value does not fit.
    """
    names = list(las.point_format.extra_dimension_names)
    described = dict(zip(names[len(names) - len(new) :], records[len(records) - len(new) :], strict=True))
    described |= dict(zip(names[: len(names) - len(new)], records, strict=False))
    for name in names:
        if name in columns:
            out = las.points.array[name]
            values = columns[name].astype(np.uint8) if columns[name].dtype.kind == "b" else columns[name]
            count = 1 if out.ndim == 1 else out.shape[1]
            record = described.get(name, bytes(_RECORD))
            las.points.array[name] = _stored(values, record, out.dtype, count, name, path)


def _stored(values: np.ndarray, record: bytes, kind: np.dtype, count: int, name: str, path: Path) -> np.ndarray:
    """The values as they are stored, the reverse of `_scaled`."""
    options = record[3] if record[2] else 0
    none = _no_data(record, kind, count)
    scaled = options & (_SCALE | _OFFSET)
    if not scaled and values.dtype == kind and (none is None or kind.kind != "f"):
        return values
    missing = np.isnan(values) if values.dtype.kind == "f" else np.zeros(values.shape, bool)
    real = values
    if scaled:
        offset = _field(record, 136, "<f8", count) if options & _OFFSET else 0.0
        scale = _field(record, 112, "<f8", count) if options & _SCALE else 1.0
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            real = (values - offset) / scale
        real = real.reshape(values.shape)
    if kind.kind == "f":
        with np.errstate(over="ignore"):
            out = real.astype(kind)
    else:
        whole = np.rint(real) if real.dtype.kind == "f" else real
        low, high = np.iinfo(kind).min, np.iinfo(kind).max
        inside = whole[~missing]
        if (missing.any() and none is None) or (inside.size and not (inside.min() >= low and inside.max() <= high)):
            raise FileError(
                f"cannot write {path}: the extra dimension '{name}' is stored as {kind.name}, but the cloud has a "
                "value that does not fit it; change or delete this attribute, or write .ply"
            )
        out = np.where(missing, 0, whole).astype(kind)
    if none is not None:
        out = np.where(missing, none, out)
    return out


def fitting(values: np.ndarray, dimension: Any, name: str, path: Path) -> np.ndarray:
    """The values in the type of the dimension; rounded for an integer type.

    Raises:
        FileError: a value does not fit.
    """
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
