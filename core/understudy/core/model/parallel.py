"""Parts of one layer at the same time, on a Python thread each.

Of hundreds of small operations in a row torch's own threads gain nothing, or lose: they meet at the end of each. Here
they meet once, at the end of all. An operation lets go of the interpreter while it works.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from functools import cache
from typing import TypeVar

import torch

Part = TypeVar("Part")

_STARTED = 60.0  # seconds in which all threads are


def together(work: Callable[[Part], object], parts: Sequence[Part]) -> None:
    """Do the work on every part, without gradients, on a thread each, which share torch's threads evenly.

    One part alone is done here. What is summed, and in which order, is decided by the parts alone. Not for use within
    a part, which would wait for threads that wait for it. An exception is raised here, after no part is worked on any
    more.
    """
    if len(parts) == 1:
        with torch.no_grad():
            work(parts[0])
        return
    helpers = _helpers(len(parts), max(1, torch.get_num_threads() // len(parts)))
    working = [helpers.submit(_alone, work, part) for part in parts]
    wait(working)
    for each in working:
        each.result()


def _alone(work: Callable[[Part], object], part: Part) -> None:
    with torch.no_grad():  # a thread's own setting
        work(part)


@cache
def _helpers(count: int, threads: int) -> ThreadPoolExecutor:
    """Threads of so many of torch's, made once; they wait without taking time."""
    before = torch.get_num_threads()
    helpers = ThreadPoolExecutor(count, "layer", initializer=_begin, initargs=(threads,))
    started = threading.Barrier(count, timeout=_STARTED)  # or else one may begin later, after what follows
    wait([helpers.submit(started.wait) for _ in range(count)])
    torch.set_num_threads(before)  # a new thread begins with what was set last, on whichever
    return helpers


def _begin(threads: int) -> None:
    torch.get_num_threads()  # or else what a thread begins with is set at its first operation, over this
    torch.set_num_threads(threads)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_helpers.cache_clear)  # a child has no threads but its own
