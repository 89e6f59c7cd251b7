"""A faceset as columns: an array for each thing that its faces say, so that 100,000 of them are sorted and chosen at
once. `FaceRecord` stays what knows a header; here its values lie side by side.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from understudy.core.face import Alignment, Face, Landmarks
from understudy.core.faceset.record import FaceRecord
from understudy.core.frames import Array, Float

Indices = npt.NDArray[np.int64]

POINTS = 68
NUMBERS: dict[str, tuple[type, tuple[int, ...]]] = {
    "file_size": (np.int64, ()),
    "mtime_ns": (np.int64, ()),
    "frame": (np.int64, ()),
    "track": (np.int32, ()),
    "score": (np.float32, ()),
    "box": (np.float64, (4,)),
    "landmarks": (np.float32, (POINTS, 2)),
    "pose": (np.float64, (3,)),
    "matrix": (np.float64, (2, 3)),
    "size": (np.int32, ()),
    "gain": (np.float64, ()),
    "pixel_aspect": (np.float64, ()),
    "faces": (np.int32, ()),
    "cut": (np.bool_, ()),
}
"""Column of numbers → its type and the shape of a row."""

TEXTS = ("view", "plate", "plate_size", "face_type", "colour", "config", "release", "digest", "origin")

_BLOCK = 1024  # records made at a time while all are gone through


@dataclass(frozen=True, kw_only=True, eq=False)
class Texts:
    """A column of texts, of which many are the same.

    Attributes:
        codes: (N,) int32: row i is `table[codes[i]]`.
        table: the texts, each once, sorted; it may hold some that no row has.
    """

    codes: npt.NDArray[np.int32]
    table: tuple[str, ...]

    @classmethod
    def of(cls, values: Sequence[str]) -> Texts:
        table = tuple(sorted(set(values)))
        place = {text: i for i, text in enumerate(table)}
        return cls(codes=np.array([place[text] for text in values], np.int32), table=table)

    @classmethod
    def joined(cls, parts: Sequence[Texts]) -> Texts:
        table = tuple(sorted({text for part in parts for text in part.table}))
        place = {text: i for i, text in enumerate(table)}
        moved = [_lookup([place[text] for text in part.table])[part.codes] for part in parts]
        return cls(codes=np.concatenate(moved) if moved else np.empty(0, np.int32), table=table)

    def __iter__(self) -> Iterator[str]:
        return map(self.table.__getitem__, self.codes.tolist())

    def array(self) -> npt.NDArray[np.str_]:
        """(N,) all rows, as numpy compares them: without NUL characters at the end."""
        return np.array(self.table or ("",), np.str_)[self.codes]

    def used(self) -> list[str]:
        """The texts that at least one row has, sorted."""
        return [self.table[code] for code in np.unique(self.codes).tolist()]

    def mapped(self, rename: Callable[[str], str]) -> Texts:
        """Every row's text under another name."""
        texts = [rename(text) for text in self.table]
        table = tuple(sorted(set(texts)))
        place = {text: i for i, text in enumerate(table)}
        return Texts(codes=_lookup([place[text] for text in texts])[self.codes], table=table)


