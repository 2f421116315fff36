"""COLMAP's points3D.bin and points3D.txt: points of structure from motion, with colors, errors and tracks.

The tracks (in which images a point was seen) stay with the points that are unchanged. New points have none, a new
identifier, and the error -1, which COLMAP writes for points whose error is not known.
"""

from __future__ import annotations

import logging
import struct
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..cloud import COLORS, Cloud
from ..errors import FileError
from .atomic import atomic_path
from .columns import colors_as_uint8
from .files import read_bytes

ERROR, IDENTIFIER = "error", "point3D_id"
COLMAP_ATTRIBUTES = (COLORS, ERROR, IDENTIFIER)
KEY = "colmap"
_POINT = np.dtype([("id", "<u8"), ("xyz", "<f8", 3), ("rgb", "u1", 3), ("error", "<f8"), ("length", "<u8")])
_ENTRY = 8  # bytes of an entry of a track: image, point in the image
_UNKNOWN = -1.0
_GRAY = 128
_log = logging.getLogger("pcsr_zoo")


class _Tracks(NamedTuple):
    """Of the points as they were read: identifiers (N,), positions (N, 3), errors (N,), and tracks."""

    ids: np.ndarray
    positions: np.ndarray
    errors: np.ndarray
    starts: np.ndarray  # (N + 1,), of the tracks in `entries`
    entries: np.ndarray  # (T, 2), image and point in the image


def is_colmap(name: str) -> bool:
    """Whether a file of this name, in lower case, is one of COLMAP's: points3D.bin, points3D_x4.txt."""
    return name.startswith("points3d") and name.endswith((".bin", ".txt"))


def read_colmap(path: str | PathLike[str]) -> Cloud:
    """Read positions, colors (uint8), `error` (in pixels) and `point3D_id`; tracks go to the metadata.

    Raises:
        FileError: the file is truncated, or has no such rows.
    """
    path = Path(path)
    data = read_bytes(path)
    rows, entries = _from_bytes(data, path) if path.suffix.lower() == ".bin" else _from_text(data, path)
    starts = np.concatenate([[0], np.cumsum(rows["length"].astype(np.int64))])
    ids = rows["id"].astype(np.int64)
    positions = np.ascontiguousarray(rows["xyz"])
    attributes = {COLORS: rows["rgb"].copy(), ERROR: rows["error"].copy(), IDENTIFIER: ids}
    known = _Tracks(ids, positions, rows["error"].copy(), starts, entries)
    metadata = {
        "format": "COLMAP",
        "encoding": "binary" if path.suffix.lower() == ".bin" else "ascii",
        "position_dtype": "float64",
        KEY: known,
    }
    return Cloud(positions, attributes, metadata)


def _from_bytes(data: bytes, path: Path) -> tuple[np.ndarray, np.ndarray]:
    """The rows, and the entries (T, 2) of all tracks."""
    broken = f"{path} is not COLMAP's points3D.bin, or is truncated: "
    if len(data) < 8:
        raise FileError(broken + f"it has {len(data)} bytes")
    (count,) = struct.unpack_from("<Q", data)
    if count * _POINT.itemsize > len(data) - 8:
        raise FileError(broken + f"{count:,} points do not fit into {len(data):,} bytes")
    at, ends, length_at = 8, [], struct.Struct("<Q").unpack_from
    for i in range(count):
        at += _POINT.itemsize
        if at > len(data):
            raise FileError(broken + f"point {i:,} of {count:,} ends after the file")
        ends.append(at)
        at += _ENTRY * length_at(data, at - 8)[0]
    if at > len(data):
        raise FileError(broken + f"the track of the last of its {count:,} points ends after the file")
    if at < len(data):
        raise FileError(broken + f"{len(data) - at:,} bytes are left after its {count:,} points")
    whole, end = np.frombuffer(data, np.uint8), np.array(ends, np.int64)
    packed = whole[end[:, None] + np.arange(-_POINT.itemsize, 0)]
    rows = np.frombuffer(packed.tobytes(), _POINT)
    inside = _ranges(end, _ENTRY * rows["length"].astype(np.int64))
    return rows, np.frombuffer(whole[inside].tobytes(), "<u4").reshape(-1, 2).astype(np.int64)


