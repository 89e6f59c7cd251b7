"""Which faces it pays most to label next.

Where a segmenter was applied: those of whose matte it is least sure. Before that: those that stand for most others.
In either case no two alike, and none like one that has a label: a shot's worst frame has neighbours that are as bad,
and a label for one of them is a label for all. Faces are taken one by one, each the one with the greatest

    worth × (1 − exp(−d²)),    d its distance to the nearest of those that were taken or have a label,

of which worth is the square of the segmenter's doubt.

On its own the second factor is farthest-first traversal (Gonzalez, "Clustering to minimize the maximum intercluster
distance", 1985), which Sener and Savarese ("Active learning for convolutional neural networks: a core-set approach",
ICLR 2018) choose labels by; levelling off, it does not run after freaks.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from understudy.core.errors import FrameMissing, FrameUnreadable, InvalidInput, NotFound
from understudy.core.faceset import Faceset, measures
from understudy.core.faceset.beside import scaled
from understudy.core.faceset.columns import Indices
from understudy.core.faceset.labels import Labels
from understudy.core.faceset.mattes import Mattes, occ
from understudy.core.faceset.measured import Table
from understudy.core.frames import Array, Float
from understudy.core.pipeline import overlapped

Float64 = npt.NDArray[np.float64]

Item = TypeVar("Item")

_READERS = 8  # threads: reading headers is waiting where the folder is on another machine
_CONSIDERED = 2048  # faces at most that are compared with each other, where no segmenter has told them apart
_LABELS = 512  # at most that they are compared with
_SHORTLIST = 20  # faces for each that is wanted whose mattes are compared
_LEAST = 1e-3  # that a face is worth of whose matte nothing is unsure
_SIDE = 16  # pixels of a matte that is compared with others

# What is a clear difference, of which one alone has two faces count as 63 % unlike.
_TURN = 15.0  # degrees between the poses
_SHAPE = 0.03  # of the crop's side, root mean square over the landmarks
_LOOK = 24.0  # code values of 255, root mean square over the face as it is measured
_MATTE = 0.2  # 1 minus intersection over union
_SPAN = 2.0  # times the length of the shot
_FRAMES = 24.0  # between the two, and the less the other differences count, the nearer they are


@dataclass(frozen=True, kw_only=True)
class Suggestion:
    """A face that should be labelled.

    Attributes:
        name: of its file.
        frame, track, view: where it is.
        confidence: of the segmenter in its matte, 0 to 1; None where it has none.
    """

    name: str
    frame: int
    track: int
    view: str
    confidence: float | None


def suggest(faceset: Faceset, count: int = 10, track: int | None = None) -> list[Suggestion]:
    """The faces to label next, best first: at most `count`, fewer where fewer have no label.

    Faces with a matte come before those without. Of very many without one, an even choice is looked at.

    Args:
        track: which person; None: all.

    Raises:
        NotFound: the faceset holds no face.
        InvalidInput: a count below 1; or there is no such track.
    """
    if count < 1:
        raise InvalidInput(f"count: {count} is below 1", field="count", value=count)
    faces = faceset if track is None else faceset.select(track)
    if not len(faces.columns):
        raise NotFound(f"{faceset.path}: there is no face in it", path=faceset.path, field="faceset")
    labelled = np.isin(faces.columns.name, list(Labels(faces).names()))
    sure = _confidences(faces, np.flatnonzero(~labelled))
    known = _thinned(np.flatnonzero(labelled), _LABELS)
    chosen: list[int] = []
    if len(asked := np.flatnonzero(np.isfinite(sure))):
        asked = asked[np.argsort(sure[asked], kind="stable")][: max(count * _SHORTLIST, 200)]
        doubt = np.maximum(1.0 - sure[asked], _LEAST)
        worth = np.square(doubt)  # or the most different of the well known would win over the worst
        chosen = _Compared(faces, asked, known, mattes=True).spread(worth, count)
    if len(chosen) < count and len(asked := np.flatnonzero(~labelled & np.isnan(sure))):
        known, asked = np.append(known, np.array(chosen, np.int64)), _thinned(asked, _CONSIDERED)
        worth = faces.columns.score[asked].astype(np.float64)
        chosen += _Compared(faces, asked, known).spread(worth, count - len(chosen))
    return [_suggestion(faces, i, sure[i]) for i in chosen]


def _suggestion(faces: Faceset, index: int, sure: float) -> Suggestion:
    columns = faces.columns
    return Suggestion(
        name=str(columns.name[index]),
        frame=int(columns.frame[index]),
        track=int(columns.track[index]),
        view=str(columns.view[index]),
        confidence=float(sure) if np.isfinite(sure) else None,
    )


def _confidences(faces: Faceset, asked: Indices) -> Float64:
    """(N,) of the segmenter in the mattes of these faces; NaN of others, and of those without one."""
    mattes = Mattes(faces)
    there = mattes.names()
    asked = asked[np.isin(faces.columns.name[asked], list(there))]

    def read(index: int) -> float:
        try:
            said = mattes.about(faces.records[index])
        except (FrameMissing, FrameUnreadable):
            return np.nan  # a broken matte is as none: the next apply makes it anew
        return np.nan if said is None else said[0]

    found = np.full(len(faces.columns), np.nan)
    found[asked] = list(overlapped(asked.tolist(), read, _same, _same, ahead=_READERS))
    return found


class _Compared:
    """Faces that are to choose from, beside those that are known. Rows are the former, then the latter."""

    def __init__(self, faces: Faceset, asked: Indices, known: Indices, *, mattes: bool = False) -> None:
        self._asked = asked
        rows = np.concatenate([asked, known])
        chosen = faces.subset(rows)
        columns = chosen.columns
        self._track, self._frame = columns.track, columns.frame
        self._plate, self._span = columns.texts["plate"].codes, _SPAN * max(1.0, float(np.ptp(self._frame)))
        groups: list[Array] = [columns.pose[:, :2] / _TURN, _shapes(chosen) / _SHAPE, *_looks(chosen)]
        self._vectors: Float = np.concatenate(groups, axis=1).astype(np.float32)
        self._mattes = _mattes(chosen) if mattes else None

    def spread(self, worth: Float64, count: int) -> list[int]:
        """Indices of at most `count` faces, in the order in which they are taken; `worth` (M,) of each asked one.

        Where nothing is known and no mattes tell, the first is the most usual one.
        """
        asked = len(self._asked)
        near = np.full(asked, np.inf)
        for row in range(asked, len(self._vectors)):
            near = np.minimum(near, self._apart(row))
        usual = asked == len(self._vectors) and self._mattes is None
        taken: list[int] = []
        while len(taken) < min(count, asked):
            gain = worth * -np.expm1(-near)
            gain[taken] = -np.inf
            taken.append(self._usual() if usual and not taken else int(gain.argmax()))
            near = np.minimum(near, self._apart(taken[-1]))
        return [int(self._asked[row]) for row in taken]

    def _usual(self) -> int:
        return int(np.square(self._vectors - np.median(self._vectors, axis=0)).sum(axis=1).argmin())

    def _apart(self, row: int) -> Float64:
        """(M,) squared distances of the asked ones to one row; people are never alike."""
        asked = np.s_[: len(self._asked)]
        squared: Float64 = np.square(self._vectors[asked] - self._vectors[row]).sum(axis=1, dtype=np.float64)
        if self._mattes is not None:
            one, other = self._mattes[asked], self._mattes[row]
            shared, both = np.minimum(one, other).sum(axis=1), np.maximum(one, other).sum(axis=1)
            unlike = (1.0 - shared / np.maximum(both, 1e-6)) / _MATTE
            squared += np.square(np.nan_to_num(unlike))  # one of them is not known
        frames = np.abs(self._frame[asked] - self._frame[row])
        gone, far = np.minimum(frames / _FRAMES, 1.0), frames / self._span
        gone[elsewhere := self._plate[asked] != self._plate[row]] = 1.0
        far[elsewhere] = 1.0
        squared = gone * (squared + gone) + np.square(far)  # a hand that moves on is the same hand
        squared[self._track[asked] != self._track[row]] = np.inf
        return squared


def _shapes(faces: Faceset) -> Float64:
    """(K, 136) landmarks in their crops, of which a difference's length is its root mean square in sides."""
    columns = faces.columns
    aligned = columns.landmarks @ columns.matrix[:, :, :2].swapaxes(1, 2) + columns.matrix[:, None, :, 2]
    shapes: Float64 = (aligned / columns.size[:, None, None]).reshape(len(columns), -1) / np.sqrt(68)
    return shapes


