"""What DeepFaceLab's pickles name, as inert words, and what our own code makes of them.

A `Global` is a word out of a fixed table. `call` and `build` are all that can be done with one; they check every
argument and make numbers of numbers.

Source of the forms: numpy's `ndarray.__reduce__`, `dtype.__reduce__` and `_frombuffer` (numpy 1.x and 2.x write the
same under other module names); DeepFaceLab's facelib/FaceType.py and samplelib/Sample.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

_KINDS = ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1")
_ORDERS = ("<", ">", "|", "=")
_AXES = 8
_LONGEST_AXIS = 2**31
_WORDS = {
    ("numpy.core.multiarray", "_reconstruct"): "array",
    ("numpy._core.multiarray", "_reconstruct"): "array",
    ("numpy.core.multiarray", "scalar"): "scalar",
    ("numpy._core.multiarray", "scalar"): "scalar",
    ("numpy.core.numeric", "_frombuffer"): "buffer",
    ("numpy._core.numeric", "_frombuffer"): "buffer",
    ("numpy", "ndarray"): "ndarray",
    ("numpy", "dtype"): "dtype",
    ("_codecs", "encode"): "bytes",  # how protocol 2 writes bytes
    ("__builtin__", "bytes"): "bytes",
    ("facelib.FaceType", "FaceType"): "enum",
    ("samplelib.Sample", "SampleType"): "enum",
}


class Refused(Exception):
    """Why a pickle is not read: the rest of a sentence about it."""


@dataclass(frozen=True)
class Global:
    """A function or class that a pickle names: a word, not the thing."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


@dataclass(eq=False)
class Kind:
    """A numpy dtype: kind and size, then the byte order when `build` has given it."""

    code: str
    order: str = ""

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype((self.order or "=") + self.code)

    def __str__(self) -> str:
        return f"the type {self.code}"


@dataclass(eq=False)
class Array:
    """A numpy array, empty-handed until `build` or a buffer has given its numbers."""

    array: npt.NDArray[Any] | None = None

    def taken(self) -> npt.NDArray[Any]:
        if self.array is None:
            raise Refused("names an array and does not say what is in it")
        return self.array


def known(module: str, name: str) -> Global:
    """The word for it; raises Refused if DeepFaceLab has no business with it."""
    if (module, name) not in _WORDS:
        raise Refused(f"asks for {module}.{name}; it was not run. DeepFaceLab writes no such thing")
    return Global(module, name)


def call(function: Any, arguments: Any) -> Any:
    """What a REDUCE opcode stands for, made by our own code."""
    if not isinstance(function, Global) or not isinstance(arguments, tuple):
        raise Refused(f"calls a {type(function).__name__} with a {type(arguments).__name__}")
    make = _MAKERS.get(_WORDS[function.module, function.name])
    made = make(*arguments) if make and len(arguments) in _COUNTS[make] else None
    if made is None:
        raise Refused(f"calls {function} in a way that DeepFaceLab does not")
    return made


def build(thing: Any, state: Any) -> None:
    """What a BUILD opcode stands for: an array gets its numbers, a type its byte order, once."""
    if isinstance(thing, Array) and thing.array is None and isinstance(state, tuple) and len(state) == 5:
        version, shape, kind, columns, data = state
        if version == 1 and isinstance(columns, bool):
            thing.array = _array(data, kind, shape, "F" if columns else "C")
            return
    if isinstance(thing, Kind) and not thing.order and isinstance(state, tuple) and len(state) == 8:
        _, order, *parts, _, _, _ = state
        if order in _ORDERS and parts == [None, None, None]:
            thing.order = order
            return
    raise Refused(f"changes a {type(thing).__name__} in a way that DeepFaceLab does not")


def _array(data: Any, kind: Any, shape: Any, order: str) -> npt.NDArray[Any]:
    """An array of just these bytes."""
    if not (isinstance(data, bytes) and isinstance(kind, Kind) and isinstance(shape, tuple)):
        raise Refused("has an array of something else than numbers")
    if len(shape) > _AXES or not all(type(n) is int and 0 <= n < _LONGEST_AXIS for n in shape):
        raise Refused(f"has an array of the impossible shape {str(shape)[:80]}")
    dtype = kind.dtype
    if len(data) != math.prod(shape) * dtype.itemsize:
        raise Refused(f"has {len(data)} bytes for an array {shape} of {dtype}")
    if not data:
        return np.zeros(shape, dtype)  # frombuffer takes no empty buffer
    return np.frombuffer(data, dtype).reshape(shape, order="F" if order == "F" else "C").copy()


def _empty(of: Any, shape: Any, code: Any) -> Array | None:
    named = isinstance(of, Global) and _WORDS[of.module, of.name] == "ndarray"
    return Array() if named and shape == (0,) and code == b"b" else None


def _scalar(kind: Any, data: Any) -> Any:
    return _array(data, kind, (), "C")[()]


def _buffer(data: Any, kind: Any, shape: Any, order: Any) -> Array | None:
    return Array(_array(data, kind, shape, order)) if order in ("C", "F") else None


def _kind(code: Any, align: Any, copy: Any) -> Kind | None:
    if not isinstance(code, str) or code not in _KINDS:
        raise Refused(f"has an array of type {str(code)[:20]!r}, which is none of {', '.join(_KINDS)}")
    return Kind(code) if align in (False, 0) and copy in (True, 1) else None


def _bytes(text: Any = "", encoding: Any = "latin1") -> bytes | None:
    return text.encode("latin1") if isinstance(text, str) and encoding == "latin1" else None


def _member(number: Any) -> int | None:
    return number if type(number) is int else None


_MAKERS: dict[str, Callable[..., Any]] = {
    "array": _empty,
    "scalar": _scalar,
    "buffer": _buffer,
    "dtype": _kind,
    "bytes": _bytes,
    "enum": _member,
}
_COUNTS = {_empty: (3,), _scalar: (2,), _buffer: (4,), _kind: (3,), _bytes: (0, 2), _member: (1,)}
