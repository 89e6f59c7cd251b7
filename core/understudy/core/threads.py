"""Parts of one picture at the same time, on as many threads as OpenCV may take (`cv2.setNumThreads`).

For what neither NumPy nor OpenCV divides by itself: arrays cut into pieces that a processor's cache can hold. Both let
go of the interpreter while they work. What comes of a part may not depend on who works on it, nor when.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TypeVar

import cv2

Part = TypeVar("Part")

_here = threading.local()


def spread(work: Callable[[Part], object], parts: Sequence[Part]) -> None:
    """Do the work on every part, in any order. Within another part's work: one part after the other.

    An exception is raised here, after no part is worked on any more.
    """
    threads = 1 if getattr(_here, "busy", False) else min(cv2.getNumThreads(), len(parts))
    shares = [parts[start::threads] for start in range(threads)]
    helping = [_helpers(cv2.getNumThreads() - 1).submit(_do, work, share) for share in shares[1:]]
    try:
        for share in shares[:1]:
            _do(work, share)
    finally:
        problems = [each.exception() for each in helping]
    for problem in problems:
        if problem is not None:
            raise problem


def _do(work: Callable[[Part], object], parts: Sequence[Part]) -> None:
    before = getattr(_here, "busy", False)
    _here.busy = True
    try:
        for part in parts:
            work(part)
    finally:
        _here.busy = before


@cache
def _helpers(count: int) -> ThreadPoolExecutor:
    """Made once for a count: threads start when they are first needed, and wait without taking time."""
    return ThreadPoolExecutor(count, "spread")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_helpers.cache_clear)  # a child has no threads but its own
