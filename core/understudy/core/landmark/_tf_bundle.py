"""TensorFlow's checkpoints (a tensor bundle: `NAME.index` and `NAME.data-00000-of-00001`), read without TensorFlow.

The index is a sorted table as LevelDB writes them: blocks of entries whose keys leave out what they share with the key
before, a block that lists the blocks, and a footer that says where that one is. An entry's value is a protocol buffer
`BundleEntryProto` (tensorflow/core/protobuf/tensor_bundle.proto): type, shape, and where in the data file it lies.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from understudy.core.errors import WeightsCorrupt

_MAGIC = (0xDB4775248B80FB57).to_bytes(8, "little")
_FOOTER = 48  # two handles, padding, the magic number
_TYPES = {1: "<f4", 2: "<f8", 3: "<i4", 9: "<i8", 19: "<f2"}  # DataType → numpy; others are left out

Message = dict[int, list[int | bytes]]


def load(index: Path, data: Path) -> dict[str, npt.NDArray[np.generic]]:
    """The arrays of a bundle of one data file, by name; those of types that no network here uses are left out.

    Raises:
        WeightsCorrupt: not such files, cut, or compressed; names the file.
    """
    stored = np.fromfile(data, np.uint8)
    arrays = {}
    try:
        for name, message in _entries(index.read_bytes()):
            if name and (kind := _TYPES.get(_number(message, 1))):
                arrays[name] = _array(data, name, message, kind, stored)
    except (IndexError, ValueError) as error:
        raise WeightsCorrupt(
            f"{index}: not the index of a TensorFlow checkpoint: {error}", path=index
        ) from error
    return arrays


def _array(
    path: Path, name: str, message: Message, kind: str, stored: npt.NDArray[np.uint8]
) -> npt.NDArray[np.generic]:
    shape = tuple(_number(_message(d), 1) for s in _parts(message, 2) for d in _parts(_message(s), 2))
    offset, size = _number(message, 4), _number(message, 5)
    wanted = math.prod(shape) * np.dtype(kind).itemsize
    if _number(message, 3) or size != wanted or offset + size > len(stored):
        raise WeightsCorrupt(
            f"{path}: {name} {shape} wants {wanted} bytes at {offset}; the file has {len(stored)}", path=path
        )
    return stored[offset : offset + size].copy().view(kind).reshape(shape)


def _number(message: Message, field: int) -> int:
    """A field that is a number; 0, as the format has it, where it is not there."""
    values = [v for v in message.get(field, ()) if isinstance(v, int)]
    return values[-1] if values else 0


def _parts(message: Message, field: int) -> list[bytes]:
    """A field that is a message, as often as it is there."""
    return [v for v in message.get(field, ()) if isinstance(v, bytes)]


def _entries(table: bytes) -> Iterator[tuple[str, Message]]:
    """Names and values of the whole table. The first, without a name, describes the bundle itself."""
    if len(table) < _FOOTER or table[-8:] != _MAGIC:
        raise ValueError("it does not end as one")
    footer = table[-_FOOTER:]
    _, at = _varint(footer, 0)
    _, at = _varint(footer, at)  # past the handle of the meta index, which is empty
    for _, handle in _block(table, footer[at:]):
        for key, value in _block(table, handle):
            yield key.decode("utf-8"), _message(value)


def _block(table: bytes, handle: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The keys and values of the block at a handle."""
    offset, at = _varint(handle, 0)
    size, _ = _varint(handle, at)
    if offset + size + 5 > len(table) or table[offset + size]:
        raise ValueError("a block is cut or compressed")
    block = table[offset : offset + size]
    end = size - 4 - 4 * int.from_bytes(block[-4:], "little")  # before the list of restart points
    if end < 0:
        raise ValueError("a block has no entries' end")
    key, at = b"", 0
    while at < end:
        shared, at = _varint(block, at)
        own, at = _varint(block, at)
        length, at = _varint(block, at)
        key = key[:shared] + block[at : at + own]
        yield key, block[at + own : at + own + length]
        at += own + length


def _message(data: bytes) -> Message:
    """A protocol buffer's fields by number: numbers as they are, the rest as bytes."""
    fields: Message = {}
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        kind = tag & 7
        if kind == 0:
            value, at = _varint(data, at)
            fields.setdefault(tag >> 3, []).append(value)
            continue
        if kind == 2:
            size, at = _varint(data, at)
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
        else:
            raise ValueError(f"a field of kind {kind}")
        fields.setdefault(tag >> 3, []).append(data[at : at + size])
        at += size
    return fields


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """The number at a place, and the place after it."""
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        shift, at = shift + 7, at + 1
        if byte < 128:
            return value, at
        if shift > 63:
            raise ValueError("a number without end")
