"""Arrays in one run of bytes that can be mapped from the disk: how an index and a pack keep their columns.

The layout is that of safetensors (github.com/huggingface/safetensors, "Format"): the length of a JSON header as
uint64, the header, the arrays; written by that library. It is read here, because the library copies all it reads, and
what lies in a pack is a stranger's: nothing is allocated before its size is known to be that of bytes that are there.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from safetensors.numpy import save

from understudy.core.faceset.columns import NUMBERS, POINTS, TEXTS, Columns, Texts
from understudy.core.frames import Array

_KINDS = {
    "U8": np.uint8,
    "I32": np.int32,
    "I64": np.int64,
    "U64": np.uint64,
    "F32": np.float32,
    "F64": np.float64,
}
_LONGEST_HEADER = 2**20
_LATER = ("plate_size",)  # columns that older tables lack


class Broken(Exception):
    """Why bytes are no table.

    Args:
        at: the byte, counted from the table's beginning.
    """

    def __init__(self, at: int, why: str) -> None:
        super().__init__(why)
        self.at = at


class Table(NamedTuple):
    """What a table holds: arrays by name, views of the buffer; and a few short texts."""

    arrays: dict[str, Array]
    about: dict[str, str]


def encode(arrays: Mapping[str, Array], about: Mapping[str, str]) -> bytes:
    """The bytes of a table; booleans become uint8."""
    plain = {
        name: np.ascontiguousarray(a, np.uint8 if a.dtype == bool else None) for name, a in arrays.items()
    }
    return save(plain, dict(about))


def decode(buffer: memoryview) -> Table:
    """The table that `buffer` is, no byte more; its arrays are views of the buffer.

    Raises:
        Broken: it is none.
    """
    if len(buffer) < 8:
        raise Broken(0, f"a table of {len(buffer)} bytes")
    length = int.from_bytes(buffer[:8], "little")
    if length > min(_LONGEST_HEADER, len(buffer) - 8):
        raise Broken(0, f"a table's header of {length} bytes in {len(buffer)}")
    try:
        header = json.loads(bytes(buffer[8 : 8 + length]))
        about = {str(name): str(text) for name, text in header.pop("__metadata__", {}).items()}
        data = buffer[8 + length :]
        return Table({str(name): _array(data, entry) for name, entry in header.items()}, about)
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
        raise Broken(8, f"a table's header is malformed: {error!r}") from error


def _array(data: memoryview, entry: Mapping[str, Any]) -> Array:
    kind, shape = np.dtype(_KINDS[entry["dtype"]]), [int(side) for side in entry["shape"]]
    first, end = map(int, entry["data_offsets"])
    if min(shape, default=0) < 0 or not 0 <= first <= end <= len(data):
        raise ValueError(f"an array of {shape} at {first} to {end} of {len(data)} bytes")
    if math.prod(shape) * kind.itemsize != end - first:
        raise ValueError(f"an array of {shape} {kind} in {end - first} bytes")
    return np.frombuffer(data[first:end], kind).reshape(shape)


def texts(values: Sequence[str]) -> npt.NDArray[np.uint8]:
    """(B,) texts as an array: JSON, in which any name of a file can be said."""
    return np.frombuffer(json.dumps(list(values)).encode(), np.uint8)


def untexts(array: Array, name: str) -> list[str]:
    """Raises Broken if it is not what `texts` makes."""
    try:
        values = json.loads(array.tobytes())
    except (ValueError, RecursionError) as error:
        raise Broken(0, f"{name}: {error}") from error
    if not isinstance(values, list) or not set(map(type, values)) <= {str}:
        raise Broken(0, f"{name} is not a list of texts")
    return values


def of_columns(columns: Columns) -> dict[str, Array]:
    """Columns as arrays of a table."""
    arrays: dict[str, Array] = {name: getattr(columns, name) for name in NUMBERS}
    arrays["name"] = texts(columns.name.tolist())
    if columns.confidence is not None:
        arrays["confidence"] = columns.confidence
    for name, column in columns.texts.items():
        arrays[name], arrays[f"{name}.table"] = column.codes, texts(column.table)
    return arrays


def to_columns(arrays: Mapping[str, Array]) -> Columns:
    """What `of_columns` made into arrays.

    Raises:
        Broken: an array is missing, of another type or length than the others, or names what is not there.
    """
    names = untexts(_get(arrays, "name", np.uint8, (-1,)), "name")
    count = len(names)
    numbers: dict[str, Any] = {
        name: _get(arrays, name, np.uint8 if kind is np.bool_ else kind, (count, *shape))
        for name, (kind, shape) in NUMBERS.items()
    }
    numbers["cut"] = numbers["cut"] != 0
    confidence = None
    if "confidence" in arrays:
        confidence = _get(arrays, "confidence", np.float32, (count, POINTS))
    columns = {name: _texts(arrays, name, count) for name in TEXTS}
    return Columns(name=np.array(names, np.str_), texts=columns, confidence=confidence, **numbers)


def _get(arrays: Mapping[str, Array], name: str, kind: type, shape: tuple[int, ...]) -> Array:
    array = arrays.get(name)
    if array is None or array.dtype != kind or shape not in (array.shape, (-1,)):
        found = "is missing" if array is None else f"is {array.dtype} {array.shape}"
        raise Broken(0, f"column {name} {found}, not {np.dtype(kind)} {shape}")
    return array


def _texts(arrays: Mapping[str, Array], name: str, count: int) -> Texts:
    if name in _LATER and name not in arrays:
        return Texts.of([""] * count)
    codes = _get(arrays, name, np.int32, (count,))
    table = untexts(_get(arrays, f"{name}.table", np.uint8, (-1,)), name)
    if table != sorted(table) or len(set(table)) < len(table):
        raise Broken(0, f"column {name}: its texts are not sorted")
    if count and (int(codes.min()) < 0 or int(codes.max()) >= len(table)):
        raise Broken(0, f"column {name}: a code that stands for no text")
    return Texts(codes=codes, table=tuple(table))
