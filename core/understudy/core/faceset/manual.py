"""What a person says of faces that the networks miss or mistake: `manual.json` in the faceset's folder.

On a frame a person gives the points of a face, or a box that the landmarker is to look in, or says that there is no
such face. Extraction takes that over everything the networks say, on that frame and on no other: how faces are
followed from frame to frame does not look at it. With `interpolate`, the frames up to the next key of the same person,
view and kind are given as well, on a straight line between the two.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from understudy.core import files
from understudy.core.align import umeyama
from understudy.core.errors import FrameUnreadable, InvalidInput, NotFound
from understudy.core.face import Detection, Face, Landmarks
from understudy.core.frames import FrameRange

NAME = "manual.json"
FORMAT = 1

Point = tuple[float, float]
Box = tuple[float, float, float, float]
_Key = tuple[str, str, int, int]

_COUNTS = (5, 68)
_MALFORMED = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
_TRACKS = 2**31 - 1  # the last one is free for a newcomer
# The mean face of `align` in its unit square: eyes' middles, nose tip, corners of the mouth, the person's right first.
_FIVE = np.array([(0.2255, 0.2160), (0.7548, 0.2160), (0.4901, 0.5156), (0.2541, 0.7802), (0.7261, 0.7802)])
_OF_FIVE = (
    [0] * 5 + [3] * 4 + [4] * 3 + [1] * 5 + [0] * 5 + [1] * 5 + [2] * 9 + [0] * 6 + [1] * 6 + [3, 4] * 10
)
"""Which of the five each of the 68 is near."""
_MIDDLE, _SIDE = (0.49, 0.47), 1.2  # of the square that a detector puts around that face


@dataclass(frozen=True, kw_only=True)
class ManualFace:
    """One face on one frame, as a person gives it: just one of `points`, `box` and `absent`.

    Attributes:
        plate: template of the plate in `%04d` form; empty for whichever plate the faceset has.
        view: of that plate; empty where it has none.
        track: whose face it is, from 0; may be a number that the faceset does not have yet.
        frame: its number.
        points: x, y in plate pixels: 68 in iBUG 300-W order, taken as they are; or 5 around which the landmarker
            looks: the person's right eye, left eye, nose tip, right and left corner of the mouth.
        box: x0, y0, x1, y1 in plate pixels: the landmarker looks in it.
        absent: this person is not on this frame, whatever the networks say.
        interpolate: frames up to the next key of this plate, view, track and kind are interpolated.
        between: it was interpolated, not given; never stored.
    """

    plate: str = ""
    view: str = ""
    track: int
    frame: int
    points: tuple[Point, ...] | None = None
    box: Box | None = None
    absent: bool = False
    interpolate: bool = False
    between: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.track < _TRACKS:
            what = "below 0" if self.track < 0 else "more than a header holds"
            raise self._wrong("track", self.track, f"track {self.track} is {what}")
        if (self.points is not None) + (self.box is not None) + bool(self.absent) != 1:
            raise self._wrong("points", None, "give just one of points, a box and absent")
        if self.points is not None and len(self.points) not in _COUNTS:
            raise self._wrong("points", len(self.points), f"{len(self.points)} points are neither 5 nor 68")
        numbers = [v for point in self.points or () for v in point] + list(self.box or ())
        if not all(map(math.isfinite, numbers)):
            raise self._wrong("points" if self.points else "box", numbers, "a coordinate is not finite")
        if self.points is not None and np.ptp(self.points, axis=0).min() < 1.0:
            raise self._wrong("points", self.points[0], "the points lie in one place or on one line")
        if self.box is not None and min(self.box[2] - self.box[0], self.box[3] - self.box[1]) < 1.0:
            raise self._wrong(
                "box", self.box, f"the box {self.box} is not x0, y0, x1, y1 with x0 < x1 and y0 < y1"
            )

    def _wrong(self, field: str, value: object, why: str) -> InvalidInput:
        return InvalidInput(
            f"manual face of track {self.track} on frame {self.frame}: {why}",
            frame=self.frame,
            field=field,
            value=value,
        )

    @property
    def kind(self) -> str:
        """`68`, `5`, `box` or `absent`: what keys must share to be interpolated."""
        if self.points is not None:
            return str(len(self.points))
        return "box" if self.box is not None else "absent"

    @property
    def origin(self) -> str:
        """What `face.Face.origin` becomes."""
        if self.kind != "68":
            return "guided"
        return "interpolated" if self.between else "manual"

    def detection(self) -> Detection:
        """What to hand to a landmarker, in plate pixels; of 68 points the box around them."""
        none = np.empty((0, 2), np.float32)
        if self.box is not None:
            return Detection(box=self.box, score=1.0, keypoints=none)
        assert self.points is not None, "an absent face is nowhere"
        given = np.array(self.points, np.float64)
        if self.kind == "68":
            (x0, y0), (x1, y1) = given.min(axis=0).tolist(), given.max(axis=0).tolist()
            return Detection(box=(x0, y0, x1, y1), score=1.0, keypoints=none)
        matrix = umeyama(_FIVE, given)
        x, y = (matrix[:, :2] @ _MIDDLE + matrix[:, 2]).tolist()
        half = _SIDE * float(np.sqrt(abs(np.linalg.det(matrix[:, :2])))) / 2.0
        box = (x - half, y - half, x + half, y + half)
        return Detection(box=box, score=1.0, keypoints=given.astype(np.float32))

    def rough(self) -> Face:
        """About where this face is, its landmarks guessed where they were not given: enough to tell who it is."""
        detection = self.detection()
        x0, y0, x1, y1 = detection.box
        points = np.array(self.points or (), np.float64)
        if self.kind == "box":
            points = np.array(((x0 + x1) / 2.0, (y0 + y1) / 2.0)) + (_FIVE - _MIDDLE) * (x1 - x0) / _SIDE
        landmarks = Landmarks(
            scheme="68", points=(points[_OF_FIVE] if len(points) == 5 else points).astype(np.float32)
        )
        return Face(
            frame=self.frame,
            box=detection.box,
            landmarks=landmarks,
            score=1.0,
            track=self.track,
            origin=self.origin,
        )

    def to_json(self) -> dict[str, Any]:
        """What decides the face, as JSON can hold it; what is not set is left out."""
        given = asdict(self).items()  # track and frame 0 are given
        return {name: v for name, v in given if v is not None and v is not False and v != ""}

    @property
    def _key(self) -> _Key:
        return self.plate, self.view, self.track, self.frame


class Manual:
    """All that was said of a faceset's faces.

    Attributes:
        faces: as given, by plate, view, track and frame.
    """

    def __init__(self, folder: Path, faces: Iterable[ManualFace] = ()) -> None:
        self._path = folder / NAME
        self._by_key = {face._key: face for face in faces}
        self._lines: dict[tuple[str, str], dict[int, list[ManualFace]]] = {}

    @classmethod
    def read(cls, folder: Path) -> Manual:
        """What lies in a faceset's folder; nothing, where nobody said anything.

        Raises:
            FrameUnreadable: the file is there and is not one of ours.
        """
        path = folder / NAME
        try:
            return cls.parse(folder, path.read_bytes())
        except (FileNotFoundError, NotADirectoryError):
            return cls(folder)
        except OSError as error:
            raise FrameUnreadable(f"{path}: cannot be read: {error.strerror}", path=path) from error

    @classmethod
    def parse(cls, folder: Path, content: bytes) -> Manual:
        """What the bytes of the file say, wherever they are kept: a pack has no such file. Errors as `read`."""
        path = folder / NAME
        try:
            stored = json.loads(content)
            if stored["format"] != FORMAT:
                raise ValueError(f"format {stored['format']!r} is not {FORMAT}")
            return cls(folder, (_face(entry) for entry in stored["faces"]))
        except (
            ArithmeticError,
            LookupError,
            RecursionError,
            TypeError,
            ValueError,
            AttributeError,
            InvalidInput,
        ) as error:
            said = error.message if isinstance(error, InvalidInput) else str(error)
            raise FrameUnreadable(f"{path}: not a list of manual faces: {said}", path=path) from error

    @property
    def faces(self) -> tuple[ManualFace, ...]:
        return tuple(self._by_key[key] for key in sorted(self._by_key))

    def set(self, faces: Iterable[ManualFace]) -> int:
        """Add faces; one of the same plate, view, track and frame takes the place of an older one. Gives the count.

        Raises:
            InvalidInput: one was interpolated, or says what 68, 5 points and a box cannot.
            WriteFailed, DiskFull: everything is as it was.
        """
        new = {face._key: replace(face, between=False) for face in faces}
        return self._write({**self._by_key, **new})

    def delete(
        self, *, plate: str = "", view: str = "", track: int | None = None, frames: FrameRange | None = None
    ) -> int:
        """Forget those of a plate, a view, a track and frames; each left empty stands for any. Gives how many.

        Raises:
            NotFound: there is none.
            WriteFailed, DiskFull: everything is as it was.
        """
        gone = [
            key
            for key, face in self._by_key.items()
            if plate in ("", face.plate)
            and view in ("", face.view)
            and track in (None, face.track)
            and (frames is None or not len(frames) or face.frame in frames)
        ]
        if not gone:
            who = "anybody" if track is None else f"track {track}"
            raise NotFound(
                f"{self._path}: nothing was said of {who} on {frames or 'any frame'}",
                path=self._path,
                field="track",
                value=track,
            )
        self._write({key: face for key, face in self._by_key.items() if key not in gone})
        return len(gone)

    def at(self, plate: str, view: str, frame: int) -> list[ManualFace]:
        """What applies to a view of a frame: given there, or else interpolated; one a track, by track."""
        found: dict[int, ManualFace] = {}
        for track, keys in self._tracks(plate, view).items():
            here = next((face for face in keys if face.frame == frame), None)
            face = here or next((f for k in _kinds(keys) if (f := _between(k, frame))), None)
            if face is not None:
                found[track] = replace(face, plate=plate, view=view)
        return [found[track] for track in sorted(found)]

    def known(self, plate: str) -> list[tuple[str, Face]]:
        """View and rough face of all that was given of a plate, for a tracker: `ManualFace.rough`."""
        given = (face for face in self._by_key.values() if face.plate in ("", plate) and not face.absent)
        return [(face.view, face.rough()) for face in given]

    def _tracks(self, plate: str, view: str) -> dict[int, list[ManualFace]]:
        """Track → its keys, frames ascending."""
        if (plate, view) not in self._lines:
            found = self._lines[plate, view] = {}
            for face in sorted(self._by_key.values(), key=lambda face: (face.frame, face.plate)):
                if face.plate in ("", plate) and face.view == view:
                    found.setdefault(face.track, []).append(face)
        return self._lines[plate, view]

    def _write(self, by_key: dict[_Key, ManualFace]) -> int:
        entries = [by_key[key].to_json() for key in sorted(by_key)]
        text = ",\n  ".join(json.dumps(entry, allow_nan=False) for entry in entries)
        files.write_text(self._path, f'{{"format": {FORMAT}, "faces": [\n  {text}\n]}}\n')
        self._by_key, self._lines = by_key, {}
        return len(by_key)


def _face(entry: Any) -> ManualFace:
    points, box = entry.pop("points", None), entry.pop("box", None)
    if wrong := [name for name in ("track", "frame") if type(entry[name]) is not int]:
        raise ValueError(f"{wrong[0]} is {entry[wrong[0]]!r}, no whole number")
    return ManualFace(
        points=None if points is None else tuple((float(x), float(y)) for x, y in points),
        box=None if box is None else _box(*map(float, box)),
        **entry,
    )


def _box(x0: float, y0: float, x1: float, y1: float) -> Box:
    return x0, y0, x1, y1


def _kinds(keys: list[ManualFace]) -> list[list[ManualFace]]:
    """The keys of each kind; the kind given first comes first."""
    return [[key for key in keys if key.kind == kind] for kind in dict.fromkeys(key.kind for key in keys)]


def _between(keys: list[ManualFace], frame: int) -> ManualFace | None:
    """The face on a frame between two keys of one kind, the first of which says so."""
    before = max((key for key in keys if key.frame < frame), key=lambda key: key.frame, default=None)
    after = min((key for key in keys if key.frame > frame), key=lambda key: key.frame, default=None)
    if before is None or after is None or not before.interpolate:
        return None
    part = (frame - before.frame) / (after.frame - before.frame)
    made = replace(before, frame=frame, interpolate=False, between=True)
    if before.points is not None and after.points is not None:
        line = (1.0 - part) * np.array(before.points) + part * np.array(after.points)
        return replace(made, points=tuple((float(x), float(y)) for x, y in line))
    if before.box is not None and after.box is not None:
        return replace(
            made, box=_box(*((1.0 - part) * np.array(before.box) + part * np.array(after.box)).tolist())
        )
    return made
