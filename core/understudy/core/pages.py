"""Memory that was freed, kept for what comes next: the next frame of a merge, the next iteration of a training.

glibc gives a large block back to the system as it is freed; asked for again it comes as fresh pages, each of which is
a fault and is cleared: 10,000 in a frame of 1080p, 45,000 in an iteration of df-ud-128, in a virtual machine up to a
tenth of its time (docs/LOG.md). What comes next asks for the blocks of what was before. Where the C library is another
than glibc nothing here does anything.
"""

from __future__ import annotations

import ctypes
import platform
from collections.abc import Iterator
from contextlib import contextmanager

# mallopt(3), malloc.h
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -3, -4
_MMAPS = 65536  # glibc's own
_KEPT, _LARGE = 256 << 20, 32 << 20  # bytes that are kept, and of a block that goes back as before


def keep() -> None:
    """Have this process keep what it frees, up to 256 MiB. For a process that works on frames."""
    if (libc := _glibc()) is not None:
        libc.mallopt(_TRIM_THRESHOLD, _KEPT)
        libc.mallopt(_MMAP_THRESHOLD, _LARGE)


@contextmanager
def kept(wanted: bool = True) -> Iterator[None]:
    """Within it, what this process frees stays its own, however much; after it, what is free is given back.

    Args:
        wanted: or else nothing is done. Holes between blocks are kept too: not where memory has a limit.
    """
    libc = _glibc() if wanted else None
    if libc is None:
        yield
        return
    libc.mallopt(_MMAP_MAX, 0)
    libc.mallopt(_TRIM_THRESHOLD, -1)
    try:
        yield
    finally:
        libc.mallopt(_MMAP_MAX, _MMAPS)
        libc.mallopt(_TRIM_THRESHOLD, _KEPT)
        libc.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    return ctypes.CDLL(None) if platform.libc_ver()[0] == "glibc" else None
