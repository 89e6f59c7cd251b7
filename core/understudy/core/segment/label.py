"""Mattes that a person drew become labels of a faceset's faces: roto of the plate, polygons, or pictures of crops.

A label that would teach nonsense is refused, frame by frame, and the report says what to do about it (`fitting`); the
other frames become labels all the same.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from understudy.core.errors import InvalidInput, NoFace, UnderstudyError
from understudy.core.faceset import FaceRecord, Faceset
from understudy.core.faceset.beside import refuse_pack
from understudy.core.faceset.labels import FOLDER, Label, Labels
from understudy.core.pipeline import overlapped
from understudy.core.plate import Plate
from understudy.core.reports import Artifact, FrameReport, FrameStatus, Report, Started, Warned
from understudy.core.segment import fitting
from understudy.core.segment.config import MARKS
from understudy.core.segment.fitting import Given
from understudy.core.segment.polygon_files import Polygons
from understudy.core.segment.rotos import Rotos
from understudy.core.segment.sources import Crops, Source


@dataclass(frozen=True, kw_only=True)
class LabelSettings:
    """Which mattes are whose labels; just one of `roto`, `polygons` and `crops`.

    Attributes:
        faceset: folder of the faceset; not a pack.
        roto: mattes in plate space, of the plate that the faceset was extracted from: of its display window, or of one
            that differs by scale alone. Its views are those that it is of, where its files do not say.
            A frame that is asked for and not on disk is reported as missing.
        polygons: a JSON file; `polygon_files.Polygons` has its form.
        crops: a folder of mattes in the faces' own crops, images (EXR, DPX, PNG, TIFF) of the names of the faces.
        channel: which one of the mattes. Empty: alpha where there is one, else the only one, or red where all colours
            are the same.
        invert: the mattes are 1 outside and 0 inside.
        marks: `face`: they mark all of it that is seen; or `occluder`: what is before it, and the face is the hull of
            its landmarks without that.
        track: which person, where the faceset holds several.

    Raises:
        InvalidInput: names the field and the value.
    """

    faceset: Path
    roto: Plate | None = None
    polygons: Path | None = None
    crops: Path | None = None
    channel: str = ""
    invert: bool = False
    marks: str = "face"
    track: int | None = None

    def __post_init__(self) -> None:
        given = [name for name in ("roto", "polygons", "crops") if getattr(self, name) is not None]
        if len(given) != 1:
            raise InvalidInput(
                f"source: {' and '.join(given) or 'nothing'} given; labels are made of just one of roto, polygons and "
                "crops",
                field="source",
                value=",".join(given),
            )
        if self.marks not in MARKS:
            raise InvalidInput(
                f"marks: {self.marks!r} is neither of {', '.join(MARKS)}", field="marks", value=self.marks
            )
        if self.polygons is not None and self.channel:
            raise InvalidInput("channel: polygons have none", field="channel", value=self.channel)


def run(settings: LabelSettings) -> Generator[Report, None, None]:
    """Label faces. Yields `Started`, a `FrameReport` per frame, `Warned`, and the folder as `Artifact`.

    A report covers all faces of its frame; where one of them cannot be labelled the frame fails, and the others have
    their labels. A label that is there and was made of the same is SKIPPED; any other one is replaced.

    Raises:
        NotFound: there is no such faceset, file of polygons or folder of crops.
        InvalidInput: the faceset is a pack; polygons in another form; mattes that could be of several plates or views.
        TrackAmbiguous: roto, and several people.
        NoFace: not one of the mattes is of a face of the faceset.
        WriteFailed, DiskFull: what was written before is good.
    """
    whole = Faceset.open(settings.faceset)
    refuse_pack(whole)
    source, told = _source(settings, whole)
    targets = source.targets()
    yield Started(total=len(targets))
    yield from (Warned(reason="FRAME_UNREADABLE", message=sentence) for sentence in whole.broken)
    yield from (Warned(reason="TRACK_LEFT_OUT", message=sentence) for sentence in told)
    yield from source.warnings
    if not any(target.faces or target.problems for target in targets):
        raise NoFace(
            f"{settings.faceset}: none of the mattes is of a face of it",
            path=settings.faceset,
            field="faceset",
            value=settings.faceset,
        )
    work, labelled = _Work(settings, whole, source), 0
    with closing(overlapped(targets, work.read, work.fit, work.write)) as reports:
        for report in reports:
            labelled += report.faces
            yield report
    if labelled:
        yield Artifact(kind="labels", path=settings.faceset / FOLDER)


def _source(settings: LabelSettings, whole: Faceset) -> tuple[Source, tuple[str, ...]]:
    """What the labels are made of, and what choosing a person left out."""
    faces = whole
    if settings.roto is not None or settings.track is not None:
        faces = whole.select(settings.track)
    told = faces.warnings
    if settings.roto is not None:
        return Rotos(faces, whole, settings.roto, settings.channel, invert=settings.invert), told
    if settings.polygons is not None:
        return Polygons(faces, settings.polygons), told
    assert settings.crops is not None
    return Crops(faces, settings.crops, settings.channel, invert=settings.invert), told


@dataclass(kw_only=True)
class _Job:
    """One frame between the stages.

    Attributes:
        given: what there is to be made labels of.
        labels: what came of it.
        same: how many faces have that label already.
        problems: why faces get none, and the first one's token.
    """

    frame: int
    given: list[tuple[FaceRecord, Given]] = field(default_factory=list)
    labels: list[tuple[FaceRecord, Label]] = field(default_factory=list)
    same: int = 0
    problems: list[str] = field(default_factory=list)
    reason: str = ""
    warnings: list[str] = field(default_factory=list)
    missing: bool = False

    def refuse(self, error: UnderstudyError) -> None:
        self.problems.append(error.message)
        self.reason = self.reason or error.reason


class _Work:
    """One run. `read` and `write` run in threads; each frame is one thread's at a time."""

    def __init__(self, settings: LabelSettings, faces: Faceset, source: Source) -> None:
        self._settings, self._source = settings, source
        self._labels = Labels(faces)

    def read(self, target: fitting.Target) -> _Job:
        """First stage: the mattes of a frame's faces, but for those that are labels already."""
        job = _Job(frame=target.frame, missing=target.missing)
        for problem in target.problems:
            job.refuse(InvalidInput(problem))
        for record in target.faces:
            try:
                made_of = fitting.made_of(record, self._source.digest(record), self._recipe())
                if self._known(record) == made_of:
                    job.same += 1
                    continue
                job.given.append((record, self._source.give(record, made_of)))
            except UnderstudyError as error:
                job.refuse(error)
        return job

    def fit(self, job: _Job) -> _Job:
        """Second stage: each a label, if it can be one."""
        for record, given in job.given:
            try:
                label = fitting.label(
                    record, given, invert=self._settings.invert, occluder=self._settings.marks == "occluder"
                )
            except UnderstudyError as error:
                job.refuse(error)
                continue
            job.labels.append((record, label))
            job.warnings += [*given.warnings, *fitting.doubts(record, label)]
        job.given = []
        return job

    def write(self, job: _Job) -> FrameReport:
        """Last stage."""
        outputs = list[Path]()
        for record, label in job.labels:
            try:
                path = self._labels.write(record, label)
            except InvalidInput as error:  # it could not be read again
                job.refuse(error)
                continue
            outputs.append(path)
        return FrameReport(
            frame=job.frame,
            status=_status(job),
            faces=len(outputs) + job.same,
            reason=job.reason,
            message="; ".join(job.problems)
            or (f"frame {job.frame} of the mattes is not on disk" if job.missing else ""),
            warnings=tuple(dict.fromkeys((*job.warnings, *_nobody(job)))),
            outputs=tuple(outputs),
        )

    def _known(self, record: FaceRecord) -> str | None:
        """What the label that is there was made of; one that cannot be read is made anew."""
        try:
            there = self._labels.read(record)
        except UnderstudyError:
            return None
        return there.made_of if there else None

    def _recipe(self) -> list[object]:
        settings = self._settings
        return [fitting.VERSION, settings.channel, settings.invert, settings.marks]


def _status(job: _Job) -> FrameStatus:
    if job.problems:
        return FrameStatus.FAILED
    if job.missing:
        return FrameStatus.MISSING
    if job.labels:
        return FrameStatus.DONE
    return FrameStatus.SKIPPED if job.same else FrameStatus.NO_FACE


def _nobody(job: _Job) -> tuple[str, ...]:
    """What was drawn for a frame that has no face to be labelled is lost: a person wants to know."""
    if job.problems or job.missing or job.labels or job.same:
        return ()
    return (f"there is no face of this person on frame {job.frame}",)