@dataclass(frozen=True, kw_only=True, eq=False)
class Columns:
    """N faces, row by row; what the values mean is said in `FaceRecord` and `Face`. Not to be written to.

    Attributes:
        name: (N,) str, of its file.
        file_size, mtime_ns: (N,) int64, of its file when the faceset was opened; of a pack, when it was packed.
        frame: (N,) int64.
        track, size, faces: (N,) int32.
        score: (N,) float32.
        box: (N, 4) float64, x0, y0, x1, y1 in plate pixels.
        landmarks: (N, 68, 2) float32, plate pixels; may be mapped from the disk.
        pose: (N, 3) float64, pitch, yaw, roll in degrees.
        matrix: (N, 2, 3) float64, plate px → aligned px.
        gain, pixel_aspect: (N,) float64.
        cut: (N,) bool.
        confidence: (N, 68) float32, NaN in rows that have none; None where no row has any.
        texts: name of each of `TEXTS` → its column. `view`, `plate`, … are the same as plain arrays.
    """

    name: npt.NDArray[np.str_]
    file_size: npt.NDArray[np.int64]
    mtime_ns: npt.NDArray[np.int64]
    frame: npt.NDArray[np.int64]
    track: npt.NDArray[np.int32]
    score: Float
    box: npt.NDArray[np.float64]
    landmarks: Float
    pose: npt.NDArray[np.float64]
    matrix: npt.NDArray[np.float64]
    size: npt.NDArray[np.int32]
    gain: npt.NDArray[np.float64]
    pixel_aspect: npt.NDArray[np.float64]
    faces: npt.NDArray[np.int32]
    cut: npt.NDArray[np.bool_]
    confidence: Float | None
    texts: dict[str, Texts]

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def view(self) -> npt.NDArray[np.str_]:
        return self.texts["view"].array()

    @property
    def plate(self) -> npt.NDArray[np.str_]:
        return self.texts["plate"].array()

    @property
    def face_type(self) -> npt.NDArray[np.str_]:
        return self.texts["face_type"].array()

    @property
    def colour(self) -> npt.NDArray[np.str_]:
        return self.texts["colour"].array()

    @property
    def digest(self) -> npt.NDArray[np.str_]:
        return self.texts["digest"].array()

    @property
    def origin(self) -> npt.NDArray[np.str_]:
        return self.texts["origin"].array()

    @property
    def area(self) -> npt.NDArray[np.float64]:
        """(N,) of the box, in square plate pixels."""
        sides = np.maximum(self.box[:, 2:] - self.box[:, :2], 0.0)
        area: npt.NDArray[np.float64] = sides[:, 0] * sides[:, 1]
        return area

    @classmethod
    def of(cls, records: Sequence[FaceRecord], files: Sequence[tuple[int, int]]) -> Columns:
        """The columns of records, in their order; `files`: size in bytes and mtime in ns of each one's file.

        Raises:
            OverflowError: a number does not fit (`fits`).
        """
        rows = [_row(record, file) for record, file in zip(records, files, strict=True)]
        numbers: dict[str, Any] = {
            name: np.array([row[name] for row in rows], kind).reshape(len(rows), *shape)
            for name, (kind, shape) in NUMBERS.items()
        }
        texts = {name: Texts.of([_text(record, name) for record in records]) for name in TEXTS}
        names = np.array([record.path.name for record in records], np.str_)
        return cls(name=names, texts=texts, confidence=_confidences(records), **numbers)

    @classmethod
    def joined(cls, parts: Sequence[Columns]) -> Columns:
        """One after the other."""
        if len(parts) == 1:
            return parts[0]
        parts = [part for part in parts if len(part)] or [empty()]
        numbers = {name: np.concatenate([getattr(part, name) for part in parts]) for name in NUMBERS}
        texts = {name: Texts.joined([part.texts[name] for part in parts]) for name in TEXTS}
        confidence = None
        if any(part.confidence is not None for part in parts):
            confidence = np.concatenate(
                [_blank(len(part)) if part.confidence is None else part.confidence for part in parts]
            )
        names = np.concatenate([part.name for part in parts])
        return cls(name=names, texts=texts, confidence=confidence, **numbers)

    def take(self, rows: Indices | npt.NDArray[np.bool_] | slice) -> Columns:
        """Some rows, in the order of `rows`: numbers of rows, a mask or a slice."""
        numbers = {name: getattr(self, name)[rows] for name in NUMBERS}
        texts = {name: replace(column, codes=column.codes[rows]) for name, column in self.texts.items()}
        confidence = None if self.confidence is None else self.confidence[rows]
        return Columns(name=self.name[rows], texts=texts, confidence=confidence, **numbers)

    def ordered(self) -> Columns:
        """By plate, frame, track, view and name: the order of a faceset."""
        plate, view = (self.texts[name].codes for name in ("plate", "view"))  # tables are sorted, so codes do
        return self.take(np.lexsort((self.name, view, self.track, self.frame, plate)))


def empty() -> Columns:
    """No face."""
    return Columns.of((), ())


def fits(record: FaceRecord) -> bool:
    """Whether a header's whole numbers are of a size that any faceset has: a file may say anything."""
    face = record.face
    return abs(face.frame) < 2**63 and max(abs(face.track), abs(record.faces)) < 2**31


