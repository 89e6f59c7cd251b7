"""Who is who over the frames of a shot, and steadier landmarks for each of them. Plate pixels throughout."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from understudy.core import steady
from understudy.core.cuts import is_cut, thumbnail
from understudy.core.errors import InvalidInput
from understudy.core.face import Face
from understudy.core.frames import Float

__all__ = ["SMOOTHING", "Tracker", "is_cut", "size", "smooth", "thumbnail"]

SMOOTHING = 2
"""Of what `smooth` makes of the same faces, `steady` included: what is measured on smoothed faces goes by it."""

Costs = npt.NDArray[np.float64]

_REACH = 0.6  # how far a face's points may move from one frame to the next, in units of its size
_REACH_OVER_CUT = 0.15  # across a cut only a face that stays where it is goes on: a jump cut of one take
_REACH_MOST = 1.5  # however long the gap
_GROWTH = 2.0  # and how much larger or smaller it may become
_MEMORY = 48  # frames after which where a face was says nothing any more

# Looks, in units of the distance at which a descriptor's makers call two faces two people.
_DOUBT = 2.0  # of movement and look together, above which a pair is none
_UNLIKE = 2.5  # no look counts more: a hand before a face that hardly moves makes nobody else of it
_SAME_OVER_CUT = 1.0  # of the look of a face that stands where one stood before a cut
_CLEAR = 0.7  # of the look alone, of somebody who comes back after long or after a cut …
_MARGIN = 0.2  # … while everybody else is further away by this
_RETURN = 1.0  # what coming back costs: no more than the worst movement, no less than a good one
_AVERAGED = 48  # descriptors that count in the mean of a person

# From one eye to the other, in units of the face's size. Eyes 65 mm apart see a face of 160 mm shifted by 0.4 of it at
# any distance, and converging them shifts the whole picture; rectified, nothing moves up or down.
_DISPARITY = 1.0
_DISPARITY_Y = 0.25
_DISPARITY_SHAPE = 0.15  # the turn of a head by what lies between the eyes, and a landmarker's noise
_DISPARITY_GROWTH = 1.4
_SURE = 10.0  # what two eyes see at one time counts more than any memory: costs are from -1 to 3


@dataclass
class _Seen:
    """The people of one view.

    Attributes:
        last: id → the face seen last.
        ahead: id → faces recorded on frames still to come, the next one at the end.
    """

    last: dict[int, Face] = field(default_factory=dict)
    ahead: dict[int, list[Face]] = field(default_factory=dict)

    def around(self, frame: int) -> dict[int, Face]:
        """Each person as seen nearest to this frame, unless that is too long ago."""
        for faces in self.ahead.values():
            while faces and faces[-1].frame <= frame:
                passed = faces.pop()
                last = self.last.get(passed.track, passed)
                self.last[passed.track] = max(last, passed, key=lambda f: f.frame)
        seen = {t: [f[-1]] for t, f in self.ahead.items() if f}
        for track, face in self.last.items():
            seen.setdefault(track, []).append(face)
        nearest = {t: min(faces, key=lambda f: abs(f.frame - frame)) for t, faces in seen.items()}
        return {t: face for t, face in nearest.items() if abs(face.frame - frame) <= _MEMORY}


@dataclass
class _Look:
    """How a person looks: the mean of the descriptors (D,) seen, the last ones counting most when there are many."""

    mean: Float
    count: int = 1

    def add(self, descriptor: Float) -> None:
        self.count = min(self.count + 1, _AVERAGED)
        self.mean = self.mean + (descriptor - self.mean) / np.float32(self.count)


class Tracker:
    """Gives each face of a shot the id of its person, frame by frame, in ascending order; one id in all views.

    Every pairing of a known person and a face found costs the mean distance of their landmarks, in units of the
    face's size, less the overlap of their boxes, and how unlike they look; the cheapest assignment of all at once
    wins (Hungarian method). A person may be away for 2 seconds at 24 frames; the further they may then have moved.
    Who comes back later, or after a cut, is known by the look alone, if that is clear.

    What another eye sees on the same frame says best who somebody is: the same face at the same height, shifted
    sideways. Then comes what this eye saw before, and for people it never saw what another eye saw before.
    """

    def __init__(
        self, recorded: Iterable[tuple[str, Face]] = (), *, taken: Iterable[int] = (), same: float = 1.0
    ) -> None:
        """Begin a shot, or go on with one.

        Args:
            recorded: view and face, of an earlier run: they keep their ids and lend them to the frames around them.
            taken: further ids that newcomers do not get: of people whose faces are gone.
            same: the distance of two descriptors up to which two faces may be one person's (`identity.Family.SAME`).
        """
        self._seen: dict[str, _Seen] = {}
        self._looks: dict[int, _Look] = {}
        self._cuts: set[int] = set()
        self._same = same
        ids = set(taken)
        for view, face in sorted(recorded, key=lambda r: -r[1].frame):
            self._of(view).ahead.setdefault(face.track, []).append(face)
            ids.add(face.track)
            if face.cut:
                self._cuts.add(face.frame)
        self._next = max(ids, default=-1) + 1

    def assign(
        self,
        faces: Sequence[Face],
        *,
        view: str = "",
        cut: bool = False,
        pixel_aspect: float = 1.0,
        descriptors: Float | None = None,
    ) -> list[Face]:
        """Give the faces of one view of one frame their `track`.

        Args:
            faces: all that were found there, in plate pixels.
            view: which eye sees them; of a frame, one after the other, always in the same order.
            cut: this frame begins another picture.
            pixel_aspect: width over height of a plate pixel; distances are measured in square ones.
            descriptors: (N, D) how each face looks, from one member of `identity`; a row that is not finite says
                nothing. None goes by movement alone.
        """
        if not faces:
            return []
        frame, own = faces[0].frame, self._of(view)
        if cut:
            self._cuts.add(frame)
        known = own.around(frame)
        others = [seen.around(frame) for name, seen in self._seen.items() if name != view]
        people = list(dict.fromkeys([*known, *(track for other in others for track in other), *self._looks]))
        likeness = self._likeness(people, descriptors, len(faces))
        pairing = _Pairing(known=known, others=others, cuts=self._cuts, pixel_aspect=pixel_aspect)
        ids = {j: people[i] for i, j in pairing.best(people, faces, likeness)}
        for j in sorted(set(range(len(faces))) - set(ids), key=lambda j: -size(faces[j])):
            ids[j] = self._next  # the largest newcomer first, so that a shot's lead is usually 0
            self._next += 1
        assigned = [replace(face, track=ids[j]) for j, face in enumerate(faces)]
        own.last |= {face.track: face for face in assigned}
        if descriptors is not None:
            self._remember(people, ids, likeness, descriptors)
        return assigned

    def cut(self, frame: int) -> None:
        """A frame begins another picture, whether or not there is a face on it."""
        self._cuts.add(frame)

    def keep(self, face: Face, *, view: str = "", descriptor: Float | None = None) -> None:
        """Take in a face whose `track` is known, because a person gave it; after `assign` of the same frame."""
        self._of(view).last[face.track] = face
        self._next = max(self._next, face.track + 1)
        if descriptor is not None:
            self.know(face.track, descriptor)

    def know(self, track: int, descriptor: Float) -> None:
        """Somebody looks like this (D,): what an earlier run saw, or what a person says."""
        if not np.isfinite(descriptor).all():
            return
        if track in self._looks:
            self._looks[track].add(descriptor)
        else:
            self._looks[track] = _Look(np.asarray(descriptor, np.float32))

    def _likeness(self, people: Sequence[int], descriptors: Float | None, count: int) -> Costs:
        """(people, faces) how unlike each two look, in units of `same`; NaN where that is not known."""
        result = np.full((len(people), count), np.nan)
        if descriptors is not None:
            for i, track in enumerate(people):
                if track in self._looks:
                    result[i] = np.linalg.norm(descriptors - self._looks[track].mean, axis=1) / self._same
        return np.where(np.isfinite(result), result, np.nan)

    def _remember(
        self, people: Sequence[int], ids: Mapping[int, int], likeness: Costs, descriptors: Float
    ) -> None:
        """Who was seen looks like this; unless so unlike before that something may hide the face."""
        for j, track in ids.items():
            if not np.isfinite(descriptors[j]).all():
                continue
            if track not in self._looks:
                self._looks[track] = _Look(np.asarray(descriptors[j], np.float32))
            elif likeness[people.index(track), j] <= 1.0:
                self._looks[track].add(descriptors[j])

    def _of(self, view: str) -> _Seen:
        return self._seen.setdefault(view, _Seen())


def size(face: Face) -> float:
    """Side in pixels of the square with the box's area."""
    x0, y0, x1, y1 = face.box
    return float(np.sqrt(max(0.0, x1 - x0) * max(0.0, y1 - y0)))


