"""A segmenter's mattes are written beside the faces of a faceset, whose labels stay what they are.

Imports torch only to work: the server reads the settings to refuse at submit.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from understudy.core.errors import FrameMissing, FrameUnreadable, InvalidInput, NoFace
from understudy.core.faceset import FaceRecord, Faceset
from understudy.core.faceset.mattes import FOLDER, Matte, Mattes
from understudy.core.frames import Float
from understudy.core.kept import Kept
from understudy.core.pipeline import cores, overlapped
from understudy.core.reports import Artifact, FrameReport, FrameStatus, Report, Started, Warned
from understudy.core.segment.sources import file_digest

if TYPE_CHECKING:
    from understudy.core.segment.network import Segmenter

Float64 = npt.NDArray[np.float64]

VERSION = 2  # of what this package makes of the same face with the same weights

_EMPTY = 0.5  # a matte that nowhere reaches this shows no face


@dataclass(frozen=True, kw_only=True)
class ApplySettings:
    """What to apply to which faces.

    Attributes:
        segmenter: folder of a trained segmenter.
        faceset: a folder of faces; a pack is never changed.
        track: which person; None: all.
        device: `auto`, `cpu`, `cuda`, `cuda:1`, `mps`.

    Raises:
        InvalidInput: names the field and the value.
    """

    segmenter: Path
    faceset: Path
    track: int | None = None
    device: str = "auto"

    def __post_init__(self) -> None:
        if self.faceset.is_file():
            raise InvalidInput(
                f"faceset: {self.faceset} is a pack, which is never changed: unpack it, apply the segmenter to the "
                "folder, and pack it again",
                path=self.faceset,
                field="faceset",
                value=self.faceset,
            )


def run(settings: ApplySettings, *, kept: Kept | None = None) -> Generator[Report, None, None]:
    """Write a matte for every face. Yields `Started`, a `FrameReport` for each frame, and the `Artifact`.

    All faces of a frame, of whatever person, view and plate, are in one report, with the least of their confidences.
    A face is left as it is where this segmenter has made its matte already; so is a face's label. A face that cannot
    be read FAILS its frame, after its other faces. `kept`: segmenters that are loaded already.

    Raises:
        NotFound, ModelInvalid, InvalidInput: as `network.load`, `Faceset.open`, `Faceset.select`.
        NoFace: the faceset is empty.
        InvalidInput: its faces are in another working space than the segmenter learnt in.
        WriteFailed, DiskFull: what was written before is good.
    """
    from understudy.core.segment import network, store

    faces = Faceset.open(settings.faceset)
    faces = faces if settings.track is None else faces.select(settings.track)
    if not len(faces.columns):
        raise NoFace(f"{faces.path}: there is no face in it", path=faces.path, field="faceset")
    there = kept or Kept()
    segmenter = there.checkpoint(store, settings.segmenter, settings.device, network.load)
    network.check_colour(segmenter, settings.segmenter, faces)
    numbers = np.unique(faces.columns.frame)
    yield Started(total=len(numbers))
    yield from (Warned(reason="FRAME_UNREADABLE", message=sentence) for sentence in faces.broken)
    work = _Apply(faces, segmenter)
    with network.computing(segmenter) as compute:
        make = partial(work.make, compute)
        frames = overlapped(_by_frame(faces), work.read, make, work.write, ahead=max(2, cores() // 2))
        with closing(frames):
            yield from frames
    yield Artifact(kind="mattes", path=faces.path / FOLDER)


def _by_frame(faces: Faceset) -> Iterator[tuple[int, ...]]:
    """The faces of each frame number, as indices."""
    order = np.argsort(faces.columns.frame, kind="stable")
    _, starts = np.unique(faces.columns.frame[order], return_index=True)
    for group in np.split(order, starts[1:]):
        yield tuple(group.tolist())


@dataclass(frozen=True, kw_only=True)
class _Face:
    """A face between the stages.

    Attributes:
        crop: (R, R, 3) what the segmenter is to see; None where nothing is to be done.
        matte: (R, R) and the confidence in it.
        confidence: in the matte; None where there is none.
        failure: why it cannot be read.
    """

    record: FaceRecord
    made_of: str = ""
    crop: Float | None = None
    matte: Float | None = None
    confidence: float | None = None
    failure: FrameMissing | FrameUnreadable | None = None


class _Apply:
    """One run. `read` and `write` run in threads and change none of it; the stages of a face in a frame."""

    def __init__(self, faces: Faceset, segmenter: Segmenter) -> None:
        self._faces, self._segmenter = faces, segmenter
        self._mattes = Mattes(faces)

    def read(self, rows: Sequence[int]) -> list[_Face]:
        """First stage: what is to be looked at of the faces of one frame."""
        return [self._read(self._faces.records[row]) for row in rows]

    def _read(self, record: FaceRecord) -> _Face:
        try:
            made_of = digest(self._segmenter, record, file_digest(record.path))
            if (there := self._matte(record)) is not None and there.made_of == made_of:
                return _Face(record=record, confidence=there.confidence)
            crop = self._segmenter.crop(self._faces.load(record), record)
        except (FrameMissing, FrameUnreadable) as error:
            return _Face(record=record, failure=error)
        return _Face(record=record, made_of=made_of, crop=crop)

    def _matte(self, record: FaceRecord) -> Matte | None:
        """A face's matte, pixels and all: one that is broken anywhere is none, and is made anew."""
        try:
            return self._mattes.read(record)
        except FrameUnreadable:
            return None

    def make(
        self, compute: Callable[[Float], tuple[Float, Float64]], faces: list[_Face]
    ) -> tuple[list[_Face], float]:
        """Second stage: the mattes, and the seconds that they took."""
        started = time.perf_counter()
        made = list[_Face]()
        for face in faces:
            if face.crop is not None:
                found, sure = compute(face.crop[None])
                face = replace(face, crop=None, matte=found[0], confidence=float(sure[0]))  # noqa: PLW2901
            made.append(face)
        return made, time.perf_counter() - started

    def write(self, made: tuple[list[_Face], float]) -> FrameReport:
        """Last stage."""
        faces, seconds = made
        outputs, warnings = list[Path](), list[str]()
        for face in faces:
            if face.matte is not None and face.confidence is not None:
                outputs.append(self._write(face.record, face.matte, face.confidence, face.made_of))
                if not face.matte.max() > _EMPTY:
                    warnings.append(f"{face.record.path.name}: nothing of the face is seen")
        failed = next((face.failure for face in faces if face.failure is not None), None)
        status = FrameStatus.DONE if outputs else FrameStatus.SKIPPED
        return FrameReport(
            frame=faces[0].record.face.frame,
            status=status if failed is None else FrameStatus.FAILED,
            faces=len(faces),
            confidence=min((f.confidence for f in faces if f.confidence is not None), default=None),
            reason="" if failed is None else failed.reason,
            message="" if failed is None else failed.message,
            warnings=tuple(warnings),
            seconds={"segment": seconds} if outputs else {},
            outputs=tuple(outputs),
        )

    def _write(self, record: FaceRecord, matte: Float, confidence: float, made_of: str) -> Path:
        return self._mattes.write(
            record,
            Matte(
                matte=self._segmenter.back(matte, record),
                confidence=confidence,
                segmenter=self._segmenter.digest,
                made_of=made_of,
                alignment=record.alignment,
            ),
        )


def digest(segmenter: Segmenter, record: FaceRecord, image: str) -> str:
    """Names all that shapes a face's matte: 64 hex digits.

    Args:
        image: SHA-256 of the face's file. Its size stays where an uncompressed face is repainted, and its time changes
            where a faceset is copied: the bytes decide, and cost a read without a decode.
    """
    alignment = record.alignment
    made_of = [
        VERSION,
        [segmenter.digest, segmenter.config.to_dict(), segmenter.state.curve],
        [image, record.digest],
        record.face.landmarks.points.astype(float).round(4).tolist(),
        [alignment.matrix.tolist(), alignment.size],
        [record.gain, record.pixel_aspect],
    ]
    return hashlib.sha256(json.dumps(made_of).encode()).hexdigest()
