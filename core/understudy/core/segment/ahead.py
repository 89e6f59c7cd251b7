"""What is needed next, made in threads while something else computes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

Key = TypeVar("Key")
Made = TypeVar("Made")


class Ahead(Generic[Key, Made]):
    """Things that are a function of their key, made by so many threads; by none, when they are asked for."""

    def __init__(self, threads: int) -> None:
        self.depth = 2 * threads  # how many after the next one it pays to name
        self._pool = ThreadPoolExecutor(threads) if threads else None
        self._made: dict[Key, Future[Made]] = {}

    def take(self, make: Callable[[Key], Made], wanted: Sequence[Key]) -> Made:
        """The first of `wanted`; the others are begun, and what else was begun is forgotten."""
        if self._pool is None:
            return make(wanted[0])
        before = self._made
        for key in before.keys() - set(wanted):
            before[key].cancel()
        self._made = {key: before.get(key) or self._pool.submit(make, key) for key in wanted}
        return self._made[wanted[0]].result()
