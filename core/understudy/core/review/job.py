"""A review as a job: the contact sheet, then the movie, frame by frame."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from understudy.core import contact
from understudy.core.colour import ColourConfig
from understudy.core.errors import FrameMissing, FrameUnreadable, UnderstudyError
from understudy.core.files import replacing
from understudy.core.frames import Float
from understudy.core.pipeline import overlapped
from understudy.core.plate import Header, Template, Timecode, rate, read_header, views_of
from understudy.core.plate.views import MONO, header_of
from understudy.core.reports import Advanced, Artifact, FrameReport, FrameStatus, Report, Started, Warned
from understudy.core.review import burn, movie
from understudy.core.review.pictures import Sheet, Viewer, first_timecode
from understudy.core.review.said import provenance_of
from understudy.core.review.settings import ReviewSettings, refuse_absent

_RATE = Fraction(24)  # film's, where nobody says one


@dataclass(frozen=True, kw_only=True)
class _Cell:
    """One picture of a frame, or why there is none."""

    picture: Float
    timecode: Timecode | None = None
    error: UnderstudyError | None = None

    def words(self, number: int) -> str:
        """What stands in place of a picture that is not there."""
        if self.error is None:
            return ""
        return f"frame {number} {'missing' if isinstance(self.error, FrameMissing) else 'unreadable'}"


@dataclass(frozen=True, kw_only=True)
class _Read:
    """A frame, and its plate where that is shown."""

    number: int
    made: _Cell
    plate: _Cell | None
    seconds: float


@dataclass(frozen=True, kw_only=True)
class _Review:
    """What is the same for all frames of a movie; `rate` is a guess where neither settings nor headers name one."""

    settings: ReviewSettings
    viewer: Viewer
    tags: movie.Tags
    view: str
    sheet: Sheet
    rate: Fraction
    guessed: bool
    timecode: Timecode | None
    provenance: str

    def read(self, number: int) -> _Read:
        """One frame of the output, and of the plate."""
        s, began = self.settings, time.perf_counter()
        made = self._cell(s.output.template, number, str(s.output.colour_space))
        plate = self._cell(s.plate, number, s.plate_space) if s.compared and s.plate else None
        return _Read(number=number, made=made, plate=plate, seconds=time.perf_counter() - began)

    def _cell(self, template: Template, number: int, space: str) -> _Cell:
        try:
            taken = self.viewer.take(template, number, view=self.view, space=space, cell=self.sheet.cell)
        except UnderstudyError as error:
            return _Cell(picture=burn.absent(self.sheet.cell, self.tags.white), error=error)
        return _Cell(picture=taken.picture, timecode=taken.timecode)

    def composed(self, frame: _Read) -> Float:
        """The movie's picture of a frame."""
        white = self.tags.white
        plate = frame.plate.picture if frame.plate else None
        picture = self.sheet.lay(frame.made.picture, plate, white)
        for cell, part in zip((frame.plate, frame.made), self.sheet.parts, strict=True):
            words = cell.words(frame.number) if cell else ""
            burn.middle(picture, words, part, bottom=self.sheet.cell[1], white=white)
        if self.settings.burn_in:
            self._burn(picture, frame)
        return picture

    def _burn(self, picture: Float, frame: _Read) -> None:
        settings, white, bottom = self.settings, self.tags.white, self.sheet.cell[1]
        _, (edge, end) = self.sheet.parts
        if frame.plate:
            height, wiped = burn.height_of(bottom), settings.layout == "wipe"
            burn.stamp(picture, "plate", (0, 0), height=height, white=white)
            at, align = (end, 1.0) if wiped else (edge, 0.0)
            burn.stamp(picture, settings.name, (at, 0), height=height, white=white, align=align)
        timecode = frame.made.timecode
        number = f"{frame.number}  {timecode}" if timecode else f"{frame.number}"
        burn.foot(picture, settings.title, number, bottom=bottom, end=end, white=white)


def run(settings: ReviewSettings, *, colour: ColourConfig) -> Generator[Report, None, None]:
    """Make a contact sheet and a movie of a sequence; a report per frame of the movie: DONE, MISSING or FAILED.

    A frame that is not on disk, or cannot be read, has a picture that says so, so that every picture stays in its
    place. The movie gets its name when it is whole; closing the generator leaves nothing behind.

    Args:
        settings: with `plate` where it is needed.
        colour: its displays and views.

    Raises:
        NotFound: none of the frames is on disk.
        InvalidInput: no such display or view, an HDR display in 8 bits, a file of the movie's name that no review
            made; these before the first report. No layers for the contact sheet.
        FrameUnreadable: the header of no frame can be read.
        WriteFailed, DiskFull: the movie or the sheet could not be written.
    """
    assert settings.plate is not None or not settings.needs_plate
    refuse_absent(settings.output)
    display, view = colour.display_view(settings.display, settings.display_view)
    viewer = Viewer(colour=colour, display=display, display_view=view, gain=settings.gain)
    tags = movie.tags_of(colour.screen(display, view))
    if settings.movie is not None:
        movie.refuse(settings.movie, tags)
    return _run(settings, viewer, tags)


