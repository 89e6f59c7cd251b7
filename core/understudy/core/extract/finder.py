"""Where the faces of one picture are: all of it searched, or windows around where they are expected to be.

The whole picture is searched upright and, where nobody was found so, turned by a quarter, a half and three quarters:
detectors know heads that lean up to some 45 degrees. A window shows one face as it would stand in the picture if
nothing had changed, always in the same size and, of a head that lies on its side, upright; so detectors see windows
in batches, and a box has the same trembling on every frame, however large the plate.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from understudy.core import track
from understudy.core.errors import InvalidInput
from understudy.core.extract.networks import Asking, Detect, Locate, Turned
from understudy.core.extract.search import Shown
from understudy.core.face import Detection, Face, Landmarks
from understudy.core.faceset.manual import ManualFace
from understudy.core.frames import Float
from understudy.core.landmark import Found, Look
from understudy.core.pose import PoseLook

_WINDOW = 2.25  # side of a window, in units of the face's box
_LARGE = 6  # times the picture's longer side that a window's may have
_CANVAS = 320  # pixels of a window as a detector sees it; the face then has 142 of them
_SMALLEST = 50.0  # pixels of a face on the canvas: one that has become a third as large is another one
_NEAR = 0.75  # how far from where it was expected a face may be, in units of its size
_GROWTH = 2.0  # and how much larger or smaller
_SURE = 0.9  # confidence of the landmarks from which a face found upright is not looked at upside down
_SAME = 0.25  # mean distance of landmarks, in units of the face's size, up to which two finds are one face


@dataclass(frozen=True, kw_only=True)
class Expected:
    """A face as it was seen on a frame beside this one, and how far (x, y), plate pixels, it should have moved."""

    face: Face
    moved: tuple[float, float] = (0.0, 0.0)

    @property
    def box(self) -> npt.NDArray[np.float64]:
        """(2, 2) corners in plate pixels where it is expected."""
        return np.reshape(self.face.box, (2, 2)) + self.moved


_Settled = list[tuple[Face | None, float]]


@dataclass(frozen=True, kw_only=True)
class Finder:
    """How a picture is searched.

    Attributes:
        min_score: confidence of the landmarks, 0 to 1, below which a find is no face.
        smallest: side in plate pixels of the smallest face that the search of a whole picture looks for; None leaves
            it to the detector.
        upright_only: do not turn the picture.
    """

    min_score: float
    smallest: float | None = None
    upright_only: bool = False

    def whole(self, shown: Shown) -> Asking[list[Face]]:
        """All faces of the picture, in plate coordinates, the largest first.

        Each is looked at again in a window, as on frames where it is followed: the box of a face in a window differs
        from that in the whole picture by 3 pixels of 250, which would move the landmarks at every anchor.
        """
        faces = yield from self._search(shown, 0)
        if not faces and not self.upright_only:
            for turn in (1, 2, 3):
                faces += yield from self._search(shown, turn)
            faces = distinct(sorted(faces, key=lambda face: -face.score), shown.aspect)
        return sorted(faces, key=track.size, reverse=True)

    def near(self, shown: Shown, expected: Sequence[Expected]) -> Asking[list[Face | None]]:
        """Each expected face as it is on this picture; None for one that is not near where it was expected.

        Two that turn out to be one face are that one which is nearer to where it was expected; the other is None.
        """
        if not expected:
            return []
        windows = [_Window.around(each, shown, upright=self.upright_only) for each in expected]
        found = yield from _in_windows(shown, windows)
        detections = {i: detection for i, detection in enumerate(found) if detection is not None}
        settled = yield from self._settled(shown, list(detections.values()))
        faces = {i: face for i, (face, _) in zip(detections, settled, strict=True)}
        order = sorted(detections, key=lambda i: _off(detections[i], windows[i]))
        kept: list[Face] = []
        result: list[Face | None] = [None] * len(expected)
        for i in order:
            face = faces[i]
            if face is not None and not any(same(face, other, shown.aspect) for other in kept):
                kept.append(face)
                result[i] = face
        return result

    def guided(self, shown: Shown, manual: Sequence[ManualFace]) -> Asking[list[Face]]:
        """Faces that a person gave, `track` theirs: 68 points as they are, others with the landmarker's help.

        Raises:
            InvalidInput: the landmarks of one come to lie in one place.
        """
        detections = [face.detection() for face in manual]
        where = [shown.detection(detection) for detection in detections]
        asked = [i for i, face in enumerate(manual) if face.kind != "68"]
        founds: list[Found] = yield Locate(tuple(Look(proxy=shown.proxy, detection=where[i]) for i in asked))
        given = dict(zip(asked, founds, strict=True))
        for i, face in enumerate(manual):
            if i not in given:
                points = shown.to_proxy(np.array(face.points, np.float64)).astype(np.float32)
                given[i] = Found(landmarks=Landmarks(scheme="68", points=points), score=1.0)
        ordered = [given[i] for i in range(len(manual))]
        for face, found in zip(manual, ordered, strict=True):
            if not _is_face(found):
                raise InvalidInput(
                    f"the landmarker makes nothing of what was given by hand for track {face.track} on frame "
                    f"{face.frame}: is it inside the picture? Give its 68 points, or another box",
                    frame=face.frame,
                    field="manual",
                    value=face.track,
                )
        scored = [replace(d, score=found.score) for d, found in zip(where, ordered, strict=True)]
        faces = yield from _posed(shown, scored, ordered)
        return [replace(f, track=m.track, origin=m.origin) for f, m in zip(faces, manual, strict=True)]

    def _search(self, shown: Shown, turn: int) -> Asking[list[Face]]:
        """The faces of the whole picture turned by `turn` quarters against the clock."""
        turned = np.ascontiguousarray(np.rot90(shown.proxy, turn)) if turn else shown.proxy
        (found,) = yield Detect((turned,), self.smallest)
        size = (shown.proxy.shape[1], shown.proxy.shape[0])
        detections = [_unturned(detection, turn, size) for detection in found]
        again = yield from _in_windows(shown, [_Window.at(_corners(d), 0.0, turn) for d in detections])
        detections = [new or old for new, old in zip(again, detections, strict=True)]
        settled = yield from self._settled(shown, detections)
        if turn == 0 and not self.upright_only:
            settled = yield from self._hanging(shown, detections, settled)
        return distinct([face for face, _ in settled if face is not None], shown.aspect)

    def _hanging(self, shown: Shown, detections: Sequence[Detection], settled: _Settled) -> Asking[_Settled]:
        """Where the landmarker is not sure, upside down if that convinces it more.

        A head that hangs is found upright too, and landmarks of 0.3 to 0.7 are put on its chin and brow.
        """
        unsure = [i for i, (_, sure) in enumerate(settled) if sure < _SURE]
        windows = [_Window.at(_corners(detections[i]), 0.0, 2) for i in unsure]
        found = yield from _in_windows(shown, windows)
        turned = {i: detection for i, detection in zip(unsure, found, strict=True) if detection is not None}
        better = yield from self._settled(shown, list(turned.values()))
        by_index = dict(zip(turned, better, strict=True))
        return [max(each, by_index.get(i, each), key=lambda s: s[1]) for i, each in enumerate(settled)]

    def _settled(self, shown: Shown, detections: Sequence[Detection]) -> Asking[_Settled]:
        """How sure the landmarks of each detection (proxy pixels) are, and its face; None where that is too little."""
        founds: list[Found] = yield Locate(tuple(Look(proxy=shown.proxy, detection=d) for d in detections))
        good = [i for i, f in enumerate(founds) if f.score >= self.min_score and _is_face(f)]
        faces = yield from _posed(shown, [detections[i] for i in good], [founds[i] for i in good])
        by_index = dict(zip(good, faces, strict=True))
        return [(by_index.get(i), found.score) for i, found in enumerate(founds)]


def distinct(faces: Sequence[Face], aspect: float = 1.0) -> list[Face]:
    """Each face once: of finds that are one face the first."""
    kept: list[Face] = []
    for face in faces:
        if not any(same(face, other, aspect) for other in kept):
            kept.append(face)
    return kept


def same(a: Face, b: Face, aspect: float = 1.0) -> bool:
    """Whether two finds on one picture are one face. By landmarks: boxes of two people may well overlap."""
    scale = max(track.size(a), track.size(b), 1.0) * math.sqrt(aspect)
    apart = (a.landmarks.points - b.landmarks.points) * (aspect, 1.0)
    return float(np.linalg.norm(apart, axis=1).mean()) < _SAME * scale


def _posed(shown: Shown, detections: Sequence[Detection], founds: Sequence[Found]) -> Asking[list[Face]]:
    """Faces in plate coordinates, of detections and landmarks in proxy pixels."""
    looks = tuple(
        PoseLook(proxy=shown.proxy, points=found.landmarks.points, focal=shown.focal) for found in founds
    )
    angles: list[tuple[float, float, float]] = yield Turned(looks)
    faces = []
    for detection, found, (pitch, yaw, roll) in zip(detections, founds, angles, strict=True):
        x0, y0, x1, y1 = shown.to_plate(np.reshape(detection.box, (2, 2))).ravel().tolist()
        points = shown.to_plate(found.landmarks.points).astype(np.float32)
        face = Face(
            frame=shown.frame.number,
            box=(x0, y0, x1, y1),
            landmarks=replace(found.landmarks, points=points),
            score=float(detection.score),
            pitch=pitch,
            yaw=yaw,
            roll=roll,
        )
        faces.append(face)
    return faces


def _is_face(found: Found) -> bool:
    """Whether an alignment can be fitted to the points."""
    points = found.landmarks.points
    return bool(np.isfinite(points).all() and np.ptp(points, axis=0).min() > 1e-3)


@dataclass(frozen=True, kw_only=True)
class _Window:
    """A square of the proxy around an expected face.

    Attributes:
        x, y, side: in whole proxy pixels; it may reach beyond the picture.
        turn: quarters by which the canvas is turned against the clock.
        box: (2, 2) corners in proxy pixels where the face is expected.
    """

    x: int
    y: int
    side: int
    turn: int
    box: npt.NDArray[np.float64]

    @classmethod
    def around(cls, expected: Expected, shown: Shown, *, upright: bool) -> _Window:
        moved = np.abs(np.array(expected.moved) * (shown.aspect, 1.0)).max()
        turn = 0 if upright else round(expected.face.roll / 90.0) % 4
        return cls.at(shown.to_proxy(expected.box), float(moved), turn)

    @classmethod
    def at(cls, box: npt.NDArray[np.float64], moved: float, turn: int) -> _Window:
        """`box`, and how far it is expected to have moved, in proxy pixels."""
        side = max(2, math.ceil(_WINDOW * float((box[1] - box[0]).max()) + moved))
        x, y = np.floor(box.mean(axis=0) - side / 2.0).astype(int).tolist()
        return cls(x=x, y=y, side=side, turn=turn, box=box)

    def meets(self, shown: Shown) -> bool:
        """Whether a pixel of the picture is in it, and it is not so large that the picture is a speck in it."""
        height, width = shown.proxy.shape[:2]
        if self.side > _LARGE * max(height, width):
            return False
        return bool(-self.side < self.x < width and -self.side < self.y < height)

    def canvas(self, proxy: Float) -> Float:
        """(320, 320, 3) what it shows; black beyond the picture."""
        height, width = proxy.shape[:2]
        x0, y0, x1, y1 = self.x, self.y, self.x + self.side, self.y + self.side
        part = proxy[max(0, y0) : max(0, y1), max(0, x0) : max(0, x1)]
        beyond = (max(0, -y0), max(0, y1 - height), max(0, -x0), max(0, x1 - width))
        if any(beyond):
            part = np.asarray(cv2.copyMakeBorder(part, *beyond, cv2.BORDER_CONSTANT, value=0), np.float32)
        kernel = cv2.INTER_AREA if self.side > _CANVAS else cv2.INTER_LINEAR
        canvas = cv2.resize(part, (_CANVAS, _CANVAS), interpolation=kernel)
        return np.ascontiguousarray(np.rot90(canvas, self.turn))

    def placed(self, detection: Detection) -> Detection:
        """What was found on the canvas, in proxy pixels."""
        upright, scale = _unturned(detection, self.turn, (_CANVAS, _CANVAS)), self.side / _CANVAS
        x0, y0, x1, y1 = (v * scale for v in upright.box)
        return replace(
            upright,
            box=(x0 + self.x, y0 + self.y, x1 + self.x, y1 + self.y),
            keypoints=upright.keypoints * np.float32(scale) + np.array((self.x, self.y), np.float32),
        )


def _in_windows(shown: Shown, windows: Sequence[_Window]) -> Asking[list[Detection | None]]:
    """What each window shows of the face that is expected in it, in proxy pixels."""
    inside = [i for i, window in enumerate(windows) if window.meets(shown)]
    seen: list[list[Detection]] = yield Detect(
        tuple(windows[i].canvas(shown.proxy) for i in inside), _SMALLEST
    )
    result: list[Detection | None] = [None] * len(windows)
    for i, found in zip(inside, seen, strict=True):
        result[i] = _nearest([windows[i].placed(detection) for detection in found], windows[i])
    return result


def _nearest(detections: Sequence[Detection], window: _Window) -> Detection | None:
    """The detection that is the expected face, if one can be."""
    return min(
        (d for d in detections if _off(d, window) < np.inf), key=lambda d: _off(d, window), default=None
    )


def _off(detection: Detection, window: _Window) -> float:
    """How far a detection is from the expected face, in units of its size; infinite where it can not be it."""
    found = _corners(detection)
    sides = [
        max(1.0, float(np.sqrt(np.prod(np.maximum(box[1] - box[0], 0.0))))) for box in (found, window.box)
    ]
    away = float(np.linalg.norm(found.mean(axis=0) - window.box.mean(axis=0))) / max(sides)
    growth = max(sides) / min(sides)
    return away + math.log(growth) if away < _NEAR and growth < _GROWTH else np.inf


def _corners(detection: Detection) -> npt.NDArray[np.float64]:
    return np.reshape(detection.box, (2, 2))


def _unturned(detection: Detection, turn: int, size: tuple[int, int]) -> Detection:
    """What was found in a picture of `size` (width, height) turned by quarters against the clock, in that picture."""
    if turn == 0:
        return detection
    corners = _points_unturned(_corners(detection), turn, size)
    (x0, y0), (x1, y1) = corners.min(axis=0).tolist(), corners.max(axis=0).tolist()
    keypoints = _points_unturned(detection.keypoints, turn, size).astype(np.float32)
    roll = (detection.roll + 90.0 * turn + 180.0) % 360.0 - 180.0
    return replace(detection, box=(x0, y0, x1, y1), keypoints=keypoints, roll=roll)


def _points_unturned(
    points: npt.NDArray[np.floating], turn: int, size: tuple[int, int]
) -> npt.NDArray[np.float64]:
    """(N, 2) of a picture turned by 1, 2 or 3 quarters against the clock → of the picture itself."""
    x, y = np.asarray(points, np.float64).reshape(-1, 2).T
    width, height = size
    where = {1: (width - y, x), 2: (width - x, height - y), 3: (y, height - x)}[turn]
    return np.stack(where, axis=-1)
