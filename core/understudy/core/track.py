"""Who is who over the frames of a shot, and steadier landmarks for each of them. Plate pixels throughout."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import cv2
import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from understudy.core.errors import InvalidInput
from understudy.core.face import Face, Landmarks
from understudy.core.frames import Float

_REACH = 0.6  # how far a face's points may move from one frame to the next, in units of its size
_REACH_OVER_CUT = 0.15  # across a cut only a face that stays where it is goes on: a jump cut of one take
_REACH_MOST = 1.5  # however long the gap
_GROWTH = 2.0  # and how much larger or smaller it may become
_MEMORY = 48  # frames after which a face that was not seen is forgotten

# From one eye to the other, in units of the face's size. Eyes 65 mm apart see a face of 160 mm shifted by 0.4 of it at
# any distance, and converging them shifts the whole picture; rectified, nothing moves up or down.
_DISPARITY = 1.0
_DISPARITY_Y = 0.25
_DISPARITY_SHAPE = 0.15  # the turn of a head by what lies between the eyes, and a landmarker's noise
_DISPARITY_GROWTH = 1.4
_SURE = 10.0  # what two eyes see at one time counts more than any memory: costs are from -1 to 3

_THUMBNAIL = (48, 27)
_CUT = 0.35  # correlation of two thumbnails below which the picture is another one
_CUT_LEVEL = 0.04  # and their mean difference above which it is more than grain on a flat picture


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


class Tracker:
    """Gives each face of a shot the id of its person, frame by frame, in ascending order; one id in all views.

    Every pairing of a known person and a face found costs the mean distance of their landmarks, in units of the
    face's size, less the overlap of their boxes; the cheapest assignment of all at once wins (Hungarian method).
    A person may be away for 2 seconds at 24 frames; the further they may then have moved.

    What another eye sees on the same frame says best who somebody is: the same face at the same height, shifted
    sideways. Then comes what this eye saw before, and for people it never saw what another eye saw before.
    """

    def __init__(self, recorded: Iterable[tuple[str, Face]] = (), *, taken: Iterable[int] = ()) -> None:
        """Begin a shot, or go on with one.

        Args:
            recorded: view and face, of an earlier run: they keep their ids and lend them to the frames around them.
            taken: further ids that newcomers do not get: of people whose faces are gone.
        """
        self._seen: dict[str, _Seen] = {}
        ids = set(taken)
        for view, face in sorted(recorded, key=lambda r: -r[1].frame):
            self._of(view).ahead.setdefault(face.track, []).append(face)
            ids.add(face.track)
        self._next = max(ids, default=-1) + 1

    def assign(
        self, faces: Sequence[Face], *, view: str = "", cut: bool = False, pixel_aspect: float = 1.0
    ) -> list[Face]:
        """Give the faces of one view of one frame their `track`.

        Args:
            faces: all that were found there, in plate pixels.
            view: which eye sees them; of a frame, one after the other, always in the same order.
            cut: this frame begins another picture.
            pixel_aspect: width over height of a plate pixel; distances are measured in square ones.
        """
        if not faces:
            return []
        own = self._of(view)
        known = own.around(faces[0].frame)
        others = [seen.around(faces[0].frame) for name, seen in self._seen.items() if name != view]
        people = list(dict.fromkeys([*known, *(track for other in others for track in other)]))
        ids: dict[int, int] = {}
        if people:
            pairing = _Pairing(known=known, others=others, cut=cut, pixel_aspect=pixel_aspect)
            costs = np.array([[pairing.cost(track, new) for new in faces] for track in people])
            rows, columns = linear_sum_assignment(np.where(np.isfinite(costs), costs, 1e6))
            ids = {j: people[i] for i, j in zip(rows, columns, strict=True) if np.isfinite(costs[i, j])}
        for j in sorted(set(range(len(faces))) - set(ids), key=lambda j: -size(faces[j])):
            ids[j] = self._next  # the largest newcomer first, so that a shot's lead is usually 0
            self._next += 1
        assigned = [replace(face, track=ids[j]) for j, face in enumerate(faces)]
        own.last |= {face.track: face for face in assigned}
        return assigned

    def _of(self, view: str) -> _Seen:
        return self._seen.setdefault(view, _Seen())


def associate(frames: Iterable[Sequence[Face]]) -> list[list[Face]]:
    """The faces of each frame, frames in ascending order, with `track` set to one id per person."""
    tracker = Tracker()
    return [tracker.assign(faces) for faces in frames]


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
        cut: as for `Tracker.assign`.
        pixel_aspect: as for `Tracker.assign`.
    """

    known: Mapping[int, Face]
    others: Sequence[Mapping[int, Face]]
    cut: bool
    pixel_aspect: float

    def cost(self, track: int, new: Face) -> float:
        elsewhere = [other[track] for other in self.others if track in other]
        now = [self._disparity(old, new) for old in elsewhere if old.frame == new.frame]
        if (least := min(now, default=np.inf)) < np.inf:
            return least - _SURE
        if track in self.known:
            return self._movement(self.known[track], new)
        before = (self._disparity(old, new) for old in elsewhere if old.frame != new.frame)
        return min(before, default=np.inf)

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
        if self.cut and old.frame < new.frame:
            return _REACH_OVER_CUT
        return min(_REACH * max(1, abs(new.frame - old.frame)), _REACH_MOST)


