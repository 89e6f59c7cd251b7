"""DPX files byte by byte (SMPTE ST 268): all depths, packings and byte orders, and a header with every field set.

Apart from the reader and writer of plates on purpose, as in `exr`.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from understudy.core.frames import Array

DESCRIPTORS = {"luma": 6, "rgb": 50, "rgba": 51, "cbycr": 100}
TRANSFERS = {"printing density": 1, "linear": 2, "logarithmic": 3, "video": 4, "rec709": 6}
PACKINGS = {"packed": 0, "a": 1, "b": 2}
_HEADER, _USER = 2048, 32  # bytes of the header's fixed parts, and of the user data's name


@dataclass(frozen=True, kw_only=True)
class Coding:
    """How code values lie in a file.

    Attributes:
        depth: bits of a code: 8, 10, 12 or 16.
        packing: `packed` bit by bit into 32-bit words, or padded at their low (`a`) or high (`b`) end.
        big: most significant byte first.
        user: the bytes of the user data after its name.
    """

    depth: int = 10
    packing: str = "a"
    big: bool = True
    descriptor: str = "rgb"
    transfer: str = "logarithmic"
    aspect: float = 1.0
    user: bytes = b""


def file(codes: Array, coding: Coding, number: int, name: str) -> bytes:
    """A whole file; `codes` are (H, W, C) whole numbers below 2**depth."""
    flat = codes.reshape(codes.shape[0], -1).astype(np.uint32)
    lines = _packed(flat, coding)
    order = ">" if coding.big else "<"
    user = b"UNDERSTUDY TORTURE".ljust(_USER, b"\0") + coding.user if coding.user else b""
    at = -(-(_HEADER + len(user)) // 4096) * 4096 if user else _HEADER
    pixels = lines.astype(f"{order}u{lines.dtype.itemsize}").tobytes()
    head = _header(codes, coding, number, name, at=at, size=at + len(pixels), user=len(user), order=order)
    return (head + user).ljust(at, b"\xa5") + pixels  # a gap that is not zero: it must survive too


def _packed(codes: npt.NDArray[np.uint32], coding: Coding) -> Array:
    """(H, words) of the unit that byte order is about: bytes, 16-bit or 32-bit words."""
    if coding.depth == 8:
        return _even(codes.astype(np.uint8), 4)
    if coding.depth == 16:
        return _even(codes.astype(np.uint16), 2)
    if coding.packing == "packed":
        return _bitwise(codes, coding.depth)
    if coding.depth == 12:
        return _even((codes << (4 if coding.packing == "a" else 0)).astype(np.uint16), 2)
    low = 2 if coding.packing == "a" else 0
    three = _even(codes, 3).reshape(len(codes), -1, 3)
    if coding.descriptor == "luma":  # from the low end up, where pictures in colour have red at the high end
        three = three[..., ::-1]
    return np.asarray((three << np.array([20 + low, 10 + low, low], np.uint32)).sum(-1, dtype=np.uint32))


def _even(values: Array, multiple: int) -> Array:
    """Lines filled up with zeros."""
    return np.pad(values, ((0, 0), (0, -values.shape[1] % multiple)))


def _bitwise(codes: npt.NDArray[np.uint32], depth: int) -> Array:
    """The first code in the lowest bits of the first word; a code may straddle two."""
    bits = ((codes[..., None] >> np.arange(depth, dtype=np.uint32)) & 1).astype(np.uint8)
    return np.packbits(_even(bits.reshape(len(codes), -1), 32), axis=1, bitorder="little").view("<u4")


def _header(
    codes: Array, coding: Coding, number: int, name: str, *, at: int, size: int, user: int, order: str
) -> bytes:
    """File and image information; `at` is where the picture begins, `size` the file's, `user` the user data's."""
    head = _Fields(order)
    head.put(0, "II", 0x53445058, at)
    head.text(8, 8, "V2.0")
    head.put(16, "5I", size, 1, 1664, 384, user)
    head.text(36, 100, name)
    head.text(136, 24, "2026:03:01:10:11:12:UTC")
    head.text(160, 100, "Understudy torture set")
    head.text(260, 200, "torture")
    head.text(460, 200, "drawn by a program; nobody's likeness")
    height, width = codes.shape[:2]
    head.put(768, "HHII", 0, 1, width, height)
    top = 2**coding.depth - 1
    head.put(780, "IIfIf", 0, 0, 0.0, top, 2.047 if coding.transfer == "logarithmic" else 1.0)
    kinds = (DESCRIPTORS[coding.descriptor], TRANSFERS[coding.transfer], 2, coding.depth)
    head.put(800, "4BHHI", *kinds, PACKINGS[coding.packing], 0, at)
    head.put(812, "II", 0, 0)
    head.text(820, 32, "the picture")
    head.put(1408, "IIffII", 3, 5, width / 2 + 0.25, height / 2, width, height)
    head.put(1628, "II", round(1000 * coding.aspect), 1000)
    _source(head, number)
    return bytes(head.stored)


def _source(head: _Fields, number: int) -> None:
    """Where the picture is said to come from: scanner, film, television."""
    head.text(1432, 100, "A001_C002_0301AB.ari")
    head.text(1532, 24, "2026:03:01:09:00:00:UTC")
    head.text(1556, 64, "scanner".ljust(32, "\0") + "serial 0007")
    head.put(1620, "4H", 0, 0, 0, 0)
    head.text(1664, 32, "02" + "35" + "04" + "123456" + "0012")
    head.text(1680, 32, "Academy")
    head.put(1712, "IIIff", number & 0xFFFFFFFF, 3, 1, 23.976, 180.0)
    head.text(1732, 132, "take 4".ljust(32, "\0") + "slate 12A")
    count = number % 24
    time_code = 0x01020300 | count // 10 << 4 | count % 10
    head.put(1920, "IIBBBBff", time_code, 0x12345678, 0, 1, 4, 0, 0.0, 0.0)
    head.put(1940, "7f", 23.976, 0.0, 1.0, 64.0, 1.0, 0.0, 940.0)


class _Fields:
    """The header's 2048 bytes; a field that is all ones is undefined."""

    def __init__(self, order: str) -> None:
        self.stored = bytearray(b"\xff" * _HEADER)
        self._order = order

    def put(self, offset: int, kinds: str, *values: object) -> None:
        struct.pack_into(self._order + kinds, self.stored, offset, *values)

    def text(self, offset: int, length: int, value: str) -> None:
        self.stored[offset : offset + length] = value.encode().ljust(length, b"\0")