def _looks(faces: Faceset) -> list[Float]:
    """(K, 256) the faces' pictures, where all were measured; else nothing."""
    table = Table(faces, measures.GROUP)
    measured = table.column("face") if table.known.all() else None
    if measured is None:
        return []
    half = measures.THUMBNAIL // 2
    small = measured.reshape(-1, half, 2, half, 2).mean(axis=(2, 4), dtype=np.float32)
    return [small.reshape(len(small), -1) / np.float32(half * _LOOK)]


def _mattes(faces: Faceset) -> Float:
    """(K, 256) what is seen of the faces, small; NaN where it is not known."""
    read = partial(_small, faces)
    rows = list(overlapped(range(len(faces.columns)), read, _same, _same, ahead=_READERS))
    return np.array(rows, np.float32).reshape(len(rows), -1)


def _small(faces: Faceset, index: int) -> Float:
    try:
        record = faces.records[index]
        matte = occ(faces, record, scaled(record.alignment, _SIDE))
    except (FrameMissing, FrameUnreadable, InvalidInput):  # InvalidInput: a face with two labels
        matte = None
    return np.full((_SIDE, _SIDE), np.nan, np.float32) if matte is None else matte


def _thinned(indices: Indices, most: int) -> Indices:
    """At most so many of them, evenly spread."""
    if len(indices) <= most:
        return indices
    picks = np.linspace(0, len(indices) - 1, most).round().astype(np.int64)
    return indices[picks]


def _same(item: Item) -> Item:
    return item
