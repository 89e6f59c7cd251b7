"""Who is who over the frames of a shot, and steadier landmarks for each of them. Plate pixels throughout."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
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

_THUMBNAIL = (48, 27)
_CUT = 0.35  # correlation of two thumbnails below which the picture is another one
_CUT_LEVEL = 0.04  # and their mean difference above which it is more than grain on a flat picture


class Tracker:
    """Gives each face of a shot the id of its person, frame by frame, in ascending order.

    Every pairing of a known person and a face found costs the mean distance of their landmarks, in units of the
    face's size, less the overlap of their boxes; the cheapest assignment of all at once wins (Hungarian method).
    A person may be away for 2 seconds at 24 frames; the further they may then have moved.
    """

    def __init__(self, recorded: Iterable[Face] = (), *, taken: Iterable[int] = ()) -> None:
        """Begin a shot, or go on with one.

        Args:
            recorded: faces of an earlier run, which keep their ids and lend them to the frames around them.
            taken: further ids that newcomers do not get: of people whose faces are gone.
        """
        self._last: dict[int, Face] = {}
        self._ahead: dict[int, list[Face]] = {}  # recorded on frames still to come, the next one at the end
        for face in sorted(recorded, key=lambda f: -f.frame):
            self._ahead.setdefault(face.track, []).append(face)
        self._next = max((*self._ahead, *taken), default=-1) + 1

    def assign(self, faces: Sequence[Face], *, cut: bool = False) -> list[Face]:
        """The same faces of one frame with `track` set; `cut`: this frame begins another picture."""
        if not faces:
            return []
        known = self._around(faces[0].frame)
        ids: dict[int, int] = {}
        if known:
            costs = np.array([[_cost(old, new, cut) for new in faces] for old in known])
            rows, columns = linear_sum_assignment(np.where(np.isfinite(costs), costs, 1e6))
            ids = {j: known[i].track for i, j in zip(rows, columns, strict=True) if np.isfinite(costs[i, j])}
        for j in sorted(set(range(len(faces))) - set(ids), key=lambda j: -size(faces[j])):
            ids[j] = self._next  # the largest newcomer first, so that a shot's lead is usually 0
            self._next += 1
        assigned = [replace(face, track=ids[j]) for j, face in enumerate(faces)]
        self._last |= {face.track: face for face in assigned}
        return assigned

    def _around(self, frame: int) -> list[Face]:
        """Each person as seen nearest to this frame, unless that is too long ago."""
        for faces in self._ahead.values():
            while faces and faces[-1].frame <= frame:
                passed = faces.pop()
                last = self._last.get(passed.track, passed)
                self._last[passed.track] = max(last, passed, key=lambda f: f.frame)
        seen = {t: [f[-1]] for t, f in self._ahead.items() if f}
        for track, face in self._last.items():
            seen.setdefault(track, []).append(face)
        nearest = [min(faces, key=lambda f: abs(f.frame - frame)) for faces in seen.values()]
        return [face for face in nearest if abs(face.frame - frame) <= _MEMORY]


def associate(frames: Iterable[Sequence[Face]]) -> list[list[Face]]:
    """The faces of each frame, frames in ascending order, with `track` set to one id per person."""
    tracker = Tracker()
    return [tracker.assign(faces) for faces in frames]


def size(face: Face) -> float:
    """Side in pixels of the square with the box's area."""
    x0, y0, x1, y1 = face.box
    return float(np.sqrt(max(0.0, x1 - x0) * max(0.0, y1 - y0)))


def _cost(old: Face, new: Face, cut: bool) -> float:
    """Infinite where the two can not be the same person."""
    small, scale = sorted((max(size(old), 1.0), max(size(new), 1.0)))
    if scale > _GROWTH * small:
        return float("inf")
    distance = np.linalg.norm(new.landmarks.points - old.landmarks.points, axis=1).mean() / scale
    gap = abs(new.frame - old.frame)
    cut = cut and old.frame < new.frame
    reach = _REACH_OVER_CUT if cut else min(_REACH * max(1, gap), _REACH_MOST)
    return float(distance - _overlap(old, new)) if distance <= reach else float("inf")


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
