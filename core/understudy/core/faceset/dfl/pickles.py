"""DeepFaceLab keeps what it knows of a face in Python pickles. Here they are read without running anything.

A pickle is a program; Python's own reader imports and calls what the file names. This reader takes the program apart
into opcodes (`pickletools.genops`, which decodes and runs nothing) and follows those that build plain values: None,
booleans, numbers, text, bytes, lists, tuples and dicts. The few functions and classes that DeepFaceLab names beside
them are words in a table here, and what they stand for is made by our own code out of bytes: arrays and scalars of
plain numbers (`stand_ins`), the numbers of its two enum classes. Anything else is refused by its name.

Nothing grows beyond what the file holds: an array must come with all of its bytes, text is as long as the file says
and has, and values that contain each other over and over are refused when they are counted out.

Source of the format: Lib/pickletools.py of CPython, protocols 2 to 5.
"""

from __future__ import annotations

import io
import pickletools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from understudy.core.errors import FrameUnreadable
from understudy.core.faceset.dfl.stand_ins import Array, Global, Kind, Refused, build, call, known

_PROTOCOLS = range(2, 6)
_DEPTH = 64  # of values in values
_OBJECTS = 200_000  # of one face, counted as often as they are met; it has some 500
_STEPS = 25  # opcodes for a value that may be held, without an entry of a list being finished; it takes one to three
_LONGEST = 64 << 20  # bytes of one text or array
_LINE = 1024  # bytes of a name in protocols 2 and 3
_LASTING = (str, bytes, Global, Kind, int, float)
_BRIEF = 256  # characters or bytes of what is remembered from one face to the next


def load(data: bytes, path: Path | str, what: str = "metadata", *, values: int = _OBJECTS) -> Any:
    """The one value that a pickle holds; numpy arrays and scalars among plain values, enum members as int.

    Args:
        path: is named in errors.
        what: it is, for errors.
        values: how many it may hold, counted as often as they are met; the default is for one face.

    Raises:
        FrameUnreadable: the pickle asks for anything else, breaks off, or is not one.
    """
    machine = _Machine(values)
    try:
        machine.follow(io.BytesIO(data))
        return _counted_out(machine.result(), values)
    except (Refused, ValueError, RecursionError) as error:
        raise _unreadable(path, error, what) from error


def entries(stream: BinaryIO, length: int, path: Path | str) -> Iterator[Any]:
    """The entries of a pickled list, one by one as they are read: memory does not grow with the list.

    Texts and names may be used again in later entries, as picklers do; lists, dicts and arrays that a later entry
    refers back to are gone, and the pickle is refused.

    Args:
        stream: stands where the pickle begins.
        length: of the pickle in bytes; no more is read.

    Raises:
        FrameUnreadable: as `load`.
    """
    machine = _Machine(streamed=True)
    try:
        for _ in machine.steps(_Part(stream, length)):
            if machine.finished:
                yield from map(_counted_out, machine.finished)
                machine.forget()
        if machine.result() != []:
            raise Refused("is not a list")
    except (Refused, ValueError, RecursionError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path | str, error: Exception, what: str = "metadata") -> FrameUnreadable:
    why = str(error) if isinstance(error, Refused) else f"is damaged or breaks off: {error}"
    return FrameUnreadable(f"{path}: its {what} (a Python pickle) {why}", path=path)


class _Part:
    """The next `length` bytes of a stream, in no larger pieces than a face needs."""

    def __init__(self, stream: BinaryIO, length: int) -> None:
        self._stream, self._left = stream, length

    def read(self, count: int) -> bytes:
        if count > _LONGEST:
            raise Refused(f"holds a piece of {count} bytes, more than {_LONGEST}")
        data = self._stream.read(min(count, self._left))
        self._left -= len(data)
        return data

    def readline(self) -> bytes:
        data = self._stream.readline(min(_LINE, self._left))
        self._left -= len(data)
        return data


