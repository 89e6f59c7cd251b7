"""What a person asks of a training while it runs. Imports no torch."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Change:
    """Go on with other options from the next iteration on: name → text, as `Plan.with_options` takes them."""

    options: Mapping[str, str]


@dataclass(frozen=True)
class Show:
    """Make a preview now."""


@dataclass(frozen=True)
class Lend:
    """Lend the network (`reports.Lent`) to who listens, until they ask for the next report."""


@dataclass(frozen=True)
class Save:
    """Write a checkpoint now."""


@dataclass(frozen=True)
class BackUp:
    """Write a checkpoint now and keep it among the backups."""


Command = Change | Show | Lend | Save | BackUp


class Control:
    """Hands commands to a training that iterates in another thread; it looks once an iteration."""

    def __init__(self) -> None:
        self._waiting: deque[Command] = deque()

    def put(self, command: Command) -> None:
        """Ask for something, from any thread; never waits."""
        self._waiting.append(command)

    def take(self) -> list[Command]:
        """What was asked for since the last time, in order."""
        found: list[Command] = []
        while self._waiting:  # one training takes; what others put meanwhile is taken too
            found.append(self._waiting.popleft())
        return found
