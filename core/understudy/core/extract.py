"""A plate becomes a faceset: find the faces of every frame, say who is who, cut them out.

Reading the next frames and writing the last faces goes on beside the search for faces, with a handful of frames in
memory however long the shot. Landmarks are stored as found: smoothing is the merge's, over the whole track, so
that no frame depends on which others were extracted in the same run.

Of a stereo plate all views are extracted together: in one exposure, and a person has the same id in both eyes.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from understudy.core import _plugins, align, faceset, track, warp
from understudy.core.colour import ColourConfig
from understudy.core.errors import FrameMissing, InvalidInput, NoFace, UnderstudyError, WriteFailed
from understudy.core.face import Face
from understudy.core.faceset import FaceRecord
from understudy.core.frames import Float
from understudy.core.journal import Looked
from understudy.core.pipeline import overlapped
from understudy.core.plate import Plate, views_of
from understudy.core.recall import Recall
from understudy.core.release import Release
from understudy.core.reports import Artifact, FrameReport, FrameStatus, Report, Started, Warned
from understudy.core.search import Picture, Search, named
from understudy.core.weights import WeightStore

VERSION = 1  # of what this module makes of the same settings and frame


@dataclass(frozen=True, kw_only=True)
class ExtractSettings:
    """What to take from where.

    Attributes:
        plate: the frames, and the views of them; its colour space must be named.
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

    A report covers all views of its frame; where one can not be read, the frame fails. A frame that was looked at
    before, the same file by the same settings, is skipped: so a run that was stopped goes on, a second run does
    nothing, and a face that was deleted stays deleted. What was looked at is in the faceset's `journal`; without it a
    frame is done if all of its faces are there, and the others are looked at again. Missing and unreadable frames are
    reported and the run goes on.

    Raises:
        InvalidInput: the plate's colour space or a view is unknown, or the faceset holds another person's release.
        WeightsMissing, WeightsCorrupt: of the detector or landmarker.
        NoFace: frames could be read, now or before, and none of them has a face.
        WriteFailed, DiskFull: what was written before is good.
    """
    shot = _Shot(settings, store, colour)
    known = shot.recall
    if settings.release is not None:
        faceset.attach_release(settings.faceset, settings.release)
    yield Started(total=len(settings.plate.frames), skipped=len(known.done))
    for sentence in known.broken:
        yield Warned(reason="FRAME_UNREADABLE", message=sentence)
    if codec := shot.search.lossy(known.views):
        yield Warned(
            reason="LOSSY_PLATE",
            message=f"{settings.plate.template}: compressed with {codec}, which has altered its pixels; "
            "the faces can be no better than that; ask for a plate in zips, zip or piz",
        )
    shot.measure()
    looked, faces = len(known.done), known.count
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
class _Look:
    """One view of a frame between the stages.

    Attributes:
        digest: of the settings and of the file that was read.
        proxy: (H, W, 3) what the networks see; gone when they have seen it.
        faces: what they found, tracks known.
    """

    picture: Picture
    digest: str
    proxy: Float | None
    faces: list[Face] = field(default_factory=list)


@dataclass(kw_only=True)
class _Job:
    """A frame between the stages: its views that were not looked at before, in the plate's order."""

    number: int
    looks: list[_Look] = field(default_factory=list)
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
        gain: of the shot; None until `measure` has been called, where no run before did.
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
        recipe = [VERSION, self.plate, space, colour.cache_id, *weights]
        recipe += [settings.detector, settings.landmarker, settings.face_type, settings.size]
        recipe += [settings.min_score, settings.release.id if settings.release else ""]
        self.recall = Recall(settings.faceset, settings.plate, views_of(settings.plate), recipe)
        taken = (track for seen in self.recall.seen.values() for track in seen.tracks)
        self.tracker = track.Tracker(self.recall.faces, taken=taken)
        self.gain = self.recall.gain
        self._before: dict[str, Float] = {}  # view → thumbnail of the frame before

    def measure(self) -> None:
        """Find the shot's exposure, unless an earlier run has."""
        if self.gain is None:
            self.gain = self.search.gain(self.recall.views)

    def read(self, number: int) -> _Job | FrameReport:
        """First stage: pixels and proxies; or a report, if there is nothing to do or it can not be done."""
        if number in self.recall.done:
            return self._skipped(number)
        job = _Job(number=number)
        try:
            with job.timed("read"):
                wanted = [view for view in self.recall.views if (number, view) not in self.recall.seen]
                digests = [self.recall.digest(number, view) for view in wanted]
                pictures = self.search.read(number, wanted)
                assert self.gain is not None
                for picture, digest in zip(pictures, digests, strict=True):
                    proxy = self.colour.proxy(picture.rgb, self.gain)
                    job.looks.append(_Look(picture=picture, digest=digest, proxy=proxy))
        except UnderstudyError as error:
            return _failed(number, error)
        return job

    def find(self, job: _Job | FrameReport) -> _Job | FrameReport:
        """Second stage: the faces, and who they are."""
        if isinstance(job, FrameReport):
            return job
        try:
            with job.timed("detect"):
                found = [self._find(look) for look in job.looks]
                cuts = [self._is_cut(look.picture.view, thumbnail) for look, _, thumbnail in found]
                for look, faces, _ in found:
                    view, aspect = look.picture.view, look.picture.frame.pixel_aspect
                    look.faces = self.tracker.assign(faces, view=view, cut=any(cuts), pixel_aspect=aspect)
        except UnderstudyError as error:
            return _failed(job.number, error)
        return job

    def _find(self, look: _Look) -> tuple[_Look, list[Face], Float]:
        """Faces, who is not known yet, and the view's thumbnail."""
        proxy, look.proxy = look.proxy, None
        assert proxy is not None
        with named(look.picture.view):
            return look, self.search.faces(look.picture.frame, proxy), track.thumbnail(proxy)

    def _is_cut(self, view: str, thumbnail: Float) -> bool:
        before = self._before.get(view)
        self._before[view] = thumbnail
        return before is not None and track.is_cut(before, thumbnail)

    def write(self, job: _Job | FrameReport) -> FrameReport:
        """Last stage: the crops, and a note that the frame was looked at.

        Raises:
            WriteFailed, DiskFull: the next frame would fail alike.
        """
        if isinstance(job, FrameReport):
            return job
        recall, looked = self.recall, [look.picture.view for look in job.looks]
        kept = [r for view in recall.views if view not in looked for r in recall.held(job.number, view)]
        outputs = [record.path for record in kept]
        try:
            with job.timed("write"):
                for look in job.looks:
                    with named(look.picture.view):
                        outputs += [self._write(look, face) for face in look.faces]
                recall.clear(job.number, looked, outputs)
                for look in job.looks:
                    self._note(look)
        except WriteFailed:
            raise
        except UnderstudyError as error:
            return _failed(job.number, error)
        faces = [record.face for record in kept] + [face for look in job.looks for face in look.faces]
        return FrameReport(
            frame=job.number,
            status=FrameStatus.DONE if faces else FrameStatus.NO_FACE,
            faces=len(faces),
            confidence=max((face.score for face in faces), default=None),
            warnings=tuple(warning for look in job.looks for warning in look.picture.warnings),
            seconds=job.seconds,
            outputs=tuple(outputs),
        )

    def _skipped(self, number: int) -> FrameReport:
        held = [record for view in self.recall.views for record in self.recall.held(number, view)]
        self.recall.note_again(number)
        return FrameReport(
            frame=number,
            status=FrameStatus.SKIPPED,
            faces=len(held),
            confidence=max((r.face.score for r in held), default=None),
            outputs=tuple(r.path for r in held),
        )

    def _write(self, look: _Look, face: Face) -> Path:
        settings, frame = self.settings, look.picture.frame
        alignment = align.fit(face.landmarks.points, settings.face_type, settings.size, frame.pixel_aspect)
        assert self.gain is not None
        record = FaceRecord(
            path=self.recall.path(face.track, face.frame, look.picture.view),
            face=face,
            alignment=alignment,
            plate=self.plate,
            gain=self.gain,
            colour=self.colour.working,
            config=self.colour.cache_id,
            release=settings.release.id if settings.release else "",
            pixel_aspect=frame.pixel_aspect,
            digest=look.digest,
            faces=len(look.faces),
            view=look.picture.view,
        )
        faceset.write(record, warp.to_aligned(look.picture.rgb, frame.data, alignment))
        return record.path

    def _note(self, look: _Look) -> None:
        assert self.gain is not None
        tracks = tuple(face.track for face in look.faces)
        looked = Looked(digest=look.digest, gain=self.gain, tracks=tracks)
        self.recall.note(look.picture.frame.number, look.picture.view, looked)


def _failed(number: int, error: UnderstudyError) -> FrameReport:
    status = FrameStatus.MISSING if isinstance(error, FrameMissing) else FrameStatus.FAILED
    return FrameReport(frame=number, status=status, reason=error.reason, message=error.message)
