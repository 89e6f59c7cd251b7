"""How many items are on their way at once; order, errors and closing are tried beside the merge's pieces."""

from __future__ import annotations

import threading
import time

import pytest

from understudy.core.pipeline import overlapped, patience


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


def test_threads_of_a_process_wait_as_its_environment_says_or_less():
    assert patience({"PATH": "/bin"}) == {"GOMP_SPINCOUNT": "10000"}
    assert patience({"GOMP_SPINCOUNT": "7"}) == patience({"OMP_WAIT_POLICY": "active"}) == {}
