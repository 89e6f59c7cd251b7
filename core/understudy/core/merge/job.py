"""One frame on its way through a merge, each of its views, and each face on them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from understudy.core.errors import UnderstudyError, said_by
from understudy.core.face import Alignment
from understudy.core.frames import Array, Float, Frame, Window
from understudy.core.located import Located, Mask
from understudy.core.merge.analysis import Placed
from understudy.core.merge.face_swap import Made
from understudy.core.merge.layers import Ground
from understudy.core.merge.patch import Patch
from understudy.core.merge.recipe import Recipe
from understudy.core.plate.views import MONO
from understudy.core.reports import FrameReport, FrameStatus

NOWHERE = Window(0, 0, 0, 0)


@dataclass(kw_only=True, eq=False)
class Swap:
    """One person's face on one view; each stage fills in what the next one needs.

    Attributes:
        person: which of the merge's.
        name: theirs, for messages; empty where nobody else is swapped.
        look: what their recipe says of the frame.
        window: what of the plate the face may come to cover.
        pixels: the plate on `window`, and what the crop's filter reads around it.
        nonfinite: by channel, where the plate around the face is not.
        said: layer → (h, w) what the user's mattes of a use say on `window`.
        crop: (S, S, 3) what the network sees.
        alignment: by which the crop comes back to the plate.
        face: (S, S, 3) the new face after colour match, finished as far as the crop goes; larger by super-resolution.
        box: what it changed of the plate, at most.
        matte: on `box`, by which it was mixed, as its layer holds it.
    """

    person: int
    name: str
    placed: Placed
    look: Recipe
    window: Window = NOWHERE
    pixels: Patch | None = None
    nonfinite: dict[str, Located] = field(default_factory=dict)
    said: dict[str, Float] = field(default_factory=dict)
    crop: Float | None = None
    made: Made | None = None
    alignment: Alignment | None = None
    face: Float | None = None
    box: Window = NOWHERE
    matte: Array | None = None

    def covers(self, window: Window) -> Float:
        """(h, w) in [0, 1]: how much of a window of the plate it covers."""
        found = np.zeros((window.height, window.width), np.float32)
        here = self.box.intersect(window)
        if self.matte is not None and not here.empty:
            found[here.slices(window)] = self.matte[here.slices(self.box)]
        return found


@dataclass(kw_only=True)
class View:
    """One view of a frame; each stage fills in what the next one needs.

    Attributes:
        name: as the plate names it; `MONO` where there is one only.
        file: the key of its file in `Job.files`: its name where each view has a file, else `MONO`.
        asked: whether it is worked on. Others go along in a file that has them, in the file's colour space.
        swaps: the faces on it in the order in which they are laid over one another; none: the plate passes through.
        frame: as `plate.views.select` gives it; faces are mixed into its R, G and B where they are the ground's.
        ground: what the finished picture starts from; once it is `finished`, the picture itself.
        layers: the compositor's channels of all people, as the file names them.
    """

    name: str
    file: str
    asked: bool = True
    swaps: list[Swap] = field(default_factory=list)
    frame: Frame | None = None
    ground: Ground | None = None
    layers: dict[str, Array] = field(default_factory=dict)
    finished: bool = False

    @property
    def within(self) -> str:
        """Its name in its file."""
        return MONO if self.file else self.name

    def swap_of(self, person: int) -> Swap | None:
        """One person's; None where they have no face here."""
        return next((swap for swap in self.swaps if swap.person == person), None)

    def inside(self, window: Window) -> Mask:
        """(h, w): where a face was mixed into a window of the plate."""
        found = np.zeros((window.height, window.width), bool)
        for swap in self.swaps:
            found |= swap.covers(window) > 0.0
        return found

    def saying(self, message: str, swap: Swap | None = None) -> str:
        """The message, with what it is about."""
        words = (self.name, swap.name if swap else "", message)
        return ": ".join(word for word in words if word)

    @contextmanager
    def named(self, swap: Swap | None = None) -> Iterator[None]:
        """Errors raised within say which view they are about, and which person."""
        with said_by(lambda message: self.saying(message, swap)):
            yield


@dataclass(kw_only=True)
class Job:
    """One frame; each stage fills in what the next one needs.

    Attributes:
        views: those worked on, the default one first; then those that go along.
        report: set as soon as nothing more is to be done.
        files: view of the file → the file, as `plate.read` gives it.
        plates: view of the file → SHA-256 of the plate's bytes.
        digest: identity of everything that shapes the output.
        written: file of the output, seen from its folder → SHA-256.
    """

    number: int
    views: list[View]
    report: FrameReport | None = None
    files: dict[str, Frame] = field(default_factory=dict)
    plates: dict[str, str] = field(default_factory=dict)
    digest: str = ""
    written: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def swaps(self) -> list[tuple[View, Swap]]:
        """Every face, with the view that it is on."""
        return [(view, swap) for view in self.views for swap in view.swaps]

    @property
    def faces(self) -> list[tuple[str, int]]:
        """The view and the person of each."""
        return [(view.name, swap.person) for view, swap in self.swaps]

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - started

    def end(self, status: FrameStatus, *, outputs: tuple[Path, ...] = (), **items: Any) -> None:
        scores = [swap.placed.face.score for _, swap in self.swaps]
        self.report = FrameReport(
            frame=self.number,
            status=status,
            faces=len(scores),
            confidence=min(scores, default=None),
            warnings=tuple(self.warnings),
            seconds=self.seconds,
            outputs=outputs,
            **items,
        )

    def fail(self, error: UnderstudyError) -> None:
        """House rule 8: what goes wrong on a frame is in its report."""
        self.end(FrameStatus.FAILED, reason=error.reason, message=error.message)
