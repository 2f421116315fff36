"""LAS headers: new and copied ones, recovery notes in them, and their description."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from ..cloud import Cloud
from ..errors import FileError
from ..geometry.grid import Grid
from .recovery_note import MARK, note_from_text, note_of, note_to_text

COLORED = (2, 3, 5, 7, 8, 10)  # point formats with red, green and blue
_COLORED = {0: 2, 1: 3, 4: 5, 6: 7, 9: 10}  # point format -> the one that adds colors
_COARSEST = 1e-3
_MODEL, _GEOGRAPHIC, _PROJECTED = 1024, 2048, 3072  # GeoTIFF keys
_LINEAR_UNIT, _UNITS = 3076, {9001: "metre", 9002: "foot", 9003: "US survey foot"}
_RECORD, _LONG_RECORD = 54, 60  # smallest size of a variable length record, in bytes
_LARGEST = 2e9  # coordinates are 32-bit integers


def check_sizes(path: Path) -> None:
    """Check the counts in the header against the size of the file; laspy allocates whatever they say.

    Raises:
        FileError: they do not match, or this is not a LAS file.
    """
    try:
        with open(path, "rb") as handle:
            head = handle.read(255)
        size = path.stat().st_size
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror or error}") from error
    if head[:4] != b"LASF" or len(head) < 227:
        raise FileError(f"{path} is not a LAS file, or is truncated: it does not begin with a LAS header")
    start, header_size = int.from_bytes(head[96:100], "little"), int.from_bytes(head[94:96], "little")
    records, row = int.from_bytes(head[100:104], "little"), int.from_bytes(head[105:107], "little")
    points, first_long, long_records = int.from_bytes(head[107:111], "little"), size, 0
    if head[25] >= 4 and len(head) == 255:
        first_long, long_records = (
            int.from_bytes(head[235:243], "little"),
            int.from_bytes(head[243:247], "little"),
        )
        points = int.from_bytes(head[247:255], "little")
    if (
        start > size
        or (points * row > size - start and not head[104] & 0x80)
        or header_size + records * _RECORD > start
        or (long_records and first_long + long_records * _LONG_RECORD > size)
    ):
        raise FileError(
            f"{path} is truncated or its header is broken: {points} points of {row} bytes after byte {start} "
            f"and {records + long_records} records do not fit into {size} bytes; copy or download it again"
        )


def check_scales(header: Any, path: Path) -> None:
    """Check that the header's scales and offsets give distinct coordinates.

    Raises:
        FileError: a scale is 0 or not a number, or an offset is so large that the scale is lost in its last digit.
    """
    for axis, scale, offset in zip("xyz", header.scales, header.offsets, strict=True):
        if not (np.isfinite(scale) and np.isfinite(offset)) or scale == 0 or np.spacing(abs(offset)) > abs(scale):
            raise FileError(
                f"{path}: the header has the scale {scale:g} and the offset {offset:g} for {axis}, so all coordinates "
                "would be equal or wrong; correct the header"
            )


def fresh_header(laspy: ModuleType, positions: np.ndarray, colors: bool) -> Any:
    """A LAS 1.4 header, point format 7 or 6, with a suitable scale and offset for the (N, 3) positions."""
    header = laspy.LasHeader(version="1.4", point_format=7 if colors else 6)
    header.generating_software = "pcsr-zoo"
    header.scales, header.offsets = scale_and_offset(positions)
    return header


def copied_header(origin: Any) -> Any:
    """A copy of the header, without the records of a COPC octree, which describe chunks of the other file."""
    header = copy.deepcopy(origin)
    if header.version.minor == 0:  # LAS 1.0 is not written any more, and 1.2 adds nothing that must be known
        header._version = type(header.version)(1, 2)
    _remove(header.vlrs, "copc")
    if header.evlrs is not None:
        _remove(header.evlrs, "copc")
    return header


def _remove(records: Any, user: str) -> None:
    """Remove a user's records in place: the setter of `header.vlrs` would add records of extra dimensions."""
    kept = [record for record in records if record.user_id != user]
    records.clear()
    records.extend(kept)


def put_note(laspy: ModuleType, header: Any, cloud: Cloud) -> None:
    """Store the cloud's recovery note as a record of the header, and its grid, if any, as scale and offset.

    The record keeps the scales and offsets that the grid replaces, because a recovered cloud is not on the grid.
    """
    _remove(header.vlrs, MARK)
    note = note_of(cloud.metadata)
    if note is None:
        return
    text: dict[str, Any] = dict(note)
    grid = cloud.metadata.get("grid")
    if grid is not None and grid.holds(cloud.positions):
        text |= {"scales": [float(v) for v in header.scales], "offsets": [float(v) for v in header.offsets]}
        header.scales, header.offsets = np.full(3, grid.step), grid.origin
    header.vlrs.append(laspy.VLR(MARK, 1, "note for pcsr recover", note_to_text(text).encode("ascii")))


def take_note(header: Any, where: str) -> tuple[dict[str, Any] | None, Grid | None]:
    """Read the note and the grid that `put_note` wrote, and restore the header."""
    records = [record for record in header.vlrs if record.user_id == MARK]
    if not records:
        return None, None
    _remove(header.vlrs, MARK)
    note = note_from_text(bytes(records[-1].record_data_bytes()).decode("utf-8", "replace"), where)
    scales, offsets = (_three_numbers((note or {}).pop(key, None)) for key in ("scales", "offsets"))
    if scales is None or offsets is None or not (scales > 0).all():
        return note, None
    grid = Grid(np.array(header.offsets, np.float64), float(header.scales[0]))
    header.scales, header.offsets = scales, offsets
    return note, grid