def _ranges(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """The numbers from each start on, so many, one range after another."""
    before = np.cumsum(lengths) - lengths
    return np.repeat(starts - before, lengths) + np.arange(int(lengths.sum()))


def _from_text(data: bytes, path: Path) -> tuple[np.ndarray, np.ndarray]:
    rows: list[tuple] = []
    tracks: list[np.ndarray] = [np.zeros((0, 2), np.int64)]
    for number, line in enumerate(data.decode("utf-8", "replace").splitlines(), start=1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        try:
            if len(words) < 8 or len(words) % 2:
                raise ValueError
            identifier, colors = int(words[0]), [int(word) for word in words[4:7]]
            track = np.array(list(map(int, words[8:])), np.int64).reshape(-1, 2)
            if not 0 <= identifier < 2**63 or min(colors) < 0 or max(colors) > 255 or track.min(initial=0) < 0:
                raise ValueError
            rows.append((identifier, tuple(map(float, words[1:4])), colors, float(words[7]), len(track)))
        except (ValueError, OverflowError):
            raise FileError(
                f"{path}, line {number}: expected POINT3D_ID X Y Z R G B ERROR and pairs of numbers, as COLMAP "
                f"writes; found '{line.strip()[:60]}'"
            ) from None
        tracks.append(track)
    return np.array(rows, _POINT), np.concatenate(tracks)


def write_colmap(cloud: Cloud, path: str | PathLike[str], overwrite: bool = True) -> None:
    """Write points3D.bin or points3D.txt; points without colors are gray.

    Raises:
        FileError: the file cannot be written.
    """
    path = Path(path)
    count = len(cloud)
    rows = np.zeros(count, _POINT)
    rows["xyz"] = cloud.positions
    colors = cloud.attributes.get(COLORS)
    rows["rgb"] = _GRAY if colors is None else colors_as_uint8(colors[:, :3])
    rows["error"] = _UNKNOWN
    entries = np.zeros((0, 2), np.int64)
    known: Any = cloud.metadata.get(KEY)
    old, last = np.zeros(0, np.int64), 0
    if isinstance(known, _Tracks) and IDENTIFIER in cloud.attributes:
        last = int(known.ids.max(initial=0))
        old, source = _unchanged(cloud, known)
        lengths = np.diff(known.starts)[source]
        rows["id"][old], rows["error"][old], rows["length"][old] = known.ids[source], known.errors[source], lengths
        entries = known.entries[_ranges(known.starts[source], lengths)]
        if len(old) < len(known.ids):
            _log.warning(
                "%s: %s of %s points of COLMAP's model are left out or moved; its images still refer to them",
                *(path, f"{len(known.ids) - len(old):,}", f"{len(known.ids):,}"),
            )
    new = np.ones(count, bool)
    new[old] = False
    rows["id"][new] = np.arange(last + 1, last + 1 + int(new.sum()))
    with atomic_path(path, overwrite) as temporary:
        if path.suffix.lower() == ".bin":
            temporary.write_bytes(_as_bytes(rows, entries))
        else:
            temporary.write_text(_as_text(rows, entries), encoding="ascii", newline="\n")


def _unchanged(cloud: Cloud, known: _Tracks) -> tuple[np.ndarray, np.ndarray]:
    """The rows of the cloud that are points as they were read, and their rows there; each one once."""
    order = np.argsort(known.ids, kind="stable")
    ids = cloud.attributes[IDENTIFIER].reshape(-1)
    place = np.searchsorted(known.ids[order], ids).clip(max=max(0, len(order) - 1))
    source = order[place] if len(order) else np.zeros(len(ids), np.int64)
    same = np.zeros(len(ids), bool)
    if len(order):
        same = (known.ids[source] == ids) & (known.positions[source] == cloud.positions).all(axis=1)
    rows = np.flatnonzero(same)
    first = np.unique(source[rows], return_index=True)[1]
    rows = rows[np.sort(first)]
    return rows, source[rows]


def _as_bytes(rows: np.ndarray, entries: np.ndarray) -> bytes:
    lengths = _ENTRY * rows["length"].astype(np.int64)
    starts = 8 + np.cumsum(lengths + _POINT.itemsize) - lengths  # of the tracks
    out = np.zeros(8 + int(lengths.sum()) + len(rows) * _POINT.itemsize, np.uint8)
    out[:8] = np.frombuffer(struct.pack("<Q", len(rows)), np.uint8)
    packed = np.frombuffer(rows.tobytes(), np.uint8).reshape(len(rows), _POINT.itemsize)
    out[starts[:, None] + np.arange(-_POINT.itemsize, 0)] = packed
    out[_ranges(starts, lengths)] = np.frombuffer(entries.astype("<u4").tobytes(), np.uint8)
    return out.tobytes()


def _as_text(rows: np.ndarray, entries: np.ndarray) -> str:
    ends = np.cumsum(rows["length"].astype(np.int64))
    lines = [
        "# 3D point list with one line of data per point:",
        "#   POINT3D_ID, X, Y, Z, R, G, B, ERROR, TRACK[] as (IMAGE_ID, POINT2D_IDX)",
        f"# Number of points: {len(rows)}, mean track length: {len(entries) / max(1, len(rows))}",
    ]
    for row, end in zip(rows, ends.tolist(), strict=True):
        track = entries[end - int(row["length"]) : end].ravel()
        words = [row["id"], *map(repr, row["xyz"].tolist()), *row["rgb"], repr(float(row["error"])), *track]
        lines.append(" ".join(map(str, words)))
    return "\n".join(lines) + "\n"