@dataclass(frozen=True, kw_only=True)
class _Pairing:
    """What it costs to take a face for somebody; infinite where it can not be.

    Attributes:
        known: id → the face that this view saw nearest in time.
        others: the same of each other view.
        cuts: the frames that begin another picture.
        pixel_aspect: as for `Tracker.assign`.
    """

    known: Mapping[int, Face]
    others: Sequence[Mapping[int, Face]]
    cuts: Collection[int]
    pixel_aspect: float

    def best(self, people: Sequence[int], faces: Sequence[Face], likeness: Costs) -> list[tuple[int, int]]:
        """The pairs (index of person, index of face) that cost least together; nobody and no face is in two."""
        if not people:
            return []
        clear = _clear(likeness)
        costs = np.array(
            [
                [
                    self.cost(track, new, float(likeness[i, j]), bool(clear[i, j]))
                    for j, new in enumerate(faces)
                ]
                for i, track in enumerate(people)
            ]
        )
        pairs = zip(*linear_sum_assignment(np.where(np.isfinite(costs), costs, 1e6)), strict=True)
        return [(int(i), int(j)) for i, j in pairs if np.isfinite(costs[i, j])]

    def cost(self, track: int, new: Face, look: float, clear: bool) -> float:
        """`look`: in units of what is the same, NaN where not known; `clear`: enough to know somebody by."""
        unlike = 0.0 if np.isnan(look) else min(look, _UNLIKE)
        elsewhere = [other[track] for other in self.others if track in other]
        now = [self._disparity(old, new) for old in elsewhere if old.frame == new.frame]
        if (least := min(now, default=np.inf)) < np.inf:
            return least + unlike - _SURE
        moved, apart = np.inf, track not in self.known
        if track in self.known:
            old = self.known[track]
            moved, apart = self._movement(old, new), self._is_cut_between(old, new)
            if apart and unlike > _SAME_OVER_CUT:
                return np.inf
        elif elsewhere:
            moved = min(self._disparity(old, new) for old in elsewhere)
        cost = moved + unlike
        if np.isfinite(cost) and (np.isnan(look) or cost <= _DOUBT):
            return cost
        return _RETURN + look if clear and apart else np.inf

    def _movement(self, old: Face, new: Face) -> float:
        """Of two faces of one view."""
        if _growth(old, new) > _GROWTH:
            return np.inf
        distance = float(np.linalg.norm(self._shift(old, new), axis=1).mean())
        return distance - _overlap(old, new) if distance <= self._reach(old, new) else np.inf

    def _disparity(self, old: Face, new: Face) -> float:
        """Of faces of two views, on one frame or on frames near each other."""
        shift = self._shift(old, new)
        mean = shift.mean(axis=0)
        x, y = np.abs(mean).tolist()
        shape = float(np.linalg.norm(shift - mean, axis=1).mean())
        moved = 0.0 if old.frame == new.frame else self._reach(old, new)
        if _growth(old, new) > _DISPARITY_GROWTH or shape > _DISPARITY_SHAPE + moved / 2.0:
            return np.inf
        return float(x + y + shape) if x <= _DISPARITY + moved and y <= _DISPARITY_Y + moved else np.inf

    def _shift(self, old: Face, new: Face) -> npt.NDArray[np.float64]:
        """(68, 2) from the one's landmarks to the other's in square pixels, in units of the larger face."""
        scale = max(size(old), size(new), 1.0) * np.sqrt(self.pixel_aspect)
        shift = (new.landmarks.points - old.landmarks.points) * (self.pixel_aspect, 1.0) / scale
        return np.asarray(shift, np.float64)

    def _reach(self, old: Face, new: Face) -> float:
        """How far the points may have moved from one frame to the other."""
        if self._is_cut_between(old, new):
            return _REACH_OVER_CUT
        return min(_REACH * max(1, abs(new.frame - old.frame)), _REACH_MOST)

    def _is_cut_between(self, a: Face, b: Face) -> bool:
        first, last = sorted((a.frame, b.frame))
        return any(first < cut <= last for cut in self.cuts)


