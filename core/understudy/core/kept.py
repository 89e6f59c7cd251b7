"""Networks that stay loaded between one piece of work and the next: by what they are, up to so many bytes."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, TypeVar

from understudy.core.errors import NotFound

Thing = TypeVar("Thing")


class _Store(Protocol):
    """A module of networks on disk, as `model.store`."""

    WEIGHTS: str

    def current(self, path: Path) -> Path: ...


class Kept:
    """What was used last is kept longest. For one thread.

    Args:
        budget: bytes of weights that are kept; 0 keeps nothing.

    Attributes:
        size: bytes of weights that are kept.
        hits, misses: how often something was there, and how often it had to be loaded.
    """

    def __init__(self, budget: int = 0) -> None:
        self._budget = budget
        self._there: OrderedDict[tuple[str, ...], tuple[Any, int]] = OrderedDict()
        self.size = self.hits = self.misses = 0

    def get(self, key: tuple[str, ...], size: int, load: Callable[[], Thing]) -> Thing:
        """What is known by `key`, which names all that shapes it; loaded where it is not there.

        Args:
            size: bytes of its weights.
        """
        if key in self._there:
            self.hits += 1
            self._there.move_to_end(key)
            found: Thing = self._there[key][0]
            return found
        self.misses += 1
        self._drop(self._budget - size)  # before: two are not to be there at once
        made = load()
        if size <= self._budget:
            self._there[key] = made, size
            self.size += size
        return made

    def checkpoint(
        self, store: _Store, folder: Path, device: str, load: Callable[[Path, str], Thing]
    ) -> Thing:
        """The network of a folder as its checkpoint has it; a new checkpoint is another network.

        Raises:
            As `store.current` and `load`.
        """
        try:
            current = Path(os.path.realpath(store.current(folder)))
        except NotFound:
            return load(folder, device)  # which says what is wrong
        weights = (current / store.WEIGHTS).stat() if (current / store.WEIGHTS).is_file() else None
        if weights is None:
            return load(folder, device)
        key = (str(current), str(weights.st_ino), str(weights.st_mtime_ns), device)
        return self.get(key, weights.st_size, lambda: load(folder, device))

    def clear(self) -> None:
        """Let go of all: somebody needs the memory."""
        self._drop(0)

    def _drop(self, room: int) -> None:
        """Let go of what was not used for longest until what is left fits into so many bytes."""
        while self._there and self.size > room:
            _, (_, size) = self._there.popitem(last=False)
            self.size -= size