def _run(settings: ReviewSettings, viewer: Viewer, tags: movie.Tags) -> Generator[Report, None, None]:
    if settings.movie is None:
        yield Started(total=1, unit="step")
    else:
        yield Started(total=len(settings.output.frames))
    if settings.sheet is not None:
        yield _contact_sheet(settings, settings.sheet, viewer.colour)
    if settings.movie is None:
        yield Advanced(done=1)
    else:
        yield from _movie(settings, settings.movie, viewer, tags)


def _contact_sheet(settings: ReviewSettings, path: Path, colour: ColourConfig) -> Artifact:
    numbers = list(settings.output.present)
    places = np.linspace(0, len(numbers) - 1, min(settings.rows, len(numbers))).round().astype(int)
    contact.sheet(
        settings.output.template,
        path,
        colour=colour,
        plate=settings.plate,
        frames=[numbers[place] for place in places],
        title=settings.title,
    )
    return Artifact(kind="contact_sheet", path=path)


def _movie(
    settings: ReviewSettings, path: Path, viewer: Viewer, tags: movie.Tags
) -> Generator[Report, None, None]:
    review = _prepared(settings, viewer, tags)
    yield from _warnings(review)
    with (
        replacing(path) as beside,
        movie.Movie.making(
            beside,
            size=review.sheet.size,
            rate=review.rate,
            tags=tags,
            timecode=review.timecode,
            title=settings.title,
            note=review.provenance,
        ) as made,
    ):

        def add(frame: _Read) -> FrameReport:
            began = time.perf_counter()
            made.add(review.composed(frame))
            return _report(frame, {"read": frame.seconds, "encode": time.perf_counter() - began})

        with closing(overlapped(settings.output.frames, review.read, add, _same)) as reports:
            yield from reports
    yield Artifact(kind="review", path=path)


def _same(report: FrameReport) -> FrameReport:
    """The writing is FFmpeg's own: nothing is left to do in a thread of ours."""
    return report


def _prepared(settings: ReviewSettings, viewer: Viewer, tags: movie.Tags) -> _Review:
    view = views_of(settings.output)[0]
    header, number = _first_header(settings, view)
    said = settings.rate or rate(header.metadata)
    at = said or _RATE
    whole = not len(settings.output.frames.gaps()) and number == next(iter(settings.output.frames))
    return _Review(
        settings=settings,
        viewer=viewer,
        tags=tags,
        view=view,
        sheet=Sheet.of(settings, header),
        rate=at,
        guessed=said is None,
        timecode=first_timecode(header, at) if whole else None,
        provenance=provenance_of(settings.output.template, view, settings.output.present),
    )


def _first_header(settings: ReviewSettings, view: str) -> tuple[Header, int]:
    """Of the first frame that can be opened, and its number; where none can, raises what the first one's error is."""
    template = settings.output.template
    alone, numbers = MONO if template.has_view else view, list(settings.output.present)
    for number in numbers:
        try:
            header = read_header(template.of_view(view).path(number), number)
        except (FrameMissing, FrameUnreadable):
            continue  # its own report will say so
        return header_of(header, alone), number
    return header_of(read_header(template.of_view(view).path(numbers[0]), numbers[0]), alone), numbers[0]


def _warnings(review: _Review) -> Generator[Warned, None, None]:
    template, display = review.settings.output.template, review.viewer.display
    if 2 in (review.tags.primaries, review.tags.transfer):
        yield Warned(
            reason="UNTAGGED_VIDEO",
            message=f"{review.settings.movie}: movies have no word for {display!r}; players may show other colours",
        )
    if review.guessed:
        yield Warned(
            reason="NO_FRAME_RATE",
            message=f"{template}: the headers name no frame rate; the movie has {review.rate} frames a second",
        )


def _report(frame: _Read, seconds: dict[str, float]) -> FrameReport:
    error = frame.made.error
    warnings = (frame.plate.error.message,) if frame.plate and frame.plate.error else ()
    if error is None:
        return FrameReport(frame=frame.number, status=FrameStatus.DONE, warnings=warnings, seconds=seconds)
    missing = isinstance(error, FrameMissing)
    return FrameReport(
        frame=frame.number,
        status=FrameStatus.MISSING if missing else FrameStatus.FAILED,
        reason=error.reason,
        message=error.message,
        warnings=warnings,
        seconds=seconds,
    )
