"""The header of a PLY file: elements, properties, comments (Turk, "The PLY Polygon File Format", 1994)."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..errors import FileError
from .limits import check_columns

TYPES = {
    **{"char": "i1", "uchar": "u1", "short": "i2", "ushort": "u2", "int": "i4", "uint": "u4"},
    **{"float": "f4", "double": "f8"},
    **{"int8": "i1", "uint8": "u1", "int16": "i2", "uint16": "u2", "int32": "i4", "uint32": "u4"},
    **{"float32": "f4", "float64": "f8", "int64": "i8", "uint64": "u8", "bool": "u1"},
}
ENCODINGS = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}
_MAX_HEADER = 1 << 20


@dataclass
class Property:
    """A scalar (`count` is None) or a list whose length is stored as the type `count`."""

    name: str
    type: str
    count: str | None = None


@dataclass
class Element:
    name: str
    length: int
    named: dict[str, Property] = field(default_factory=dict)

    @property
    def properties(self) -> list[Property]:
        """In the order of the file."""
        return list(self.named.values())


@dataclass
class Header:
    encoding: str
    elements: list[Element]
    comments: list[str]
    obj_info: list[str]
    size: int  # bytes up to the first byte of the body
    lines: int

    @property
    def order(self) -> str:
        """NumPy's byte order character; "" for ascii."""
        return ENCODINGS[self.encoding]


def parse_header(data: bytes, path: Path) -> Header:
    """Parse the header at the start of `data`.

    Raises:
        FileError: a line is wrong; the message names it.
    """
    if data[:3] != b"ply" or data[3:4] not in (b"\n", b"\r", b" "):
        raise FileError(f"{path} is not a PLY file: it does not begin with the line 'ply'")
    lines, size = _header_lines(data, path)
    header = Header("", [], [], [], size, len(lines))
    for number, line in enumerate(lines[1:-1], start=2):
        words = line.split()
        if not words:
            continue
        try:
            _parse_line(words, line, header)
        except (ValueError, KeyError, IndexError) as error:
            reason = f": {error}" if isinstance(error, ValueError) and error.args else ""
            raise FileError(f"{path}, line {number}: not a PLY header line: '{line[:80]}'{reason}") from None
    for element in header.elements:
        check_columns(path, len(element.named))
    if not header.encoding:
        raise FileError(f"{path}: the PLY header has no 'format' line")
    return header


def _header_lines(data: bytes, path: Path) -> tuple[list[str], int]:
    """The lines up to 'end_header', and the offset of the body in bytes. Line ends are LF, CR LF or CR."""
    start = 0
    lines: list[str] = []
    while start < min(len(data), _MAX_HEADER):
        ends = [end for end in (data.find(b"\n", start, _MAX_HEADER), data.find(b"\r", start, _MAX_HEADER)) if end >= 0]
        end = min(ends) if ends else len(data)
        lines.append(data[start:end].decode("utf-8", "replace").strip())
        start = end + (2 if data[end : end + 2] == b"\r\n" else 1)
        if lines[-1] == "end_header":
            return lines, min(start, len(data))
    raise FileError(f"{path}: the PLY header does not end with 'end_header'; the file is truncated or broken")


def _parse_line(words: list[str], line: str, header: Header) -> None:
    keyword = words[0]
    if keyword == "format":
        if words[1] not in ENCODINGS:
            raise ValueError(f"unknown format {words[1]}")
        header.encoding = words[1]
    elif keyword in ("comment", "obj_info"):
        (header.comments if keyword == "comment" else header.obj_info).append(line[len(keyword) :].strip())
    elif keyword == "element":
        length = int(words[2])
        if length < 0:
            raise ValueError("the count is negative")
        header.elements.append(Element(words[1], length))
    elif keyword == "property":
        properties = header.elements[-1].named
        if words[1] == "list":
            found = Property(words[4], TYPES[words[3]], TYPES[words[2]])
            if np.dtype(found.count).kind == "f":
                raise ValueError("the type of a list length must be an integer")
        else:
            found = Property(words[2], TYPES[words[1]])
        if found.name in properties:
            raise ValueError("this property exists already")
        properties[found.name] = found
    else:
        raise ValueError(f"unknown keyword {keyword}")
