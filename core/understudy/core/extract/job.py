"""One run of an extraction: who is who in the order of frames, and what is written."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from understudy.core import _plugins, faceset, plate, track
from understudy.core.colour import ColourConfig
from understudy.core.errors import (
    FrameMissing,
    InvalidInput,
    NoFace,
    NotFound,
    UnderstudyError,
    WriteFailed,
)
from understudy.core.extract.crew import Crew
from understudy.core.extract.follow import Find, Seen, Sight
from understudy.core.extract.people import Cast, keep_only, recollect
from understudy.core.extract.recall import Recall
from understudy.core.extract.search import named
from understudy.core.extract.settings import ExtractSettings
from understudy.core.extract.station import Station
from understudy.core.extract.walk import Walk
from understudy.core.face import Face
from understudy.core.faceset import FaceRecord, Faceset, reference
from understudy.core.faceset.journal import Looked
from understudy.core.faceset.manual import Manual
from understudy.core.half import widened
from understudy.core.kept import Kept
from understudy.core.plate import Plate, views_of
from understudy.core.reports import Artifact, FrameReport, FrameStatus, Report, Started, Warned
from understudy.core.weights import WeightStore

_AHEAD = 2  # frames that are written while the next is told apart


def run(
    settings: ExtractSettings, *, store: WeightStore, colour: ColourConfig, kept: Kept | None = None
) -> Iterator[Report]:
    """Extract every face of every frame. Yields `Started`, a `FrameReport` per frame and the faceset as `Artifact`.

    A report covers all views of its frame; where one can not be read, the frame fails. A frame that was looked at
    before, the same file by the same settings, is skipped: so a run that was stopped goes on, a second run does
    nothing, and a face that was deleted stays deleted. What was looked at is in the faceset's `journal`; without it a
    frame is done if all of its faces are there, and the others are looked at again. Missing and unreadable frames are
    reported and the run goes on. What a person gave (`manual`) stands for what the networks find there, and makes the
    frames that it is about be looked at again. `kept`: networks that are loaded already.

    Raises:
        InvalidInput: the plate's colour space or a view is unknown, or the faceset holds another person's release.
        WeightsMissing, WeightsCorrupt: of one of the networks.
        NoFace: frames could be read, now or before, and none of them has a face; or nobody looks like the reference.
        NotFound: nobody stands where `pick` says.
        FrameUnreadable: what was given by hand can not be read.
        WriteFailed, DiskFull: what was written before is good.
    """
    shot = _Shot(settings, store, colour, kept)
    known = shot.recall
    if settings.release is not None:
        faceset.attach_release(settings.faceset, settings.release)
    yield Started(total=len(settings.plate.frames), skipped=len(known.done))
    for sentence in known.broken:
        yield Warned(reason="FRAME_UNREADABLE", message=sentence)
    if codec := shot.station.search.lossy(known.views):
        yield Warned(
            reason="LOSSY_PLATE",
            message=f"{settings.plate.template}: compressed with {codec}, which has altered its pixels; "
            "the faces can be no better than that; ask for a plate in zips, zip or piz",
        )
    looked, faces = len(known.done), known.count
    with closing(shot.reports()) as reports:
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
    if said := shot.keep_only():
        yield Warned(reason="REJECTED", message=said)
    if faces:
        yield Artifact(kind="faceset", path=settings.faceset)


@dataclass(kw_only=True)
class _Look:
    """One view of a frame on its way to the disk; `digest`: of the settings and of the file that was read."""

    sight: Sight
    digest: str
    finds: list[Find]


@dataclass(kw_only=True)
class _Job:
    """A frame on its way to the disk: its views that were not looked at before, in the plate's order."""

    number: int
    looks: list[_Look] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - began