def _growth(a: Face, b: Face) -> float:
    """How many times the larger of two is as large as the other."""
    small, large = sorted(max(size(face), 1.0) for face in (a, b))
    return large / small


def _overlap(a: Face, b: Face) -> float:
    """Intersection over union of the boxes."""
    (ax0, ay0, ax1, ay1), (bx0, by0, bx1, by1) = a.box, b.box
    shared = max(0.0, min(ax1, bx1) - max(ax0, bx0)) * max(0.0, min(ay1, by1) - max(ay0, by0))
    return shared / max(size(a) ** 2 + size(b) ** 2 - shared, 1e-9)


def thumbnail(proxy: Float) -> Float:
    """(27, 48) brightness of a viewing proxy (H, W, 3): what `is_cut` compares."""
    small: Float = cv2.resize(proxy, _THUMBNAIL, interpolation=cv2.INTER_AREA).mean(axis=2, dtype=np.float32)
    return small


def is_cut(before: Float, after: Float) -> bool:
    """Whether two thumbnails in a row show different pictures.

    By correlation, which a flash or a fade does not change; a missed cut joins two people only if the second stands
    where the first stood, a false one ends no track of a face that moves little.
    """
    if float(np.abs(before - after).mean()) < _CUT_LEVEL:
        return False
    a, b = before - before.mean(), after - after.mean()
    return float((a * b).sum()) < _CUT * float(np.sqrt((a * a).sum() * (b * b).sum()))


def smooth(faces: Sequence[Face], window: int) -> list[Face]:
    """Steadier faces: per track, a parabola is fitted to `window` frames around each one and read in the middle.

    Zero phase, and true to any movement with constant acceleration (Savitzky and Golay 1964; towards the ends of a
    run the window is cut off, not padded). Never across a gap: where a frame is missing, a new run begins. Box,
    landmarks and angles are fitted alike. Memory and time grow with the number of faces only.

    Args:
        faces: of any number of tracks, in any order; the result is in the same order.
        window: odd number of frames; 1 changes nothing.

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
    for run in _runs(faces):
        numbers = np.array([faces[i].frame for i in run])
        values = np.stack([_vector(faces[i]) for i in run])
        values[:, -3:] = np.unwrap(values[:, -3:], axis=0, period=360.0)
        for k, i in enumerate(run):
            near = np.flatnonzero(np.abs(numbers - numbers[k]) <= window // 2)
            result[i] = _with_vector(faces[i], _weights(numbers[near] - numbers[k]) @ values[near])
    return result


def _runs(faces: Sequence[Face]) -> list[list[int]]:
    """Indices of faces of one track on frames without a gap, in order of frames."""
    order = sorted(range(len(faces)), key=lambda i: (faces[i].track, faces[i].frame))
    runs = [order[:1]] if order else []
    for i, j in pairwise(order):
        if faces[j].track == faces[i].track and faces[j].frame == faces[i].frame + 1:
            runs[-1].append(j)
        else:
            runs.append([j])
    return runs


def _weights(offsets: npt.NDArray[np.integer]) -> npt.NDArray[np.float64]:
    """What each neighbour counts for the value at offset 0 of the best parabola through them."""
    degree = min(2, len(offsets) - 1)
    weights: npt.NDArray[np.float64] = np.linalg.pinv(np.vander(offsets.astype(float), degree + 1))[-1]
    return weights


def _vector(face: Face) -> npt.NDArray[np.float64]:
    angles = (face.pitch, face.yaw, face.roll)
    return np.concatenate([face.landmarks.points.ravel(), face.box, angles]).astype(np.float64)


def _with_vector(face: Face, vector: npt.NDArray[np.float64]) -> Face:
    count = face.landmarks.points.size
    points = vector[:count].reshape(-1, 2).astype(np.float32)
    x0, y0, x1, y1, pitch, yaw, roll = vector[count:].tolist()
    return replace(
        face,
        landmarks=Landmarks(scheme=face.landmarks.scheme, points=points),
        box=(x0, y0, x1, y1),
        pitch=pitch,
        yaw=yaw,
        roll=(roll + 180.0) % 360.0 - 180.0,
    )
