"""As many threads as pay.

Two threads meet a thousand times in an iteration. While the cores are theirs they halve its time; where another
program wants one of them, each waits for the other's turn, and an iteration was seen to take 25 times as long as on
one thread (docs/LOG.md). So both are tried again and again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

_AGAIN_SECONDS = 15.0  # between trials, at least
_AGAIN_STEPS = 20  # and so many of the slowest steps of the last: a trial costs little even where it is slow


class Threads:
    """Chooses between all threads and one, by trial. `most` is how many there are."""

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.best = most
        self._most, self._clock = most, clock
        self._trial = (
            [1, 1, most, most, most] if most > 1 else []
        )  # from the end; the very first step warms up
        self._times: dict[int, float] = {}
        self._next = 0.0

    @contextmanager
    def step(self) -> Iterator[int]:
        """Run an iteration inside; gives the number of threads it has."""
        trying = bool(self._trial)
        threads = self._trial.pop() if trying else self.best
        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)
        start = self._clock()
        yield threads
        now = self._clock()
        if trying:
            self._times[threads] = min(now - start, self._times.get(threads, now - start))
            if not self._trial:
                self.best = min(self._times, key=self._times.__getitem__)
                self._next = now + max(_AGAIN_SECONDS, _AGAIN_STEPS * max(self._times.values()))
        elif self._most > 1 and now >= self._next:
            self._trial, self._times = [1, 1, self._most, self._most], {}

    def close(self) -> None:
        """Leave the process as it was."""
        torch.set_num_threads(self._most)