def _clear(likeness: Costs) -> npt.NDArray[np.bool_]:
    """(people, faces) whether a look says who that is: near to one person's, and clearly less so to all others'."""
    looks = np.where(np.isnan(likeness), np.inf, likeness)
    second = np.sort(looks, axis=0)[1] if len(looks) > 1 else np.full(looks.shape[1], np.inf)
    return (looks <= _CLEAR) & (looks < second - _MARGIN)


def _growth(a: Face, b: Face) -> float:
    """How many times the larger of two is as large as the other."""
    small, large = sorted(max(size(face), 1.0) for face in (a, b))
    return large / small


def _overlap(a: Face, b: Face) -> float:
    """Intersection over union of the boxes."""
    (ax0, ay0, ax1, ay1), (bx0, by0, bx1, by1) = a.box, b.box
    shared = max(0.0, min(ax1, bx1) - max(ax0, bx0)) * max(0.0, min(ay1, by1) - max(ay0, by0))
    return shared / max(size(a) ** 2 + size(b) ** 2 - shared, 1e-9)


def smooth(faces: Sequence[Face], window: int) -> list[Face]:
    """Steadier faces: box, landmarks and angles of each person, fitted over the whole shot; see `steady.steadied`.

    Zero phase. Never across a gap, where a frame is missing, or a cut (`Face.cut`), where a new run begins. A point
    counts as much as the landmarker was sure of it. A frame on which the whole face stands elsewhere than just
    before and after is read from those around it. A face that a person gave (`manual`) stays as it is, and those
    beside it are fitted with it. Memory and time grow with the number of faces only.

    Args:
        faces: of any number of tracks, in any order; the result is in the same order.
        window: odd number of frames within which movement is followed; 1 changes nothing.

    Raises:
        InvalidInput: an even window or one below 1.
    """
    if window < 1 or window % 2 == 0:
        raise InvalidInput(
            f"smoothing: window {window} is not an odd number of frames, 1 or more",
            field="window",
            value=window,
        )
    result = list(faces)
    for run in _runs(faces) if window > 1 else ():
        for i, face in zip(run, _steadied([faces[i] for i in run], window), strict=True):
            if face.origin != "manual":
                result[i] = face
    return result


