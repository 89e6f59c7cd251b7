"""What long work yields: small reports (house rule 9), the same for CLI, test and daemon.

A generator of long work yields `Started` first, then a report per frame or per stretch of training, `Artifact` for
each file a person may want to open, and returns. Closing it (`generator.close()`) is how work is cancelled or
paused: what is finished stays, a training writes its checkpoint, and starting again continues.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from understudy.core.frames import Array
    from understudy.core.model.swap import SwapModel


class FrameStatus(Enum):
    DONE = "done"  # made now
    SKIPPED = "skipped"  # already made by the same recipe: left as it is
    NO_FACE = "no_face"  # nothing to do here: for a merge the plate passed through
    MISSING = "missing"  # not on disk: stays missing
    FAILED = "failed"  # `reason` and `message` say why


@dataclass(frozen=True, kw_only=True)
class Started:
    """Work begins. `total` counts frames or iterations (0: until a time limit); `skipped` of them are done."""

    total: int
    unit: str = "frame"
    seconds: float = 0.0  # the time limit, where there is one
    skipped: int = 0


@dataclass(frozen=True, kw_only=True)
class FrameReport:
    """What became of one frame."""

    frame: int
    status: FrameStatus
    faces: int = 0
    confidence: float | None = None  # of the face worked on, 0 to 1
    reason: str = ""  # stable token of errors.py when failed or missing
    message: str = ""
    warnings: tuple[str, ...] = ()
    seconds: dict[str, float] = field(default_factory=dict)  # per stage: read, detect, swap, write, …
    outputs: tuple[Path, ...] = ()
    digests: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Advanced:
    """How far work without frames is: so many of `Started.total` are done."""

    done: int


@dataclass(frozen=True, kw_only=True)
class TrainReport:
    """Where a training stands."""

    iteration: int
    seconds: float  # spent training this model, over all sessions
    losses: dict[str, float]  # name → mean since the last report
    rate: float  # iterations per second, lately
    checkpoint: bool = False  # the state on disk is this one
    scores: dict[str, float] = field(default_factory=dict)  # measured since the last: `iou` of a segmenter


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """A file that the work made and a person or host may want to open."""

    # comp, contact_sheet, preview, manifest, faceset, faceset_sheet, coverage, pack, model, plate, track, labels,
    # segmenter, mattes, segmentation, backup, export, review, index, readme
    kind: str
    path: Path
    frame: int | None = None
    layers: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Lent:
    """What a training's network does now, between two iterations; it holds until the next report is asked for.

    Only who asked for it (`train.control.Lend`) is given one. The time that it is held does not count as training, and
    nothing that is done with it may change the network.
    """

    folder: Path  # of the model
    model: SwapModel
    grid: Callable[[], Array]  # draws the preview: (H, W, 3) uint8, sRGB


@dataclass(frozen=True, kw_only=True)
class Warned:
    """Something the user should know that stops nothing."""

    reason: str
    message: str


Report = Started | Advanced | FrameReport | TrainReport | Artifact | Lent | Warned
