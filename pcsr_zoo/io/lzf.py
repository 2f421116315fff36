"""LZF decompression for PCD's `binary_compressed` (Marc Lehmann's LibLZF format), in plain Python.

No maintained library has wheels for it. Each instruction begins with a control byte c. If c < 32, the next c + 1 bytes
are copied. Otherwise (c >> 5) + 2 bytes are copied from earlier output, at the distance in the remaining bits.
"""

from __future__ import annotations


def decompress(data: bytes, size: int) -> bytes:
    """Decompress to exactly `size` bytes.

    Raises:
        ValueError: the stream is broken, or has another size.
    """
    out = bytearray()
    at, end = 0, len(data)
    try:
        while at < end:
            control = data[at]
            at += 1
            if control < 32:
                stop = at + control + 1
                out += data[at:stop]
                at = stop
                continue
            length = control >> 5
            if length == 7:
                length += data[at]
                at += 1
            start = len(out) - ((control & 31) << 8) - data[at] - 1
            at += 1
            length += 2
            if start < 0:
                raise ValueError("it copies from before the first byte")
            chunk = out[start : start + length]
            if len(chunk) < length:  # the copy overlaps itself: the bytes repeat
                chunk = (chunk * (length // len(chunk) + 1))[:length]
            out += chunk
    except IndexError:
        raise ValueError("it ends inside an instruction") from None
    if at != end or len(out) != size:
        raise ValueError(f"it has {len(out)} bytes instead of {size}")
    return bytes(out)
