"""Reading, computing and writing at the same time, in order and in bounded memory."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Read = TypeVar("Read")
Done = TypeVar("Done")
Result = TypeVar("Result")


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def patience(outer: Mapping[str, str]) -> dict[str, str]:
    """What to add to the environment of a process that computes, unless it (`outer`) says so itself.

    A thread of GNU's OpenMP, which torch works with, waits for more work by asking for it 300,000 times, which holds a
    core for milliseconds: from other threads, and in a virtual machine from this one's own core (docs/LOG.md).
    """
    return {} if {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"} & outer.keys() else {"GOMP_SPINCOUNT": "10000"}


def share() -> int:
    """How many threads a library may take inside a stage: two stages are at work at once, and threads that wait for
    a core cost time of their own.
    """
    return max(1, cores() // 2)


def overlapped(
    items: Iterable[Item],
    read: Callable[[Item], Read],
    compute: Callable[[Read], Done],
    write: Callable[[Done], Result],
    *,
    ahead: int = 2,
) -> Generator[Result, None, None]:
    """`write(compute(read(item)))` of every item, in order.

    `read` and `write` run in threads (decoding, encoding and numpy release the interpreter), `compute` in the
    caller's. An exception of any step is raised here, after what was being written is finished. Closing the
    generator does the same: it waits for the threads, and no step runs after it.

    `ahead` bounds the memory: how many items are read, and how many written, beside the one that is computed. 1 is
    enough where computing takes longest.
    """
    source = iter(items)
    reading: deque[Future[Read]] = deque()
    writing: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(ahead, "read") as readers, ThreadPoolExecutor(ahead, "write") as writers:

        def read_on() -> None:
            while len(reading) < ahead and (item := next(source, None)) is not None:
                reading.append(readers.submit(read, item))

        try:
            read_on()
            while reading:
                ready = reading.popleft().result()
                read_on()
                writing.append(writers.submit(write, compute(ready)))
                while len(writing) > ahead or (writing and writing[0].done()):
                    yield writing.popleft().result()
            while writing:
                yield writing.popleft().result()
        finally:
            for waiting in reading:
                waiting.cancel()
            for written in writing:
                written.cancel()