def _runs(faces: Sequence[Face]) -> list[list[int]]:
    """Indices of faces of one track on frames without a gap or a cut, in order of frames."""
    order = sorted(range(len(faces)), key=lambda i: (faces[i].track, faces[i].frame))
    runs = [order[:1]] if order else []
    for i, j in pairwise(order):
        new = faces[j]
        if new.track == faces[i].track and new.frame == faces[i].frame + 1 and not new.cut:
            runs[-1].append(j)
        else:
            runs.append([j])
    return runs


def _steadied(run: Sequence[Face], window: int) -> list[Face]:
    points = np.stack([face.landmarks.points for face in run]).astype(np.float64)
    boxes = np.array([face.box for face in run], np.float64).reshape(-1, 2, 2)
    angles = np.array([(face.pitch, face.yaw, face.roll) for face in run])[..., None]
    manual = np.array([face.origin == "manual" for face in run])
    trusted = (~steady.outliers(points) | manual).astype(np.float64)[:, None]
    sure = [
        np.ones(points.shape[1]) if (given := face.landmarks.confidence) is None else given for face in run
    ]
    points = steady.steadied(points, window, trusted * np.stack(sure))
    boxes = steady.steadied(boxes, window, trusted)
    angles = steady.steadied(np.unwrap(angles, axis=0, period=360.0), window, trusted)
    return [
        replace(
            face,
            landmarks=replace(face.landmarks, points=p.astype(np.float32)),
            box=(x0, y0, x1, y1),
            pitch=pitch,
            yaw=(yaw + 180.0) % 360.0 - 180.0,
            roll=(roll + 180.0) % 360.0 - 180.0,
        )
        for face, p, ((x0, y0), (x1, y1)), ((pitch,), (yaw,), (roll,)) in zip(
            run, points, boxes.tolist(), angles.tolist(), strict=True
        )
    ]
