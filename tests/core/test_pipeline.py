"""How many items are on their way at once; order, errors and closing are tried beside the merge's pieces."""

from __future__ import annotations

import platform
import subprocess
import sys
import threading
import time

import pytest

from understudy.core.pipeline import overlapped


@pytest.mark.parametrize("ahead", [1, 3])
def test_ahead_bounds_what_is_read_and_not_yet_written(ahead: int):
    flying = most = 0
    lock = threading.Lock()

    def read(item: int) -> int:
        nonlocal flying, most
        with lock:
            flying += 1
            most = max(most, flying)
        return item

    def write(item: int) -> int:
        nonlocal flying
        time.sleep(0.002)
        with lock:
            flying -= 1
        return item

    def same(item: int) -> int:
        return item

    assert list(overlapped(range(40), read, same, write, ahead=ahead)) == list(range(40))
    assert most <= 2 * ahead + 2


@pytest.mark.skipif("glibc" not in platform.libc_ver(), reason="malloc is another's")
def test_memory_that_is_kept_is_not_faulted_in_again():
    # in a process of its own: what it says is for all of a process
    program = """
import resource, sys
import numpy as np
from understudy.core.pipeline import keep_memory

if sys.argv[1] == "kept":
    keep_memory()
for again in range(4):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    arrays = [np.ones(2**20, np.float32) for _ in range(16)]
    del arrays
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
    faults = [
        int(subprocess.run([sys.executable, "-c", program, how], check=True, capture_output=True).stdout)
        for how in ("returned", "kept")
    ]
    assert faults[1] < faults[0] / 4
