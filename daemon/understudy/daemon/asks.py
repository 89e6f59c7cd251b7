"""Asks for previews, and answers, as they pass between the server and its worker. Each ask has one answer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from understudy.core.merge.settings import MergeSettings


@dataclass(frozen=True, kw_only=True)
class Frame:
    """The only frame of a merge, of which nothing is written.

    Attributes:
        size: pixels of the longer side at most; 0: as the plate has it.
        exr: the file that the merge would write, in place of a PNG.
    """

    merge: MergeSettings
    size: int = 0
    exr: bool = False


@dataclass(frozen=True)
class Grid:
    """The picture of a running training."""

    model: Path


@dataclass(frozen=True)
class Ask:
    """To the worker. `until` is of the system's monotonic clock, which both read."""

    number: int
    what: Frame | Grid
    until: float


@dataclass(frozen=True)
class Drop:
    """To the worker: nobody waits for this one any more. It is answered all the same, with nothing."""

    number: int


@dataclass(frozen=True, kw_only=True)
class Shown:
    """From the worker: the picture as a file.

    Attributes:
        iteration: of the model.
        live: by a running training's weights.
    """

    number: int
    data: bytes = b""
    iteration: int = 0
    live: bool = False
    warnings: tuple[str, ...] = ()
    faces: int = 0


@dataclass(frozen=True)
class Refused:
    """From the worker: why there is no picture."""

    number: int
    reason: str
    message: str
    details: dict[str, str]


Asked: TypeAlias = Ask | Drop
Answer: TypeAlias = Shown | Refused
