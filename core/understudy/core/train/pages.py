"""Memory that a training has freed, kept for its next iteration.

glibc gives a large block back to the system as it is freed; asked for again it comes as fresh pages, each of which is
a fault and is cleared: 45,000 in an iteration of df-ud-128, in a virtual machine up to a tenth of its time
(docs/LOG.md). An iteration asks for the blocks of the one before.
"""

from __future__ import annotations

import ctypes
import platform
from collections.abc import Iterator
from contextlib import contextmanager

# mallopt(3)
_TRIM_THRESHOLD, _MMAP_MAX = -1, -4
_MMAPS = 65536  # glibc's own
_TRIM_BYTES = 64 << 20  # what glibc's own comes to in a process of large blocks


@contextmanager
def kept(wanted: bool = True) -> Iterator[None]:
    """Within it, what this process frees stays its own; after it, what is free is given back.

    Args:
        wanted: or else nothing is done. Holes between blocks are kept too: not where memory has a limit.

    Nothing is done either where the C library is another than glibc.
    """
    if not wanted or platform.libc_ver()[0] != "glibc":
        yield
        return
    libc = ctypes.CDLL(None)
    libc.mallopt(_MMAP_MAX, 0)
    libc.mallopt(_TRIM_THRESHOLD, -1)
    try:
        yield
    finally:
        libc.mallopt(_MMAP_MAX, _MMAPS)
        libc.mallopt(_TRIM_THRESHOLD, _TRIM_BYTES)
        libc.malloc_trim(0)
