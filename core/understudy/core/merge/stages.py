"""The stages of one frame: read and align, swap and match, warp back, mix and write. Stateless from frame
to frame.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from understudy.core import plate, warp
from understudy.core.errors import FrameMissing, InvalidInput, ModelInvalid, UnderstudyError, WriteFailed
from understudy.core.frames import Frame, Window
from understudy.core.match import Match
from understudy.core.merge import by_hand, headers, layers
from understudy.core.merge.analysis import Placed
from understudy.core.merge.composite import Compositor, Swapped
from understudy.core.merge.expression import OCC
from understudy.core.merge.face_swap import Swapper
from understudy.core.merge.finish import Finish
from understudy.core.merge.flicker import Deflicker
from understudy.core.merge.job import Job, View
from understudy.core.merge.settings import MergeSettings
from understudy.core.plate.views import MONO, header_of, names, select
from understudy.core.reports import FrameReport, FrameStatus


@dataclass(frozen=True, kw_only=True)
class Stages:
    """One merge, ready to run: everything that is the same for all frames.

    Attributes:
        placed: view → frame number → the face there, over the whole shot.
        deflicker: of the masks.
        identity: what, beside the frame itself, shapes every output.
        finish: where frames go, and how.
    """

    settings: MergeSettings
    compositor: Compositor
    swapper: Swapper
    match: Match
    placed: Mapping[str, Mapping[int, Placed]]
    deflicker: Deflicker
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
                for view in job.views:
                    with view.named():
                        self._align(job, view)
        except UnderstudyError as error:
            job.fail(error)
        return job

    def compute(self, job: Job) -> Job:
        """The networks, the mattes and the colour match: all that may run on an accelerator."""
        try:
            for view in [] if job.report else job.views:
                with view.named():
                    self._compute(job, view)
        except UnderstudyError as error:
            if isinstance(error, ModelInvalid):
                raise
            job.fail(error)
        return job

    def _compute(self, job: Job, view: View) -> None:
        placed = view.placed
        if placed is None or view.crop is None:
            return
        with job.timed("swap"):
            steadied = partial(self.deflicker.over, view.name, job.number)
            view.made = self.swapper.swap(view.crop, placed, steadied)
        if self.swapper.masker.wants_occ and OCC not in view.made.mattes:
            job.warnings.append(view.saying("the face has neither a label nor a matte: mask_occ is empty"))
        with job.timed("match"):
            view.matched = view.made.face
            if placed.numbers is None:
                job.warnings.append(view.saying("no frame of the shot shows enough face to match its colour"))
            else:
                gain, amount = np.float32(placed.gain), self.settings.recipe.match_amount.at(job.number)
                view.matched = self.match.apply(view.made.face * gain, placed.numbers, amount) / gain

    def write(self, job: Job) -> FrameReport:
        """Put the frame together, write it and write down what became of it.

        A frame that OpenEXR or DPX cannot hold, or of which a named header entry or channel came back from the disk
        other than it was written, has failed alone: its report says so.

        Raises:
            WriteFailed: any other, for what stops one frame from being written stops the next one too.
        """
        try:
            if job.report is None:
                self._compose(job)
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

    def _view(self, name: str, number: int) -> View:
        file = name if self.settings.plate.template.has_view else MONO
        return View(name=name, file=file, placed=self.placed.get(name, {}).get(number))

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
        """Faces that lie wholly outside the picture: nothing of them is to be done, nor asked for."""
        for view in (view for view in job.views if view.placed):
            assert view.placed is not None
            with view.named():
                path = self.settings.plate.template.of_view(view.file).path(job.number)
                header = header_of(plate.read_header(path, job.number), view.within)
            if warp.footprint(view.placed.alignment, header.data).empty:
                job.warnings.append(view.saying("the face lies outside the picture"))
                view.placed = None

    def _is_done(self, job: Job) -> bool:
        """Work out the frame's identity; whether what it names is there already."""
        template, masker = self.settings.plate.template, self.swapper.masker
        faces = [view for view in job.views if view.placed]
        for file in self.finish.outputs.files:
            job.plates[file] = headers.file_digest(template.of_view(file).path(job.number))
        job.digest = headers.digest(
            self.identity,
            job.number,
            list(job.plates.values()),
            by_hand.identity(self.settings.user_mattes, job.number, [view.name for view in faces]),
            {view.name: view.placed.identity() for view in faces if view.placed},
            [masker.made_of(view.placed) for view in faces if view.placed and masker.wants_occ],
            [self.deflicker.identity(view.name, job.number) for view in faces],
        )
        done = self.finish.is_done(job)
        if done:
            job.end(FrameStatus.SKIPPED, outputs=self.finish.outputs.paths(job.number, job.faces))
        return done

    def _load(self, job: Job) -> None:
        """Read the files, and find the views in them."""
        for file in self.finish.outputs.files:
            job.files[file] = plate.read(self.settings.plate.template.of_view(file), job.number)
        for view in job.views:
            with view.named():
                view.frame = select(job.files[view.file], view.within)
                self._refuse_taken(view.frame)
                view.ground = layers.ground(view.frame, self.compositor.space, self.compositor.colour)
        _refuse_shared(job)
        if self.compositor.linearises:
            job.views += self._bystanders(job)

    def _bystanders(self, job: Job) -> list[View]:
        """The views that nobody asked for, linearised with the others: a file is in one colour space."""
        found = []
        for file, frame in job.files.items():
            asked = [view.within for view in job.views if view.file == file]
            for name in names(frame) if MONO not in asked else ():
                picture = select(frame, name)
                if name not in asked and set(layers.COLOUR) <= set(picture.planes):
                    ground = layers.ground(picture, self.compositor.space, self.compositor.colour)
                    found.append(View(name=name, file=file, asked=False, frame=picture, ground=ground))
        return found

    def _refuse_taken(self, frame: Frame) -> None:
        if taken := [name for name in layers.channels(self.finish.layers) if name in frame.planes]:
            raise InvalidInput(
                f"frame {frame.number}: the plate has a channel {taken[0]} already, one of our layers; "
                "take the plate that this comp was made from, or write no layers",
                frame=frame.number,
                field="layers",
                value=taken[0],
            )

    def _align(self, job: Job, view: View) -> None:
        """Cut the crop. The filter reads a little beyond the footprint, so a little more is made linear."""
        placed, frame = view.placed, view.frame
        if placed is None or frame is None:
            return
        view.window = window = warp.footprint(placed.alignment, frame.data)
        shrink = max(window.width, window.height) / placed.alignment.size
        reach = 8 + math.ceil(3.0 * shrink)
        area = Window(
            window.x - reach, window.y - reach, window.width + 2 * reach, window.height + 2 * reach
        ).intersect(frame.data)
        pixels, view.nonfinite = self.compositor.plate_pixels(frame, area)
        job.warnings += [
            view.saying(
                f"{at.count} pixels around the face are not finite in {channel}, {at}; the network saw them filled"
            )
            for channel, at in view.nonfinite.items()
        ]
        view.crop = warp.to_aligned(pixels, area, placed.alignment)
        view.pixels = pixels[window.slices(area)]
        view.said = by_hand.over(self.settings.user_mattes, frame, view.name, window)

    def _compose(self, job: Job) -> None:
        """Warp the faces back and mix them with the plate."""
        for view in job.views:
            if view.placed is None:
                continue
            assert view.frame is not None
            assert view.ground is not None
            assert view.made is not None
            assert view.matched is not None
            assert view.pixels is not None
            swapped = Swapped(
                placed=view.placed,
                window=view.window,
                made=view.made,
                matched=view.matched,
                plate=view.pixels,
                said=view.said,
            )
            with view.named(), job.timed("blend"):
                view.finished = self.compositor.compose(view.frame, view.ground, swapped)
            job.warnings += [view.saying(text) for text in view.finished.warnings]


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
