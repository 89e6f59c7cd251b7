"""A plate becomes a faceset: find the faces of every frame, say who is who, cut them out.

Reading the next frames and writing the last faces goes on beside the search for faces, with a handful of frames in
memory however long the shot. Landmarks are stored as found: smoothing is the merge's, over the whole track, so
that no frame depends on which others were extracted in the same run.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from understudy.core import _plugins, align, faceset, track, warp
from understudy.core.colour import ColourConfig
from understudy.core.errors import FrameMissing, InvalidInput, NoFace, UnderstudyError, WriteFailed
from understudy.core.face import Face
from understudy.core.faceset import FaceRecord, Faceset
from understudy.core.frames import Float
from understudy.core.journal import Journal, Looked
from understudy.core.pipeline import overlapped
from understudy.core.plate import Plate
from understudy.core.release import Release
from understudy.core.reports import Artifact, FrameReport, FrameStatus, Report, Started, Warned
from understudy.core.search import Picture, Search
from understudy.core.weights import WeightStore

VERSION = 1  # of what this module makes of the same settings and frame


@dataclass(frozen=True, kw_only=True)
class ExtractSettings:
    """What to take from where.

    Attributes:
        plate: the frames; its colour space must be named.
        faceset: folder that the faces go to; made when needed, may hold faces of other plates.
        detector, landmarker: members of `detect` and `landmark`.
        face_type: how much of the head a crop holds (`align.FACE_TYPES`).
        size: side of a crop in pixels, 64 to 2048.
        min_score: confidence of the landmarks, 0 to 1, below which a find is no face.
        release: the release record of the person, kept in the faceset. A src faceset needs one.
    """

    plate: Plate
    faceset: Path
    detector: str = "blazeface"
    landmarker: str = "facemesh"
    face_type: str = "whole"
    size: int = 512
    min_score: float = 0.7
    release: Release | None = None

    def __post_init__(self) -> None:
        if not self.plate.colour_space:
            raise InvalidInput(
                f"plate {self.plate.template}: its colour space is not in the files; name it, for example ACEScg",
                field="plate.colour_space",
                value="",
            )
        choices = {
            "detector": _plugins.names("detect"),
            "landmarker": _plugins.names("landmark"),
            "face_type": tuple(align.FACE_TYPES),
        }
        for name, known in choices.items():
            if (value := getattr(self, name)) not in known:
                raise InvalidInput(
                    f"{name}: no {value!r}; there are {', '.join(known)}", field=name, value=value
                )
        for name, low, high in (("size", 64, 2048), ("min_score", 0.0, 1.0)):
            if not low <= getattr(self, name) <= high:
                raise InvalidInput(
                    f"{name}: {getattr(self, name)} is not from {low} to {high}",
                    field=name,
                    value=getattr(self, name),
                )
        if self.faceset.exists() and not self.faceset.is_dir():
            raise InvalidInput(f"faceset: {self.faceset} is a file", path=self.faceset, field="faceset")


def run(settings: ExtractSettings, *, store: WeightStore, colour: ColourConfig) -> Iterator[Report]:
    """Extract every face of every frame. Yields `Started`, a `FrameReport` per frame and the faceset as `Artifact`.

    A frame that was looked at before, the same file by the same settings, is skipped: so a run that was stopped goes
    on, a second run does nothing, and a face that was deleted stays deleted. What was looked at is in the faceset's
    `journal`; without it a frame is done if all of its faces are there, and the others are looked at again. Missing
    and unreadable frames are reported and the run goes on.

    Raises:
        InvalidInput: the plate's colour space is unknown, or the faceset holds another person's release.
        WeightsMissing, WeightsCorrupt: of the detector or landmarker.
        NoFace: frames could be read, now or before, and none of them has a face.
        WriteFailed, DiskFull: what was written before is good.
    """
    shot = _Shot(settings, store, colour)
    if settings.release is not None:
        faceset.attach_release(settings.faceset, settings.release)
    yield Started(total=len(settings.plate.frames), skipped=len(shot.done))
    for sentence in shot.broken:
        yield Warned(reason="FRAME_UNREADABLE", message=sentence)
    if shot.gain is None:
        shot.gain = shot.search.gain()
    looked, faces = len(shot.done), sum(len(seen.tracks) for seen in shot.done.values())
    with closing(overlapped(settings.plate.frames, shot.read, shot.find, shot.write, ahead=1)) as reports:
        for report in reports:
            if report.status in (FrameStatus.DONE, FrameStatus.NO_FACE):
                looked += 1
                faces += report.faces
            yield report
    if looked and not faces:
        raise NoFace(
            f"no face on any frame of {settings.plate.template} ({settings.plate.present}); is its colour space "
            f"{settings.plate.colour_space!r} right, and are faces at least 40 pixels wide?",
            path=settings.plate.template.hashes,
            field="plate",
            value=str(settings.plate.frames),
        )
    if faces:
        yield Artifact(kind="faceset", path=settings.faceset)


@dataclass(kw_only=True)
class _Job:
    """A frame between the stages.

    Attributes:
        digest: of the settings and of the file that was read.
        proxy: (H, W, 3) what the networks see; gone when they have seen it.
        faces: what they found, tracks known.
    """

    picture: Picture
    digest: str
    proxy: Float | None = None
    faces: list[Face] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - began


class _Shot:
    """One run: the networks, what the faceset holds of this plate, and what is known from frame to frame.

    `read` and `write` run in threads and change none of it; `find` sees the frames in order, one at a time.

    Attributes:
        done: frame → what came of it, for those that need no second look; ascending.
        gain: of the shot; None where no run before measured it.
    """

    def __init__(self, settings: ExtractSettings, store: WeightStore, colour: ColourConfig) -> None:
        self.settings = settings
        self.colour = colour
        assert settings.plate.colour_space is not None
        space = colour.resolve(settings.plate.colour_space)
        detect = _plugins.load("detect", settings.detector, field="detector")
        landmark = _plugins.load("landmark", settings.landmarker, field="landmarker")
        self.search = Search(
            plate=settings.plate,
            space=space,
            colour=colour,
            detector=detect.create(store),
            landmarker=landmark.create(store),
            min_score=settings.min_score,
        )
        self.plate = settings.plate.template.text
        weights = [store.entry(name).sha256 for m in (detect, landmark) for name in m.WEIGHTS]
        self.recipe = [VERSION, self.plate, space, colour.cache_id, *weights]
        self.recipe += [settings.detector, settings.landmarker, settings.face_type, settings.size]
        self.recipe += [settings.min_score, settings.release.id if settings.release else ""]
        faces = (
            Faceset.open(settings.faceset) if settings.faceset.is_dir() else Faceset(path=settings.faceset)
        )
        self.broken = faces.broken
        self.stem = _stem(settings, faces.records, self.plate)
        self.held: dict[int, list[FaceRecord]] = {}
        for record in faces.records:
            if record.plate == self.plate:
                self.held.setdefault(record.face.frame, []).append(record)
        self.journal = Journal(settings.faceset, self.plate)
        self.done = {n: seen for n in settings.plate.present if (seen := self._seen(n))}
        self.tracker = track.Tracker(
            (r.face for n in self.done for r in self.held.get(n, ())),
            taken=(t for seen in self.done.values() for t in seen.tracks),
        )
        self.gain: float | None = next((seen.gain for seen in self.done.values()), None)
        self._before: Float | None = None  # thumbnail of the frame before

    def read(self, number: int) -> _Job | FrameReport:
        """First stage: pixels and proxy; or a report, if there is nothing to do or it can not be done."""
        if number in self.done:
            return self._skipped(number)
        began = time.perf_counter()
        try:
            job = _Job(digest=self._digest(number), picture=self.search.read(number))
            assert self.gain is not None
            job.proxy = self.colour.proxy(job.picture.rgb, self.gain)
        except UnderstudyError as error:
            return _failed(number, error)
        job.seconds["read"] = time.perf_counter() - began
        return job

    def find(self, job: _Job | FrameReport) -> _Job | FrameReport:
        """Second stage: the faces, and who they are."""
        if isinstance(job, FrameReport):
            return job
        frame, proxy, job.proxy = job.picture.frame, job.proxy, None
        assert proxy is not None
        try:
            with job.timed("detect"):
                faces = self.search.faces(frame, proxy)
                thumbnail = track.thumbnail(proxy)
                cut = self._before is not None and track.is_cut(self._before, thumbnail)
                self._before = thumbnail
                job.faces = self.tracker.assign(faces, cut=cut)
        except UnderstudyError as error:
            return _failed(frame.number, error)
        return job

    def write(self, job: _Job | FrameReport) -> FrameReport:
        """Last stage: the crops, and a note that the frame was looked at.

        Raises:
            WriteFailed, DiskFull: the next frame would fail alike.
        """
        if isinstance(job, FrameReport):
            return job
        number, bad = job.picture.frame.number, job.picture.bad
        try:
            with job.timed("write"):
                outputs = tuple(self._write(job, face) for face in job.faces)
                for stale in (r.path for r in self.held.get(number, ()) if r.path not in outputs):
                    stale.unlink(missing_ok=True)  # of other settings, or of another render of this frame
                self._note(job)
        except WriteFailed:
            raise
        except UnderstudyError as error:
            return _failed(number, error)
        return FrameReport(
            frame=number,
            status=FrameStatus.DONE if job.faces else FrameStatus.NO_FACE,
            faces=len(job.faces),
            confidence=max((f.score for f in job.faces), default=None),
            warnings=(f"{bad} pixels were NaN or Inf; their neighbours stand in for them",) if bad else (),
            seconds=job.seconds,
            outputs=outputs,
        )

    def _skipped(self, number: int) -> FrameReport:
        held, seen = self.held.get(number, []), self.done[number]
        if seen != self.journal.looked.get(
            number
        ):  # a kill came between faces and note, or the journal is gone
            self.journal.add(number, seen)
        return FrameReport(
            frame=number,
            status=FrameStatus.SKIPPED,
            faces=len(held),
            confidence=max((r.face.score for r in held), default=None),
            outputs=tuple(r.path for r in held),
        )

    def _write(self, job: _Job, face: Face) -> Path:
        settings, frame = self.settings, job.picture.frame
        alignment = align.fit(face.landmarks.points, settings.face_type, settings.size, frame.pixel_aspect)
        assert self.gain is not None
        record = FaceRecord(
            path=self._path(face.track, face.frame),
            face=face,
            alignment=alignment,
            plate=self.plate,
            gain=self.gain,
            colour=self.colour.working,
            config=self.colour.cache_id,
            release=settings.release.id if settings.release else "",
            pixel_aspect=frame.pixel_aspect,
            digest=job.digest,
            faces=len(job.faces),
        )
        faceset.write(record, warp.to_aligned(job.picture.rgb, frame.data, alignment))
        return record.path

    def _path(self, track: int, number: int) -> Path:
        return (
            self.settings.faceset
            / f"{self.stem}_t{track}.{number:0{self.settings.plate.template.width}d}.exr"
        )

    def _note(self, job: _Job) -> None:
        assert self.gain is not None
        tracks = tuple(face.track for face in job.faces)
        self.journal.add(job.picture.frame.number, Looked(digest=job.digest, gain=self.gain, tracks=tracks))

    def _digest(self, number: int) -> str:
        """Of everything that decides what a frame's faces are: the settings, and the frame's file."""
        path = self.settings.plate.template.path(number)
        try:
            stat = path.stat()
        except FileNotFoundError as error:
            raise FrameMissing(f"{path}: frame {number} is not on disk", path=path, frame=number) from error
        text = json.dumps([*self.recipe, number, stat.st_size, stat.st_mtime_ns])
        return hashlib.sha256(text.encode()).hexdigest()

    def _seen(self, number: int) -> Looked | None:
        """What came of a frame that needs no second look; None for one that was never looked at as it is now.

        Images of another digest mean that a run with other settings was stopped before it could note the frame. An
        image that is there and is none was broken, not deleted: its frame is looked at again.
        """
        held, noted = self.held.get(number, []), self.journal.looked.get(number)
        if not held and noted is None:
            return None
        try:
            digest = self._digest(number)
        except FrameMissing:
            return None  # reported when its turn comes
        if any(record.digest != digest for record in held):
            return None
        if noted and noted.digest == digest:
            good = {record.path for record in held}
            faces = (self._path(track, number) for track in noted.tracks)
            return noted if all(face in good or not face.exists() for face in faces) else None
        if held and len(held) == held[0].faces:
            return Looked(digest=digest, gain=held[0].gain, tracks=tuple(r.face.track for r in held))
        return None


def _failed(number: int, error: UnderstudyError) -> FrameReport:
    status = FrameStatus.MISSING if isinstance(error, FrameMissing) else FrameStatus.FAILED
    return FrameReport(frame=number, status=status, reason=error.reason, message=error.message)


def _stem(settings: ExtractSettings, held: Iterable[FaceRecord], own: str) -> str:
    """What the files are called: as the plate, told apart where another plate of that name is in the faceset."""
    stem = settings.plate.template.prefix.rstrip("._-") or "face"
    taken = any(r.plate != own and r.path.name.startswith(f"{stem}_t") for r in held)
    return f"{stem}_{hashlib.sha256(own.encode()).hexdigest()[:6]}" if taken else stem