class _Shot:
    """One run: who looks for faces, what the faceset holds of this plate, and who is who."""

    def __init__(
        self, settings: ExtractSettings, store: WeightStore, colour: ColourConfig, kept: Kept | None
    ) -> None:
        self.settings, self._store, self._colour = settings, store, colour
        self._outfit = settings.outfit(store, colour)
        self._plate = settings.plate.template.text
        manual = Manual.read(settings.faceset)
        recipe = settings.recipe(self._outfit)
        self.recall = Recall(settings.faceset, settings.plate, views_of(settings.plate), recipe, manual)
        self.station = Station(self._outfit, self.recall.gain, kept)
        self._manual = manual
        self._same: float = _plugins.load("identity", settings.identity, field="identity").SAME
        self._digests: dict[int, dict[str, str] | UnderstudyError] = {}

    def reports(self) -> Generator[FrameReport, None, None]:
        """A report per frame, in order. Closed early it ends all work at once; what is being written is finished."""
        todo = frozenset(n for n in self.settings.plate.present if n not in self.recall.done)
        # what has gone since the plate was looked up fails when its turn comes, like what cannot be read
        numbers = sorted({*_on_disk(self.settings.plate), *todo})
        station, crew, cast = self.station, None, self._cast(bool(todo))
        writers = ThreadPoolExecutor(_AHEAD, "write")
        try:
            if todo and station.gain is None:
                station.gain = station.measure(numbers, self.recall.views)
            walk = Walk(
                numbers=numbers,
                every=self.settings.search_every,
                views=self.recall.views,
                asked=todo,
                wanted=self._wanted,
                manual=lambda number, view: self._manual.at(self._plate, view, number),
                most=self.settings.max_faces,
            )
            crew = Crew(station, self._outfit, workers=self.settings.workers)
            with closing(walk.over(crew)) as blocks:
                yield from self._in_order(blocks, cast, writers)
        finally:
            writers.shutdown(cancel_futures=True)
            if crew is not None:
                crew.close()
            station.close()

    def _in_order(
        self, blocks: Iterator[list[Seen]], cast: Cast, writers: ThreadPoolExecutor
    ) -> Iterator[FrameReport]:
        """Take what was seen, in the order of frames; tell who is who; write beside that."""
        waiting: deque[Future[FrameReport]] = deque()
        seen: dict[int, Seen] = {}
        for number in self.settings.plate.frames:
            there = number in self.settings.plate.present and number not in self.recall.done
            while there and number not in seen:
                while waiting:  # the next block may take its time
                    yield waiting.popleft().result()
                seen = {each.number: each for each in next(blocks)}
            if there:
                waiting.append(writers.submit(self._write, self._known(seen.pop(number), cast)))
            else:
                waiting.append(
                    writers.submit(self._skipped if number in self.recall.done else self._missing, number)
                )
            while len(waiting) > _AHEAD or (waiting and waiting[0].done()):
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()

    def keep_only(self) -> str:
        """At the end: move aside whom the settings do not want; a sentence about it."""
        settings, near = self.settings, None
        if settings.pick is None and settings.reference is None:
            return ""
        describer = self.station.networks.describer
        if settings.reference is not None:
            look = reference.look(settings.reference, self._store, self._colour)
            near = (describer.describe([look])[0], self._same * settings.reference_distance)
        found = Faceset.open(settings.faceset)
        return keep_only(
            found, self._plate, pick=settings.pick, near=near, describer=describer, colour=self._colour
        )

    def _cast(self, going_on: bool) -> Cast:
        recall = self.recall
        taken = (track for seen in recall.seen.values() for track in seen.tracks)
        recorded = [*recall.faces, *self._manual.known(self._plate)]
        tracker = track.Tracker(recorded, taken=taken, same=self._same)
        if recall.faces and going_on:
            found = Faceset.open(self.settings.faceset)
            recollect(found, self._plate, tracker, self.station.networks.describer, self._colour)
        return Cast(tracker, self._manual, self._plate)

    def _wanted(self, number: int) -> tuple[str, ...]:
        """The views of a frame that are to be looked at, whose files are taken as they are now."""
        recall = self.recall
        wanted = tuple(view for view in recall.views if (number, view) not in recall.seen)
        try:
            self._digests[number] = {view: recall.digest(number, view) for view in wanted}
        except UnderstudyError as error:
            self._digests[number] = error
            return ()
        return wanted

    def _known(self, seen: Seen, cast: Cast) -> _Job | FrameReport:
        """A frame whose people are known; or a report, if there is nothing to write."""
        digests = self._digests.pop(seen.number)
        if isinstance(digests, UnderstudyError):
            return _failed(seen.number, digests)
        if seen.error is not None:
            return _failed(seen.number, seen.error)
        job = _Job(number=seen.number, seconds=dict(seen.seconds))
        sights = [sight for sight in seen.sights if sight.view in digests]
        for sight, finds in zip(sights, cast.known(seen.number, sights), strict=True):
            job.looks.append(_Look(sight=sight, digest=digests[sight.view], finds=finds))
        return job

    def _write(self, job: _Job | FrameReport) -> FrameReport:
        """The crops, and a note that the frame was looked at.

        Raises:
            WriteFailed, DiskFull: the next frame would fail alike.
        """
        if isinstance(job, FrameReport):
            return job
        recall, looked = self.recall, [look.sight.view for look in job.looks]
        kept = [r for view in recall.views if view not in looked for r in recall.held(job.number, view)]
        outputs = [record.path for record in kept]
        try:
            with job.timed("write"):
                for look in job.looks:
                    with named(look.sight.view):
                        outputs += [self._written(look, find) for find in look.finds]
                recall.clear(job.number, looked, outputs)
                for look in job.looks:
                    self._note(job.number, look)
        except WriteFailed:
            raise
        except UnderstudyError as error:
            return _failed(job.number, error)
        faces = [record.face for record in kept] + [find.face for look in job.looks for find in look.finds]
        return FrameReport(
            frame=job.number,
            status=FrameStatus.DONE if faces else FrameStatus.NO_FACE,
            faces=len(faces),
            confidence=_best(faces),
            warnings=tuple(warning for look in job.looks for warning in look.sight.warnings),
            seconds=job.seconds,
            outputs=tuple(outputs),
        )

    def _missing(self, number: int) -> FrameReport:
        """A frame that was not on disk, in one of its views, when the plate was looked up."""
        template = self.settings.plate.template
        try:
            for view in self.recall.views:
                self.recall.digest(number, view)
        except UnderstudyError as error:
            return _failed(number, error)
        path = template.of_view(self.recall.views[0]).path(number)
        return _failed(
            number, FrameMissing(f"{path}: frame {number} came later; run again", path=path, frame=number)
        )

    def _skipped(self, number: int) -> FrameReport:
        held = [record for view in self.recall.views for record in self.recall.held(number, view)]
        self.recall.note_again(number)
        return FrameReport(
            frame=number,
            status=FrameStatus.SKIPPED,
            faces=len(held),
            confidence=_best([record.face for record in held]),
            outputs=tuple(record.path for record in held),
        )

    def _written(self, look: _Look, find: Find) -> Path:
        assert find.crop is not None, "a face that is to be written was not cut out"
        assert find.alignment is not None
        record = FaceRecord(
            path=self.recall.path(find.face.track, find.face.frame, look.sight.view),
            face=find.face,
            alignment=find.alignment,
            plate=self._plate,
            plate_size=look.sight.size,
            gain=self._gain,
            colour=self._colour.working,
            config=self._colour.cache_id,
            release=self.settings.release.id if self.settings.release else "",
            pixel_aspect=look.sight.aspect,
            digest=look.digest,
            faces=len(look.finds),
            view=look.sight.view,
        )
        faceset.write(record, widened(find.crop))
        return record.path

    def _note(self, number: int, look: _Look) -> None:
        tracks = tuple(find.face.track for find in look.finds)
        self.recall.note(number, look.sight.view, Looked(digest=look.digest, gain=self._gain, tracks=tracks))

    @property
    def _gain(self) -> float:
        assert self.station.gain is not None
        return self.station.gain


def _best(faces: list[Face]) -> float | None:
    return max((face.score for face in faces), default=None)


def _on_disk(asked: Plate) -> list[int]:
    """The numbers of all frames of the sequence that are on disk in every view, asked for or not."""
    try:
        return list(plate.find(asked.template.text, views=asked.views).present)
    except (
        InvalidInput,
        NotFound,
    ):  # a stray file makes the span of numbers too wide to look at; all have gone
        return list(asked.present)


def _failed(number: int, error: UnderstudyError) -> FrameReport:
    status = FrameStatus.MISSING if isinstance(error, FrameMissing) else FrameStatus.FAILED
    return FrameReport(frame=number, status=status, reason=error.reason, message=error.message)
