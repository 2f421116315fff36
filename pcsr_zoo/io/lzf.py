"""The LZF decompression that PCD's `binary_compressed` needs (Marc Lehmann's LibLZF format), in plain Python.

No kept library brings wheels for it. A control byte c begins each instruction: c < 32 copies the c + 1 bytes
that follow; otherwise c >> 5, plus 2, bytes are copied from as far back as the other bits say.
"""

from __future__ import annotations


def decompress(data: bytes, size: int) -> bytes:
    """Exactly `size` bytes.

    Raises:
        ValueError: the stream is broken, or does not give that many.
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
                raise ValueError("a copy from before the first byte")
            chunk = out[start : start + length]
            if len(chunk) < length:  # the copy overlaps itself: the bytes repeat
                chunk = (chunk * (length // len(chunk) + 1))[:length]
            out += chunk
    except IndexError:
        raise ValueError("it ends within an instruction") from None
    if at != end or len(out) != size:
        raise ValueError(f"it gives {len(out)} bytes in place of {size}")
    return bytes(out)
