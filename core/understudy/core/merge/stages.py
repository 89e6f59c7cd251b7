"""The stages of one frame: read and align, swap and match, warp back, mix and write. Stateless from frame
to frame.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from understudy.core import plate
from understudy.core.colour import ColourConfig
from understudy.core.errors import FrameMissing, InvalidInput, ModelInvalid, UnderstudyError, WriteFailed
from understudy.core.frames import Frame
from understudy.core.merge import headers, layers
from understudy.core.merge.finish import Finish
from understudy.core.merge.job import Job, Swap, View
from understudy.core.merge.performer import Performer
from understudy.core.merge.settings import MergeSettings
from understudy.core.plate.views import MONO, header_of, names, select
from understudy.core.reports import FrameReport, FrameStatus

Step = Callable[[Performer, Job, View, Swap], None]


@dataclass(frozen=True, kw_only=True)
class Stages:
    """One merge, ready to run: everything that is the same for all frames.

    Attributes:
        performers: whom it swaps, in the order in which their faces are laid over one another.
        space: the plate's colour space.
        identity: what, beside the frame itself, shapes every output.
        finish: where frames go, and how.
    """

    settings: MergeSettings
    performers: Sequence[Performer]
    colour: ColourConfig
    space: str
    finish: Finish
    identity: str

    def read(self, number: int) -> Job:
        """Load a frame and what lies beside it, and cut the crops; or find that nothing is to be done."""
        job = Job(number=number, views=[self._view(name, number) for name in self.finish.outputs.views])
        try:
            if self._is_missing(job):
                return job
            with job.timed("read"):
                self._leave_out(job)
                if self._is_done(job):
                    return job
                self._load(job)
            with job.timed("align"):
                self._each(job, Performer.align)
        except UnderstudyError as error:
            job.fail(error)
        return job

    def compute(self, job: Job) -> Job:
        """The networks, the mattes and the colour match: all that may run on an accelerator."""
        try:
            if job.report is None:
                self._each(job, Performer.compute)
        except UnderstudyError as error:
            if isinstance(error, ModelInvalid):
                raise
            job.fail(error)
        return job

    def show(self, number: int) -> Job:
        """A frame put together for who looks at it: swapped and matched by itself alone, not written.

        Raises:
            FrameMissing, FrameUnreadable, InvalidInput, NotFound: what makes a frame of a merge MISSING or FAILED.
        """
        job = Job(number=number, views=[self._view(name, number) for name in self.finish.outputs.views])
        if self._is_missing(job):
            assert job.report is not None
            raise FrameMissing(job.report.message, frame=number)
        with job.timed("read"):
            self._leave_out(job)
            self._load(job)
        with job.timed("align"):
            self._each(job, Performer.align)
        self._each(job, Performer.fit_alone)
        self._each(job, Performer.compute)
        with job.timed("blend"):
            self._each(job, Performer.compose)
        return job

    def write(self, job: Job) -> FrameReport:
        """Put the frame together, write it and write down what became of it.

        A frame that OpenEXR or DPX cannot hold, or of which a named header entry or channel came back from the disk
        other than it was written, has failed alone: its report says so.

        Raises:
            WriteFailed: any other, for what stops one frame from being written stops the next one too.
        """
        try:
            if job.report is None:
                with job.timed("blend"):
                    self._each(job, Performer.compose)
                self.finish.save(job)
        except WriteFailed as error:
            if error.field is None:
                raise
            job.fail(error)
        except UnderstudyError as error:
            job.fail(error)
        assert job.report is not None
        self.finish.note(job, job.report)
        return job.report

    def _each(self, job: Job, step: Step) -> None:
        """A step of every face."""
        for view, swap in job.swaps:
            with view.named(swap):
                step(self.performers[swap.person], job, view, swap)

    def _view(self, name: str, number: int) -> View:
        file = name if self.settings.plate.template.has_view else MONO
        swaps = (performer.swap(name, number) for performer in self.performers)
        return View(name=name, file=file, swaps=[swap for swap in swaps if swap])

    def _is_missing(self, job: Job) -> bool:
        """Whether a file of the frame is not on disk: then the frame stays missing, in every view."""
        for view in job.views:
            path = self.settings.plate.template.of_view(view.file).path(job.number)
            if not path.is_file():
                message = view.saying(f"{path}: frame {job.number} is not on disk; it stays missing")
                job.end(FrameStatus.MISSING, reason=FrameMissing.reason, message=message)
                return True
        return False

    def _leave_out(self, job: Job) -> None:
        """Faces that lie wholly outside the picture."""
        for view in (view for view in job.views if view.swaps):
            with view.named():
                path = self.settings.plate.template.of_view(view.file).path(job.number)
                header = header_of(plate.read_header(path, job.number), view.within)
            outside = [s for s in view.swaps if self.performers[s.person].is_outside(s, header.data)]
            job.warnings += [view.saying("the face lies outside the picture", swap) for swap in outside]
            view.swaps = [swap for swap in view.swaps if swap not in outside]

    def _is_done(self, job: Job) -> bool:
        """Work out the frame's identity; whether what it names is there already."""
        template = self.settings.plate.template
        for file in self.finish.outputs.files:
            job.plates[file] = headers.file_digest(template.of_view(file).path(job.number))
        parts = list[Any]()
        for performer in self.performers:
            mine = [(view, swap) for view, swap in job.swaps if swap.person == performer.index]
            with performer.named():
                parts += performer.identity(job.number, mine)
        job.digest = headers.digest(self.identity, job.number, list(job.plates.values()), *parts)
        done = self.finish.is_done(job)
        if done:
            job.end(FrameStatus.SKIPPED, outputs=self.finish.outputs.paths(job.number, job.faces))
        return done

    def _load(self, job: Job) -> None:
        """Read the files, and find the views in them.

        What is read is the job's alone, and R, G and B are written anew where they were (`plate.views.put`), so they
        are the ground's own: to copy three planes of 4K takes as long as to mix a face in.
        """
        for file in self.finish.outputs.files:
            template = self.settings.plate.template.of_view(file)
            job.files[file] = plate.read(template, job.number, writable=True)
        for view in job.views:
            with view.named():
                view.frame = select(job.files[view.file], view.within)
                self._refuse_taken(view.frame)
                view.ground = replace(layers.ground(view.frame, self.space, self.colour), own=True)
        _refuse_shared(job)
        if not self.colour.is_scene_linear(self.space):
            job.views += self._bystanders(job)

    def _bystanders(self, job: Job) -> list[View]:
        """The views that nobody asked for, linearised with the others: a file is in one colour space."""
        found = []
        for file, frame in job.files.items():
            asked = [view.within for view in job.views if view.file == file]
            for name in names(frame) if MONO not in asked else ():
                picture = select(frame, name)
                if name not in asked and set(layers.COLOUR) <= set(picture.planes):
                    ground = layers.ground(picture, self.space, self.colour)
                    found.append(View(name=name, file=file, asked=False, frame=picture, ground=ground))
        return found

    def _refuse_taken(self, frame: Frame) -> None:
        if taken := [name for name in self.finish.channels if name in frame.planes]:
            raise InvalidInput(
                f"frame {frame.number}: the plate has a channel {taken[0]} already, one of our layers; "
                "take the plate that this comp was made from, or write no layers",
                frame=frame.number,
                field="layers",
                value=taken[0],
            )


def _refuse_shared(job: Job) -> None:
    """Two views that are one picture cannot both be swapped."""
    pictures: dict[int, View] = {}
    for view in job.views:
        assert view.frame is not None
        other = pictures.setdefault(id(view.frame.planes.get("R")), view)
        if other is not view:
            raise InvalidInput(
                f"frame {job.number}: the views {other.name} and {view.name} are the same picture; name one (--view)",
                frame=job.number,
                field="view",
                value=view.name,
            )
