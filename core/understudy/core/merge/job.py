"""One frame on its way through a merge, and each of its views."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from understudy.core.errors import UnderstudyError
from understudy.core.frames import Float, Frame, Window
from understudy.core.located import Located
from understudy.core.merge.analysis import Placed
from understudy.core.merge.composite import Composite
from understudy.core.merge.face_swap import Made
from understudy.core.merge.layers import Ground
from understudy.core.plate.views import MONO
from understudy.core.reports import FrameReport, FrameStatus

NOWHERE = Window(0, 0, 0, 0)


@dataclass(kw_only=True)
class View:
    """One view of a frame; each stage fills in what the next one needs.

    Attributes:
        name: as the plate names it; `MONO` where there is one only.
        file: the key of its file in `Job.files`: its name where each view has a file, else `MONO`.
        asked: whether it is worked on. Others go along in a file that has them, in the file's colour space.
        placed: the face on it, or None: the plate passes through.
        frame: as `plate.views.select` gives it.
        window: the crop's footprint on the plate.
        pixels: (h, w, 3) the plate on `window`, scene-linear in the working space, finite.
        nonfinite: by channel, where the plate around the face is not.
        said: layer → (h, w) what the user's mattes of a use say on `window`.
        crop: (S, S, 3) what the network sees.
        matched: (S, S, 3) the new face after colour match.
    """

    name: str
    file: str
    asked: bool = True
    placed: Placed | None = None
    frame: Frame | None = None
    ground: Ground | None = None
    window: Window = NOWHERE
    pixels: Float | None = None
    nonfinite: dict[str, Located] = field(default_factory=dict)
    said: dict[str, Float] = field(default_factory=dict)
    crop: Float | None = None
    made: Made | None = None
    matched: Float | None = None
    finished: Composite | None = None

    @property
    def within(self) -> str:
        """Its name in its file."""
        return MONO if self.file else self.name

    @property
    def box(self) -> Window:
        """What the swap changed, at most."""
        return self.finished.box if self.finished else NOWHERE

    @contextmanager
    def named(self) -> Iterator[None]:
        """Errors raised within say which view they are about."""
        try:
            yield
        except UnderstudyError as error:
            error.message = self.saying(error.message)
            error.args = (error.message,)
            raise

    def saying(self, message: str) -> str:
        return f"{self.name}: {message}" if self.name else message


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
    def faces(self) -> list[str]:
        """The views that have one."""
        return [view.name for view in self.views if view.placed]

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - started

    def end(self, status: FrameStatus, *, outputs: tuple[Path, ...] = (), **items: Any) -> None:
        scores = [view.placed.face.score for view in self.views if view.placed]
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