class LazyRecords(Sequence[FaceRecord]):
    """The records of a faceset, each made when it is asked for. A slice is one of these again."""

    def __init__(self, folder: Path, columns: Columns) -> None:
        self._folder, self._columns = folder, columns

    def __len__(self) -> int:
        return len(self._columns)

    @overload
    def __getitem__(self, index: int) -> FaceRecord: ...

    @overload
    def __getitem__(self, index: slice) -> LazyRecords: ...

    def __getitem__(self, index: int | slice) -> FaceRecord | LazyRecords:
        if isinstance(index, slice):
            return LazyRecords(self._folder, self._columns.take(index))
        place = range(len(self))[index]  # the interpreter's own rules for negative ones and IndexError
        return next(self._made(place, place + 1))

    def __iter__(self) -> Iterator[FaceRecord]:
        for first in range(0, len(self), _BLOCK):
            yield from self._made(first, min(first + _BLOCK, len(self)))

    def __repr__(self) -> str:
        return f"<{len(self)} records of {self._folder}>"

    def _made(self, first: int, end: int) -> Iterator[FaceRecord]:
        rows = self._columns.take(slice(first, end))
        numbers = [name for name in NUMBERS if name not in ("landmarks", "matrix")]
        values = zip(
            *(getattr(rows, name).tolist() for name in numbers),
            *(rows.texts[name] for name in TEXTS),
            strict=True,
        )
        keys = (*numbers, *TEXTS)
        sure = _blank(len(rows)) if rows.confidence is None else rows.confidence
        said = set(np.flatnonzero(~np.isnan(sure).all(axis=1)).tolist())
        for i, (name, row) in enumerate(zip(rows.name.tolist(), values, strict=True)):
            confidence = sure[i].copy() if i in said else None
            landmarks = Landmarks(scheme="68", points=rows.landmarks[i].copy(), confidence=confidence)
            value = dict(zip(keys, row, strict=True))
            yield _record(self._folder / name, value, landmarks, rows.matrix[i].copy())


def _record(path: Path, value: dict[str, Any], landmarks: Landmarks, matrix: Array) -> FaceRecord:
    x0, y0, x1, y1 = value["box"]
    pitch, yaw, roll = value["pose"]
    face = Face(
        frame=value["frame"],
        box=(x0, y0, x1, y1),
        landmarks=landmarks,
        score=value["score"],
        pitch=pitch,
        yaw=yaw,
        roll=roll,
        track=value["track"],
        cut=value["cut"],
        origin=value["origin"],
    )
    return FaceRecord(
        path=path,
        face=face,
        alignment=Alignment(matrix=matrix, size=value["size"], face_type=value["face_type"]),
        plate=value["plate"],
        gain=value["gain"],
        colour=value["colour"],
        config=value["config"],
        release=value["release"],
        pixel_aspect=value["pixel_aspect"],
        digest=value["digest"],
        faces=value["faces"],
        view=value["view"],
        plate_size=value["plate_size"],
    )


def _row(record: FaceRecord, file: tuple[int, int]) -> dict[str, Any]:
    face = record.face
    return {
        "file_size": file[0],
        "mtime_ns": file[1],
        "frame": face.frame,
        "track": face.track,
        "score": face.score,
        "box": face.box,
        "landmarks": face.landmarks.points,
        "pose": (face.pitch, face.yaw, face.roll),
        "matrix": record.alignment.matrix,
        "size": record.alignment.size,
        "gain": record.gain,
        "pixel_aspect": record.pixel_aspect,
        "faces": record.faces,
        "cut": face.cut,
    }


def _text(record: FaceRecord, name: str) -> str:
    where: object = {"face_type": record.alignment, "origin": record.face}.get(name, record)
    return str(getattr(where, name))


def _confidences(records: Iterable[FaceRecord]) -> Float | None:
    rows = [record.face.landmarks.confidence for record in records]
    if all(row is None for row in rows):
        return None
    blank = _blank(1)[0]
    return np.array([blank if row is None else row for row in rows], np.float32)


def _blank(count: int) -> Float:
    return np.full((count, POINTS), np.nan, np.float32)


def _lookup(places: list[int]) -> npt.NDArray[np.int32]:
    return np.array(places, np.int32)


assert {*NUMBERS, "name", "confidence", "texts"} == {field.name for field in fields(Columns)}
