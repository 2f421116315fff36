"""The body of a PLY file, ascii or binary, element by element.

A scalar property becomes an array (N,). A list property becomes an array (N, C) if all lists have the same length (the
usual case, which is read at once), else a Python list of N arrays.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np

from ..errors import FileError
from .ply_header import Element, Header

Values = np.ndarray | list[np.ndarray]
Elements = dict[str, dict[str, Values]]


def parse_body(data: bytes, header: Header, path: Path) -> Elements:
    """Parse the body to: element name -> property name -> values.

    Raises:
        FileError: the body is shorter or longer than the header says, or has a word that is not a number.
    """
    if header.encoding == "ascii":
        return _Ascii(data, header, path).parse()
    return _Binary(data, header, path).parse()


class _Body:
    """Reads element by element; subclasses implement reading of tables and of single values."""

    def __init__(self, data: bytes, header: Header, path: Path) -> None:
        self.data, self.header, self.path = data, header, path
        self.at = 0

    def parse(self) -> Elements:
        out: Elements = {}
        for element in self.header.elements:
            out[element.name] = self.read(element)
        return out

    def read(self, element: Element) -> dict[str, Values]:
        if not element.properties:
            return {}
        if not element.length:
            return {p.name: np.empty(0 if p.count is None else (0, 0), p.type) for p in element.properties}
        start = self.at
        try:
            lengths = self.peek_lengths(element)
            if (table := self.read_table(element, lengths)) is not None:
                return table
            self.at = start
            return self.read_rows(element)
        except EOFError:
            raise FileError(
                f"{self.path} is truncated: the file ends before the {element.length} elements '{element.name}' of its "
                "header; copy or download it again"
            ) from None

    def peek_lengths(self, element: Element) -> list[int]:
        """The length of each property in the first row; 1 for a scalar."""
        start = self.at
        lengths = []
        for p in element.properties:
            lengths.append(1 if p.count is None else int(self.take(p.count, 1)[0]))
            self.take(p.type, lengths[-1])
        self.at = start
        return lengths

    def read_rows(self, element: Element) -> dict[str, Values]:
        """Read row by row, for lists of different lengths."""
        columns: dict[str, list[np.ndarray]] = {p.name: [] for p in element.properties}
        for _ in range(element.length):
            for p in element.properties:
                length = 1 if p.count is None else int(self.take(p.count, 1)[0])
                if length < 0:
                    raise FileError(f"{self.path}: a list in '{element.name}' has the length {length}")
                columns[p.name].append(self.take(p.type, length))
        out: dict[str, Values] = {}
        for p in element.properties:
            values = columns[p.name]
            if p.count is None:
                out[p.name] = np.concatenate(values)
            else:
                equal = all(len(value) == len(values[0]) for value in values)
                out[p.name] = np.stack(values) if equal else values
        return out

    def take(self, dtype: str, count: int) -> np.ndarray:
        raise NotImplementedError

    def read_table(self, element: Element, lengths: list[int]) -> dict[str, Values] | None:
        raise NotImplementedError


class _Binary(_Body):
    def __init__(self, data: bytes, header: Header, path: Path) -> None:
        super().__init__(data, header, path)
        self.at = header.size

    def parse(self) -> Elements:
        out = super().parse()
        if surplus := len(self.data[self.at :].strip(b"\0\r\n\t ")):
            raise FileError(
                f"{self.path} has {surplus} bytes more than its header says; "
                "correct the element counts or the properties"
            )
        return out

    def take(self, dtype: str, count: int) -> np.ndarray:
        kind = np.dtype(self.header.order + dtype)
        if count < 0 or self.at + count * kind.itemsize > len(self.data):
            raise EOFError
        values = np.frombuffer(self.data, kind, count, self.at)
        self.at += count * kind.itemsize
        return values

    def read_table(self, element: Element, lengths: list[int]) -> dict[str, Values] | None:
        fields: list[tuple] = []
        for i, (p, length) in enumerate(zip(element.properties, lengths, strict=True)):
            order = self.header.order
            if p.count is None:
                fields.append((f"value{i}", order + p.type))
            else:
                fields.append((f"count{i}", order + p.count))
                fields.append((f"value{i}", order + p.type, (length,)))
        row = np.dtype(fields)
        if self.at + element.length * row.itemsize > len(self.data):
            if any(p.count for p in element.properties):
                return None  # shorter lists may follow
            raise EOFError
        table = np.frombuffer(self.data, row, element.length, self.at)
        for i, (p, length) in enumerate(zip(element.properties, lengths, strict=True)):
            if p.count is not None and (table[f"count{i}"] != length).any():
                return None
        self.at += table.nbytes
        return {p.name: table[f"value{i}"].astype(np.dtype(p.type)) for i, p in enumerate(element.properties)}


class _Ascii(_Body):
    def __init__(self, data: bytes, header: Header, path: Path) -> None:
        super().__init__(data, header, path)
        self.numbers = self._numbers()

    def parse(self) -> Elements:
        out = super().parse()
        if self.at < len(self.numbers):
            raise FileError(
                f"{self.path} has {len(self.numbers) - self.at} numbers more than its header says; "
                "correct the element counts or the properties"
            )
        return out

    def take(self, dtype: str, count: int) -> np.ndarray:
        if count < 0 or self.at + count > len(self.numbers):
            raise EOFError
        values = self.numbers[self.at : self.at + count]
        self.at += count
        return self._cast(values, dtype)

    def read_table(self, element: Element, lengths: list[int]) -> dict[str, Values] | None:
        listed = [p.count is not None for p in element.properties]
        width = sum(length + is_list for length, is_list in zip(lengths, listed, strict=True))
        if self.at + element.length * width > len(self.numbers):
            if any(listed):
                return None
            raise EOFError
        table = self.numbers[self.at : self.at + element.length * width].reshape(element.length, width)
        out: dict[str, Values] = {}
        column = 0
        for p, length in zip(element.properties, lengths, strict=True):
            if p.count is None:
                out[p.name] = self._cast(table[:, column], p.type)
                column += 1
                continue
            if (table[:, column] != length).any():
                return None
            out[p.name] = self._cast(table[:, column + 1 : column + 1 + length], p.type)
            column += 1 + length
        self.at += element.length * width
        return out

    def _cast(self, values: np.ndarray, dtype: str) -> np.ndarray:
        """Convert to the declared type; float stays float64, as the text may have more digits (UTM)."""
        if dtype in ("f4", "f8"):
            return values
        limits = np.iinfo(dtype)
        if not ((values >= limits.min) & (values <= limits.max)).all():
            bad = values[~((values >= limits.min) & (values <= limits.max))][0]
            raise FileError(f"{self.path}: the number {bad:g} does not fit the integer type that the header declares")
        return values.astype(dtype)

    def _numbers(self) -> np.ndarray:
        text = self.data[self.header.size :]
        if not text.strip():
            return np.empty(0)
        with warnings.catch_warnings():
            warnings.simplefilter("error", DeprecationWarning)
            try:
                return np.fromstring(text, dtype=np.float64, sep=" ")  # type: ignore[call-overload]
            except (DeprecationWarning, ValueError):
                pass
        for number, line in enumerate(text.splitlines(), start=self.header.lines + 1):
            for word in line.split():
                try:
                    float(word)
                except ValueError:
                    shown = word[:40].decode("utf-8", "replace")
                    raise FileError(f"{self.path}, line {number}: '{shown}' is not a number") from None
        raise FileError(f"{self.path}: the ascii body cannot be read as numbers")
