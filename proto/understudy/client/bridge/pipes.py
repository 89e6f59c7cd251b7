"""The two ends of the bridge that the host holds: lines in, lines out, neither of them ever on the loop's thread.

Threads, because the event loops of Windows cannot wait for pipes that they did not make.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import queue
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import CancelledError
from typing import Any, BinaryIO, Optional, Union

CHUNK = 64 << 10
LINE_BYTES = 64 << 20  # as large as a message of the contract; longer lines are refused

Take = Callable[[Optional[Union[dict[str, Any], str]], int], Awaitable[None]]


def take_over() -> tuple[BinaryIO, BinaryIO]:
    """Standard input and output for us alone: what else is printed, here or by a child, goes to standard error."""
    sys.stdout.flush()
    source, sink = os.fdopen(os.dup(0), "rb", buffering=0), os.fdopen(os.dup(1), "wb", buffering=0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return source, sink


class Reader(threading.Thread):
    """Reads lines and hands them to the loop, one after the other: the next is not read before the last was taken.

    It reads without a buffer of Python's, whose lock a thread that waits here would hold at the end of the process.

    Args:
        take: gets the object of a line, or text that says what is wrong with it, or None at the end; and its bytes.
    """

    def __init__(self, source: BinaryIO, loop: asyncio.AbstractEventLoop, take: Take) -> None:
        super().__init__(name="bridge-reader", daemon=True)
        self._source, self._loop, self._take = source, loop, take

    def run(self) -> None:
        with contextlib.suppress(RuntimeError, CancelledError):  # the loop has ended before the input
            with contextlib.suppress(OSError, ValueError):  # the other end broke
                for line in self._lines():
                    if line.strip():
                        self._hand(_decoded(line), len(line))
            self._hand(None, 0)

    def _lines(self) -> Iterator[bytes]:
        """Lines without their ends; of one that is too long, as much as shows that it is."""
        held = bytearray()
        while chunk := self._source.read(CHUNK):
            first, *rest = chunk.split(b"\n")
            if len(held) <= LINE_BYTES:
                held += first
            for piece in rest:
                yield bytes(held)
                held = bytearray(piece)
        if held:
            yield bytes(held)

    def _hand(self, said: dict[str, Any] | str | None, size: int) -> None:
        work = self._take(said, size)
        try:
            asyncio.run_coroutine_threadsafe(work, self._loop).result()  # type: ignore[arg-type]
        except RuntimeError:
            work.close()  # type: ignore[attr-defined]
            raise


def _decoded(line: bytes) -> dict[str, Any] | str:
    if len(line) > LINE_BYTES:
        return f"the line is longer than {LINE_BYTES} bytes"
    try:
        said = json.loads(line.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        return f"not a line of JSON in UTF-8: {error}"
    return said if isinstance(said, dict) else "not a JSON object"


class Writer(threading.Thread):
    """Writes lines in the order in which they are said.

    Args:
        broken: called on the loop when nobody reads any more.
    """

    def __init__(self, sink: BinaryIO, loop: asyncio.AbstractEventLoop, broken: Callable[[], None]) -> None:
        super().__init__(name="bridge-writer", daemon=True)
        self._sink, self._loop, self._broken = sink, loop, broken
        self._lines: queue.SimpleQueue[tuple[bytes, asyncio.Future[None]]] = queue.SimpleQueue()

    async def say(self, line: bytes) -> None:
        """Returns when the host's pipe has taken the line: whoever has more to say waits for a slow reader."""
        written: asyncio.Future[None] = self._loop.create_future()
        self._lines.put((line, written))
        await written

    def run(self) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended: so has this
            while True:
                line, written = self._lines.get()
                try:
                    _write(self._sink, line)
                except (OSError, ValueError):
                    self._loop.call_soon_threadsafe(self._broken)
                    return
                self._loop.call_soon_threadsafe(_settle, written)


def _write(sink: BinaryIO, line: bytes) -> None:
    left = memoryview(line)
    while left:
        left = left[sink.write(left) :]


def _settle(written: asyncio.Future[None]) -> None:
    if not written.done():  # its call may have been cancelled meanwhile
        written.set_result(None)
