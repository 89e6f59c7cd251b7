"""What works in a forked child too, which has none of its parent's threads."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from typing import Any

import pytest

Shares = Callable[[Callable[[int], Any], Sequence[int]], Any]


def shares_in_a_forked_child(share: Shares) -> None:
    """Check that `share(work, parts)` does all parts here and in a child; the fork is made after its threads are."""
    if not hasattr(os, "fork"):
        pytest.skip("a system without fork")
    share(lambda _: None, range(2))
    if (child := os.fork()) == 0:
        code = 1  # also where it raises: the child is not to go on with the tests
        try:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(60)  # it is ended where it waits for threads that it does not have
            done: list[int] = []
            share(done.append, range(2))
            code = int(sorted(done) != [0, 1])
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
