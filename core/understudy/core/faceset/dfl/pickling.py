"""Plain values and arrays as the pickle that DeepFaceLab's Python 3.6 to 3.8 with numpy 1.19 reads.

Written opcode by opcode, because Python's own pickler would name numpy's arrays by where they live today
(`numpy._core`), which numpy 1 does not have. Protocol 4, without memo and frames, which no reader needs.

Source: Lib/pickletools.py of CPython; numpy's `ndarray.__reduce__`.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import numpy.typing as npt

_SMALL = 256


def dumps(value: Any) -> bytes:
    """Pickle None, booleans, numbers, text, bytes, lists, tuples, dicts and numpy arrays of plain numbers."""
    return b"\x80\x04" + _written(value) + b"."


def _written(value: Any) -> bytes:  # noqa: PLR0911  a table of types
    match value:
        case None:
            return b"N"
        case bool():
            return b"\x88" if value else b"\x89"
        case int():
            return _whole(value)
        case float():
            return b"G" + struct.pack(">d", value)
        case str():
            return _sized(value.encode("utf-8", "surrogatepass"), b"\x8c", b"X")
        case bytes():
            return _sized(value, b"C", b"B")
        case list():
            return b"](" + b"".join(map(_written, value)) + b"e"
        case tuple():
            return b"(" + b"".join(map(_written, value)) + b"t"
        case dict():
            return b"}(" + b"".join(_written(k) + _written(v) for k, v in value.items()) + b"u"
        case np.ndarray():
            return _array(value)
    raise AssertionError(f"no pickle of {type(value)}")


def _whole(value: int) -> bytes:
    if 0 <= value < _SMALL:
        return b"K" + bytes([value])
    if -(2**31) <= value < 2**31:
        return b"J" + struct.pack("<i", value)
    data = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    assert len(data) < _SMALL, "an integer of more than 255 bytes"
    return b"\x8a" + bytes([len(data)]) + data


def _sized(data: bytes, short: bytes, long: bytes) -> bytes:
    if len(data) < _SMALL:
        return short + bytes([len(data)]) + data
    return long + struct.pack("<I", len(data)) + data


def _named(module: str, name: str) -> bytes:
    return _written(module) + _written(name) + b"\x93"


def _array(array: npt.NDArray[Any]) -> bytes:
    """`_reconstruct(ndarray, (0,), b'b')`, then the state: version, shape, type, rows first, bytes."""
    assert array.dtype.kind in "fiub", f"no pickle of an array of {array.dtype}"
    order = array.dtype.str[0]
    kind = _named("numpy", "dtype") + _written((array.dtype.str[1:], False, True)) + b"R"
    kind += _written((3, order, None, None, None, -1, -1, 0)) + b"b"
    empty = _named("numpy.core.multiarray", "_reconstruct")
    empty += b"(" + _named("numpy", "ndarray") + _written((0,)) + _written(b"b") + b"tR"
    state = b"(" + _written(1) + _written(array.shape) + kind + _written(False) + _written(array.tobytes())
    return empty + state + b"tb"
