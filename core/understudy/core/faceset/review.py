"""Frames that a person should look at: where somebody comes or goes, is seen badly, jumps, or was given by hand.

From what the headers say and from the journal of extraction alone; no pixel is read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from understudy.core.errors import InvalidInput
from understudy.core.faceset import journal
from understudy.core.faceset.columns import Columns
from understudy.core.faceset.store import Faceset

REASONS = ("no_face", "low_confidence", "found", "lost", "gap", "jump", "manual", "interpolated")

_JUMP = 0.15  # of a face's size: how far its landmarks may be from the middle between the frames beside it …
_STEP = 0.6  # … and from those of the one frame beside it, where there is but one

_Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class ReviewFrame:
    """Why a frame should be looked at.

    Attributes:
        plate: template of the plate, in `%04d` form.
        view: of it; empty where it has none.
        frame: its number.
        reason: `no_face`: nobody is on a frame that extraction looked at; `low_confidence`; `found`, `lost`:
            somebody's first or last frame, though the plate was looked at before or after; `gap`: the last frame
            before somebody was away for a while; `jump`: the landmarks lie off the way that the frames beside it show
            by more than 0.15 of the face's size; `manual`, `interpolated`: a person gave the face, or those around it.
        track: who it is about; None for `no_face`.
        message: a sentence for a person.
    """

    plate: str
    view: str
    frame: int
    reason: str
    track: int | None
    message: str


def review(path: Path, confidence: float = 0.8) -> list[ReviewFrame]:
    """The frames of a faceset to look at, by plate, frame, view and track.

    Args:
        path: the faceset.
        confidence: 0 to 1; a face is listed whose detection, or whose landmarks in their mean, are less sure.

    Raises:
        NotFound: there is no such faceset.
        InvalidInput: the confidence is not from 0 to 1.
    """
    if not 0.0 <= confidence <= 1.0:
        raise InvalidInput(
            f"confidence: {confidence} is not from 0 to 1", field="confidence", value=confidence
        )
    faceset = Faceset.open(path)
    looked = journal.looked((faceset.beside(journal.NAME) or b"").splitlines())
    columns = faceset.columns
    found: list[ReviewFrame] = []
    shots = {(plate, view) for plate, view in zip(columns.plate.tolist(), columns.view.tolist(), strict=True)}
    for plate, view in sorted(shots | looked.keys()):
        rows = np.flatnonzero((columns.plate == plate) & (columns.view == view))
        frames = np.union1d(np.array(sorted(looked.get((plate, view), {})), np.int64), columns.frame[rows])
        shot = _Shot(plate=plate, view=view, frames=frames, columns=columns)
        found += shot.empty(rows)
        for rows_of_one in _by_track(columns, rows):
            found += shot.of_track(rows_of_one, confidence)
    order = {reason: i for i, reason in enumerate(REASONS)}
    return sorted(
        found, key=lambda r: (r.plate, r.frame, r.view, -1 if r.track is None else r.track, order[r.reason])
    )


def _by_track(columns: Columns, rows: _Rows) -> list[_Rows]:
    """The rows of each person, frames ascending."""
    rows = rows[np.lexsort((columns.frame[rows], columns.track[rows]))]
    steps = np.flatnonzero(np.diff(columns.track[rows])) + 1
    return [part for part in np.split(rows, steps) if len(part)]


@dataclass(frozen=True, kw_only=True)
class _Shot:
    """One view of one plate; `frames`: all that were looked at, ascending."""

    plate: str
    view: str
    frames: npt.NDArray[np.int64]
    columns: Columns

    def empty(self, rows: _Rows) -> Iterator[ReviewFrame]:
        nobody = np.setdiff1d(self.frames, self.columns.frame[rows])
        return (self._frame(n, "no_face", None, "nobody was found") for n in nobody.tolist())

    def of_track(self, rows: _Rows, confidence: float) -> Iterator[ReviewFrame]:
        """What is to say of one person, whose rows are given with frames ascending."""
        frames = self.columns.frame[rows]
        who = int(self.columns.track[rows[0]])
        # on how many-eth looked-at frame each is: a frame that is not on disk makes no gap
        place = np.searchsorted(self.frames, frames)
        if place[0] > 0:
            yield self._frame(int(frames[0]), "found", who, f"track {who} is new here")
        if place[-1] < len(self.frames) - 1:
            yield self._frame(int(frames[-1]), "lost", who, f"track {who} is gone from here on")
        for i in np.flatnonzero(np.diff(place) > 1).tolist():
            first, last = self.frames[[place[i] + 1, place[i + 1] - 1]].tolist()
            span = f"{first}" if first == last else f"{first}-{last}"
            yield self._frame(int(frames[i]), "gap", who, f"track {who} is away on {span}")
        sure = self._confidence(rows)
        for i in np.flatnonzero(sure < confidence).tolist():
            said = f"track {who} is seen with a confidence of {sure[i]:.2f}"
            yield self._frame(int(frames[i]), "low_confidence", who, said)
        off = self._off(rows, place)
        for i in np.flatnonzero(off > 0.0).tolist():
            said = f"the landmarks of track {who} jump by {off[i]:.2f} of the face's size"
            yield self._frame(int(frames[i]), "jump", who, said)
        origin = self.columns.origin[rows]
        for reason, origins in (("manual", ("manual", "guided")), ("interpolated", ("interpolated",))):
            for i in np.flatnonzero(np.isin(origin, origins)).tolist():
                yield self._frame(int(frames[i]), reason, who, f"track {who} is {origin[i]}")

    def _confidence(self, rows: _Rows) -> npt.NDArray[np.float64]:
        """(N,) of the detection, or of the landmarks where that is less."""
        sure = self.columns.score[rows].astype(np.float64)
        if self.columns.confidence is not None:
            sure = np.fmin(sure, self.columns.confidence[rows].mean(axis=1))
        return sure

    def _off(self, rows: _Rows, place: npt.NDArray[np.integer]) -> npt.NDArray[np.float64]:
        """(N,) how far each face's landmarks are off its way, in units of its size; 0 where that is little.

        Against the middle between both neighbours, which a steady movement meets; where there is one neighbour,
        against that, with a larger allowance. Nothing is measured over a gap or over a cut.
        """
        columns = self.columns
        points = columns.landmarks[rows].reshape(len(rows), -1, 2).astype(np.float64)
        points[..., 0] *= columns.pixel_aspect[rows][:, None]
        size = np.maximum(np.sqrt(np.maximum(columns.area[rows] * columns.pixel_aspect[rows], 0.0)), 1.0)
        joined = np.concatenate([[False], (np.diff(place) == 1) & ~columns.cut[rows][1:], [False]])
        before, after = joined[:-1], joined[1:]
        off = np.zeros(len(rows))
        middle = np.flatnonzero(before & after)
        between = (points[middle - 1] + points[middle + 1]) / 2.0
        off[middle] = _mean_distance(points[middle], between) / size[middle]
        off[off <= _JUMP] = 0.0
        for ends, beside in ((np.flatnonzero(before & ~after), -1), (np.flatnonzero(after & ~before), 1)):
            away = _mean_distance(points[ends], points[ends + beside]) / size[ends]
            off[ends] = np.where(away > _STEP, away, 0.0)
        return off

    def _frame(self, frame: int, reason: str, who: int | None, message: str) -> ReviewFrame:
        return ReviewFrame(
            plate=self.plate, view=self.view, frame=frame, reason=reason, track=who, message=message
        )


def _mean_distance(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """(N,) of the points (N, 68, 2) of two faces."""
    return np.asarray(np.linalg.norm(a - b, axis=-1).mean(axis=-1), np.float64)