class _Machine:
    """The stack and the memo of a pickle, and what each opcode does to them.

    Attributes:
        finished: entries of the outermost list that are complete, where they are `streamed`.
    """

    def __init__(self, values: int = _OBJECTS, *, streamed: bool = False) -> None:
        self.finished: list[Any] = []
        self._most = _STEPS * values
        self._streamed = streamed
        self._stack: list[Any] = []
        self._marks: list[int] = []  # how high the stack was
        self._memo: dict[int, Any] = {}
        self._memoized = 0
        self._steps = 0

    def follow(self, stream: Any) -> None:
        for _ in self.steps(stream):
            pass

    def steps(self, stream: Any) -> Iterator[None]:
        """Follow the program, an opcode a step."""
        program = pickletools.genops(stream)
        opcode, protocol, _ = next(program)
        if opcode.name != "PROTO" or protocol not in _PROTOCOLS:
            raise Refused(f"is not of protocols {_PROTOCOLS[0]} to {_PROTOCOLS[-1]}")
        for opcode, argument, _ in program:
            if (act := _ACTIONS.get(opcode.name)) is None:
                raise Refused(f"asks for {opcode.name}, which DeepFaceLab's never does")
            act(self, argument)
            self._steps += 1
            if self._steps > self._most:
                raise Refused(f"takes more than {self._most} steps")
            yield

    def result(self) -> Any:
        if len(self._stack) != 1 or self._marks:
            raise Refused("does not end with one value")
        return self._stack[0]

    def forget(self) -> None:
        """Entries are done: keep only what later ones may name again."""
        self.finished.clear()
        self._memo = {i: v for i, v in self._memo.items() if _lasts(v)}
        self._steps = 0

    def pop(self) -> Any:
        if len(self._stack) <= (self._marks[-1] if self._marks else 0):
            raise Refused("takes more than it has put down")
        return self._stack.pop()

    def push(self, value: Any) -> None:
        self._stack.append(value)

    def mark(self, _: Any) -> None:
        self._marks.append(len(self._stack))

    def marked(self) -> list[Any]:
        """All values above the last mark."""
        if not self._marks:
            raise Refused("takes more than it has put down")
        at = self._marks.pop()
        values = self._stack[at:]
        del self._stack[at:]
        return values

    def top(self, kind: type) -> Any:
        value = self.pop()
        if not isinstance(value, kind):
            raise Refused(f"treats a {type(value).__name__} as a {kind.__name__}")
        self.push(value)
        return value

    def extend(self, values: list[Any]) -> None:
        target = self.top(list)
        outermost = self._streamed and len(self._stack) == 1
        (self.finished if outermost else target).extend(values)

    def update(self, flat: list[Any]) -> None:
        target = self.top(dict)
        if len(flat) % 2:
            raise Refused("has a key without a value")
        for key, value in zip(flat[::2], flat[1::2], strict=True):
            if not isinstance(key, (str, int, float, bytes, type(None))):
                raise Refused(f"has a {type(key).__name__} as a key")
            target[key] = value

    def remember(self, index: int | None) -> None:
        value = self.pop()
        self.push(value)
        index = self._memoized if index is None else index
        if index not in self._memo:
            self._memoized += 1
        self._memo[index] = value

    def recall(self, index: int) -> None:
        if index not in self._memo:
            raise Refused(f"refers to value {index}, which is not there or belongs to an earlier face")
        self.push(self._memo[index])

    def stack_global(self, _: Any) -> None:
        name, module = self.pop(), self.pop()
        if not isinstance(name, str) or not isinstance(module, str):
            raise Refused("names a function by what is no text")
        self.push(known(module, name))

    def reduce(self, _: Any) -> None:
        arguments, function = self.pop(), self.pop()
        self.push(call(function, arguments))

    def build(self, _: Any) -> None:
        state = self.pop()
        thing = self.pop()
        build(thing, state)
        self.push(thing)

    def tuple_of(self, count: int) -> None:
        self.push(tuple(reversed([self.pop() for _ in range(count)])))

    def frame(self, _: Any) -> None:
        """A hint for readers that read ahead."""


def _value(machine: _Machine, argument: Any) -> None:
    machine.push(argument)


def _constant(value: Any) -> Callable[[_Machine, Any], None]:
    return lambda machine, _: machine.push(value)


def _fresh(kind: type) -> Callable[[_Machine, Any], None]:
    return lambda machine, _: machine.push(kind())


_ACTIONS: dict[str, Callable[[_Machine, Any], None]] = {
    **dict.fromkeys(("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT"), _value),
    **dict.fromkeys(("SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"), _value),
    **dict.fromkeys(("SHORT_BINBYTES", "BINBYTES", "BINBYTES8"), _value),
    "BYTEARRAY8": lambda machine, argument: machine.push(bytes(argument)),
    "NONE": _constant(None),
    "NEWTRUE": _constant(True),
    "NEWFALSE": _constant(False),
    "EMPTY_LIST": _fresh(list),
    "EMPTY_DICT": _fresh(dict),
    "EMPTY_TUPLE": _fresh(tuple),
    "MARK": _Machine.mark,
    "TUPLE": lambda machine, _: machine.push(tuple(machine.marked())),
    "TUPLE1": lambda machine, _: machine.tuple_of(1),
    "TUPLE2": lambda machine, _: machine.tuple_of(2),
    "TUPLE3": lambda machine, _: machine.tuple_of(3),
    "APPEND": lambda machine, _: machine.extend([machine.pop()]),
    "APPENDS": lambda machine, _: machine.extend(machine.marked()),
    "SETITEM": lambda machine, _: machine.update([machine.pop(), machine.pop()][::-1]),
    "SETITEMS": lambda machine, _: machine.update(machine.marked()),
    **dict.fromkeys(("BINGET", "LONG_BINGET"), _Machine.recall),
    **dict.fromkeys(("BINPUT", "LONG_BINPUT"), _Machine.remember),
    "MEMOIZE": lambda machine, _: machine.remember(None),
    "GLOBAL": lambda machine, argument: machine.push(known(*argument.split(" ", 1))),
    "STACK_GLOBAL": _Machine.stack_global,
    "REDUCE": _Machine.reduce,
    "BUILD": _Machine.build,
    "FRAME": _Machine.frame,
    "STOP": _Machine.frame,
}


def _lasts(value: Any) -> bool:
    if isinstance(value, (str, bytes)):
        return len(value) <= _BRIEF
    if isinstance(value, tuple):
        return len(value) <= 4 and all(isinstance(v, (int, float, str)) for v in value)
    return isinstance(value, _LASTING)


def _counted_out(value: Any, most: int = _OBJECTS) -> Any:
    """The value with arrays in place of their stand-ins; every part is met and counted, so no part holds itself."""
    left = most

    def visit(part: Any, depth: int) -> Any:
        nonlocal left
        left -= 1
        if left < 0 or depth > _DEPTH:
            raise Refused(f"holds more than {most} values or values within values {_DEPTH} deep")
        if isinstance(part, list):
            return [visit(v, depth + 1) for v in part]
        if isinstance(part, tuple):
            return tuple(visit(v, depth + 1) for v in part)
        if isinstance(part, dict):
            return {k: visit(v, depth + 1) for k, v in part.items()}
        if isinstance(part, Array):
            return part.taken()
        if isinstance(part, (Global, Kind)):
            raise Refused(f"holds {part} where a value should be")
        assert part is None or isinstance(part, (bool, int, float, str, bytes, np.generic)), type(part)
        return part

    return visit(value, 0)