def _three_numbers(value: Any) -> np.ndarray | None:
    try:
        numbers = np.array(value, dtype=np.float64)
    except (TypeError, ValueError):
        return None
    return numbers if numbers.shape == (3,) and np.isfinite(numbers).all() else None


def scale_and_offset(positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A power of ten for all axes: at most 1e-4 of the spacing and 0.001 units, unless 32 bits do not suffice."""
    if not len(positions):
        return np.full(3, _COARSEST), np.zeros(3)
    low, high = positions.min(axis=0), positions.max(axis=0)
    extent = float((high - low).max())
    spacing = float(np.linalg.norm(high - low)) / np.sqrt(len(positions))
    finest = 4e-16 * max(float(np.abs(positions).max()), 1e-290)  # the precision of float64
    wanted = max(min(_COARSEST, 1e-4 * spacing) if spacing > 0 else _COARSEST, finest)
    exponent = int(np.floor(np.log10(wanted)))
    while extent / 10.0**exponent > _LARGEST:
        exponent += 1
    digits = min(max(-exponent - 6, 0), 300)  # the offset is a short number near the middle
    return np.full(3, 10.0**exponent), np.round((low + high) / 2, digits)


def with_colors(header: Any) -> None:
    """Change the header's point format, in place, to the one with red, green and blue."""
    number = header.point_format.id
    if number not in _COLORED or "red" in header.point_format.dimension_names:
        return
    colored = type(header.point_format)(_COLORED[number])
    colored.dimensions.extend(header.point_format.extra_dimensions)
    header._point_format = colored  # the public setter writes records of extra dimensions of laspy's own
    header._version = type(header.version).from_str(max(str(header.version), "1.2"))


def describe_header(header: Any) -> dict[str, Any]:
    """The entries of a LAS header that `pcsr info` prints."""
    about: dict[str, Any] = {
        "las_version": str(header.version),
        "point_format": int(header.point_format.id),
        "scales": [float(v) for v in header.scales],
        "offsets": [float(v) for v in header.offsets],
        "generating_software": str(header.generating_software),
    }
    if extra := list(header.point_format.extra_dimension_names):
        about["extra_dimensions"] = extra
    if crs := crs_text(header):
        about["crs"] = crs
    return about


def degrees_crs(header: Any) -> str | None:
    """The text of the coordinate reference system if its coordinates are degrees, else None."""
    text = crs_text(header)
    keys = next((r for r in header.vlrs if type(r).__name__ == "GeoKeyDirectoryVlr"), None)
    codes = {key.id: key.value_offset for key in keys.geo_keys} if keys is not None else {}
    if text is None:
        return None
    start = text.lstrip().upper()
    if start.startswith(("GEOGCS", "GEOGCRS", "GEODCRS", "GEODETICCRS", "GEOGRAPHICCRS")):
        return _short_name(text)
    if start.startswith("COMPD") and not ("PROJCS" in start or "PROJCRS" in start) and "GEOG" in start:
        return _short_name(text)
    geographic = codes.get(_MODEL) == 2 or (_GEOGRAPHIC in codes and _PROJECTED not in codes)
    return text if geographic and codes.get(_MODEL) != 1 else None


def _short_name(wkt: str) -> str:
    """The first name in a text of WKT, and its last EPSG code, if any."""
    name = wkt.partition('"')[2].partition('"')[0]
    codes = re.findall(r'(?:AUTHORITY\["EPSG",|ID\["EPSG",)"?(\d+)', wkt)
    return name + (f" (EPSG:{codes[-1]})" if codes else "")


def unit_of_header(header: Any) -> str | None:
    """The unit of length of the coordinate reference system, if it says one; of heights, too, if it is another."""
    text = crs_text(header) or ""
    names = re.findall(r'UNIT\["([^"]+)"', text)
    lengths = [name for name in names if not re.search("degree|grad|radian", name, re.IGNORECASE)]
    if lengths:
        return lengths[0] + (f" (heights: {lengths[-1]})" if lengths[-1] != lengths[0] else "")
    keys = next((r for r in header.vlrs if type(r).__name__ == "GeoKeyDirectoryVlr"), None)
    codes = {key.id: key.value_offset for key in keys.geo_keys} if keys is not None else {}
    return _UNITS.get(codes.get(_LINEAR_UNIT, 0))


def crs_text(header: Any) -> str | None:
    """The coordinate reference system as WKT, else the text of the GeoTIFF keys, else their EPSG code."""
    records = [*header.vlrs, *(getattr(header, "evlrs", None) or [])]
    by_kind = {type(record).__name__: record for record in records}
    if (wkt := by_kind.get("WktCoordinateSystemVlr")) is not None and wkt.string.strip("\0 "):
        return str(wkt.string).strip("\0 ")
    keys = by_kind.get("GeoKeyDirectoryVlr")
    codes = {key.id: key.value_offset for key in keys.geo_keys} if keys is not None else {}
    epsg = next((codes[k] for k in (_PROJECTED, _GEOGRAPHIC) if 0 < codes.get(k, 0) < 32767), None)
    text = by_kind.get("GeoAsciiParamsVlr")
    strings = [string.strip("|\0 ") for string in text.strings] if text is not None else []
    if name := next(filter(None, strings), None):
        return name + (f" (EPSG:{epsg})" if epsg else "")
    return f"EPSG:{epsg}" if epsg else None
