"""Pauses between attempts: twice as long each time, and never the same for two who wait for one daemon."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator

FIRST_S, MOST_S = 0.1, 5.0


def pauses(first: float = FIRST_S, most: float = MOST_S) -> Iterator[float]:
    """Seconds before each next attempt: between half and all of a time that doubles up to `most`."""
    longest = first
    while True:
        yield random.uniform(longest / 2, longest)  # noqa: S311 - it only keeps clients from coming all at once
        longest = min(2 * longest, most)


class Patience:
    """How long one tries again.

    Args:
        seconds: from now on; infinity never gives up.
    """

    def __init__(self, seconds: float) -> None:
        self._until = time.monotonic() + seconds
        self._pauses = pauses()

    def next(self, error: Exception) -> float:
        """Seconds to wait before the next attempt.

        Raises:
            error: time is up.
        """
        left = self._until - time.monotonic()
        if left <= 0:
            raise error
        return min(next(self._pauses), left)
