"""Palette PNGs whose bytes depend on the labels alone.

Pillow hands the pixels to whichever zlib it was linked with, and zlib, zlib-ng and others compress the same pixels
to different bytes. Labels have long runs: the run-length part of deflate, with its fixed codes, makes small files
and is little code.
"""

from __future__ import annotations

import struct
import zlib

import numpy as np
from jaxtyping import UInt8


def encode(label: UInt8[np.ndarray, "H W"], palette: UInt8[np.ndarray, "256 3"]) -> bytes:
    """The PNG file of a label map: 8-bit palette, every row stored as its difference from the row above."""
    height, width = label.shape
    rows = np.zeros((height, width + 1), np.uint8)
    rows[:, 0] = 2  # PNG's filter "up"
    rows[:, 1:] = label - np.concatenate([np.zeros_like(label[:1]), label[:-1]])
    data = rows.tobytes()
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    stream = b"\x78\x01" + deflate(data) + struct.pack(">I", zlib.adler32(data))
    chunks = [(b"IHDR", header), (b"PLTE", palette.tobytes()), (b"IDAT", stream), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, body) for kind, body in chunks)


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def deflate(data: bytes) -> bytes:
    """RFC 1951: one block with fixed codes, where the only match ever used is "the last byte again"."""
    bits = ["110"]  # last block, fixed codes; two-bit type 01 travels lowest bit first
    values = np.frombuffer(data, np.uint8)
    starts = np.flatnonzero(np.concatenate([[True], values[1:] != values[:-1]]))
    for start, stop in zip(starts.tolist(), [*starts[1:].tolist(), len(data)], strict=True):
        bits.append(_LITERAL[data[start]])
        left = stop - start - 1
        while left >= 3:
            length = min(left, 258)
            bits.append(_REPEAT[length])
            left -= length
        bits.append(_LITERAL[data[start]] * left)
    bits.append("0000000")  # end of block
    text = "".join(bits)
    return int(text[::-1], 2).to_bytes((len(text) + 7) // 8, "little")


def _literal(value: int) -> str:
    return format(0x30 + value, "08b") if value < 144 else format(0x190 + value - 144, "09b")


def _repeat(length: int) -> str:
    """A match of this length (3 to 258) at distance 1: code, extra bits lowest first, five bits of distance."""
    if length == 258:
        return format(0xC0 + 285 - 280, "08b") + "00000"
    extra = max(0, (length - 3).bit_length() - 3)
    symbol = 257 + 4 * extra + ((length - 3) >> extra)
    code = format(symbol - 256, "07b") if symbol < 280 else format(0xC0 + symbol - 280, "08b")
    rest = format((length - 3) & ((1 << extra) - 1), f"0{extra}b")[::-1] if extra else ""
    return code + rest + "00000"


_LITERAL = [_literal(v) for v in range(256)]
_REPEAT = {n: _repeat(n) for n in range(3, 259)}
