"""The stages of one frame: read and align, swap and match, warp back, mix and write. Stateless from frame
to frame.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from understudy.core import plate, warp
from understudy.core.errors import FrameMissing, FrameUnreadable, InvalidInput, UnderstudyError, WriteFailed
from understudy.core.frames import Array, Float, Frame, Window
from understudy.core.match import Match
from understudy.core.merge import headers, layers
from understudy.core.merge.analysis import Placed
from understudy.core.merge.composite import Compositor, to_plate
from understudy.core.merge.face_swap import Made, Swapper
from understudy.core.merge.manifest import Manifest
from understudy.core.merge.outputs import Outputs, copy, digests, window_json, write_aligned
from understudy.core.merge.settings import MergeSettings
from understudy.core.reports import FrameReport, FrameStatus

_NOWHERE = Window(0, 0, 0, 0)


@dataclass(kw_only=True)
class Job:
    """One frame on its way through the stages; each fills in what the next one needs.

    Attributes:
        report: set as soon as nothing more is to be done.
        placed: the face on it, or None: the plate passes through.
        window: the crop's footprint on the plate.
        pixels: (h, w, 3) the plate on `window`, scene-linear in the working space, finite.
        user: (h, w) the user's matte on `window`.
        crop: (S, S, 3) what the network sees.
        matched: (S, S, 3) the new face after colour match.
        box: what the swap changed, at most.
    """

    number: int
    report: FrameReport | None = None
    placed: Placed | None = None
    digest: str = ""
    plate_digest: str = ""
    frame: Frame | None = None
    ground: layers.Ground | None = None
    window: Window = _NOWHERE
    pixels: Float | None = None
    user: Float | None = None
    crop: Float | None = None
    made: Made | None = None
    matched: Float | None = None
    box: Window = _NOWHERE
    warnings: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - started

    def end(self, status: FrameStatus, **items: Any) -> None:
        self.report = FrameReport(
            frame=self.number,
            status=status,
            faces=0 if self.placed is None else 1,
            confidence=None if self.placed is None else self.placed.face.score,
            warnings=tuple(self.warnings),
            seconds=self.seconds,
            **items,
        )

    def fail(self, error: UnderstudyError) -> None:
        """House rule 8: what goes wrong on a frame is in its report."""
        self.end(FrameStatus.FAILED, reason=error.reason, message=error.message)


@dataclass(frozen=True, kw_only=True)
class Stages:
    """One merge, ready to run: everything that is the same for all frames.

    Attributes:
        placed: frame number → the face on it, over the whole shot.
        identity: what, beside the frame itself, shapes every output.
        header: what every output frame says about itself.
    """

    settings: MergeSettings
    compositor: Compositor
    swapper: Swapper
    match: Match
    placed: Mapping[int, Placed]
    outputs: Outputs
    manifest: Manifest
    identity: str
    header: Mapping[str, str | float]

    def read(self, number: int) -> Job:
        """Load a frame and what lies beside it, and cut the crop; or find that nothing is to be done."""
        job = Job(number=number, placed=self.placed.get(number))
        try:
            path = self.settings.plate.template.path(number)
            if not path.is_file():
                missing = FrameMissing(
                    f"{path}: frame {number} is not on disk; it stays missing", frame=number
                )
                job.end(FrameStatus.MISSING, reason=missing.reason, message=missing.message)
                return job
            with job.timed("read"):
                if not self._is_done(job):
                    self._load(job)
            if job.placed and job.frame:
                with job.timed("align"):
                    self._align(job, job.frame, job.placed)
        except UnderstudyError as error:
            job.fail(error)
        return job

    def compute(self, job: Job) -> Job:
        """The network and the colour match: all that may run on an accelerator."""
        if job.report or job.placed is None or job.crop is None:
            return job
        placed, recipe = job.placed, self.settings.recipe
        with job.timed("swap"):
            job.made = self.swapper.swap(job.crop, placed.alignment, placed.face.landmarks, placed.gain)
        with job.timed("match"):
            job.matched = job.made.face
            if placed.numbers is None:
                job.warnings.append("no frame of the shot shows enough face to match its colour")
            else:
                gain, amount = np.float32(placed.gain), recipe.match_amount.at(job.number)
                job.matched = self.match.apply(job.made.face * gain, placed.numbers, amount) / gain
        return job

    def write(self, job: Job) -> FrameReport:
        """Put the frame together, write it and write down what became of it.

        Raises:
            WriteFailed: what stops one frame from being written stops the next one too.
        """
        try:
            if job.report is None:
                self._finish(job)
        except WriteFailed:
            raise
        except UnderstudyError as error:
            job.fail(error)
        assert job.report is not None
        self._note(job, job.report)
        return job.report

    def _is_done(self, job: Job) -> bool:
        """Work out the frame's identity; whether what it names is there already."""
        user = self.settings.user_matte.path(job.number) if self.settings.user_matte and job.placed else None
        if user and not user.is_file():
            raise FrameMissing(
                f"{user}: the user's matte has no frame {job.number}", path=user, frame=job.number
            )
        job.plate_digest = headers.file_digest(self.settings.plate.template.path(job.number))
        job.digest = headers.digest(
            self.identity,
            job.number,
            job.plate_digest,
            headers.file_digest(user) if user else None,
            job.placed.identity() if job.placed else None,
        )
        done = self.outputs.done(job.number, job.digest, self.manifest, face=job.placed is not None)
        if done:
            job.end(FrameStatus.SKIPPED, outputs=self.outputs.paths(job.number, face=job.placed is not None))
        return done

    def _load(self, job: Job) -> None:
        frame = plate.read(self.settings.plate.template, job.number)
        taken = layers.taken(frame.planes, user=self.settings.user_matte is not None)
        if taken and self.settings.layers:
            raise InvalidInput(
                f"frame {job.number}: the plate has a channel {taken[0]} already, one of our layers; "
                "take the plate that this comp was made from, or write no layers",
                frame=job.number,
                field="layers",
                value=taken[0],
            )
        job.ground = layers.ground(frame, self.compositor.space, self.compositor.colour)
        job.frame = frame

    def _align(self, job: Job, frame: Frame, placed: Placed) -> None:
        """Cut the crop. The filter reads a little beyond the footprint, so a little more is made linear."""
        job.window = warp.footprint(placed.alignment, frame.data)
        if job.window.empty:
            job.warnings.append("the face lies outside the picture")
            job.placed = None
            return
        shrink = max(job.window.width, job.window.height) / placed.alignment.size
        reach = 8 + math.ceil(3.0 * shrink)
        window = job.window
        grown = Window(
            window.x - reach, window.y - reach, window.width + 2 * reach, window.height + 2 * reach
        )
        area = grown.intersect(frame.data)
        pixels, filled = self.compositor.plate_pixels(frame, area)
        if filled:
            job.warnings.append(
                f"{filled} pixels around the face are not finite; the network saw them filled"
            )
        job.crop = warp.to_aligned(pixels, area, placed.alignment)
        job.pixels = pixels[window.slices(area)]
        if self.settings.user_matte:
            job.user = self._user(job, frame)

    def _user(self, job: Job, frame: Frame) -> Float:
        """The user's matte (h, w) on the footprint, in [0, 1]; 0 beyond its data window and where not
        finite.
        """
        template = self.settings.user_matte
        assert template is not None
        roto = plate.read(template, job.number)
        if roto.display != frame.display:
            raise InvalidInput(
                f"{template.path(job.number)}: the user's matte is {roto.display}, the plate {frame.display}",
                frame=job.number,
                field="user_matte",
                value=roto.display,
            )
        channel = next((name for name in ("A", "R", "Y") if name in roto.planes), None)
        if channel is None:
            raise FrameUnreadable(
                f"{template.path(job.number)}: no channel A or R; it has {', '.join(roto.planes)}",
                frame=job.number,
            )
        both = job.window.intersect(roto.data)
        matte = np.zeros((job.window.height, job.window.width), np.float32)
        if not both.empty:
            found = roto.planes[channel][both.slices(roto.data)].astype(np.float32) / np.float32(roto.maximum)
            matte[both.slices(job.window)] = np.clip(np.nan_to_num(found, nan=0.0), 0.0, 1.0)
        return matte

    def _finish(self, job: Job) -> None:
        frame, ground, placed = job.frame, job.ground, job.placed
        assert frame is not None
        assert ground is not None
        if placed is None:
            self._pass_through(job, frame, ground)
            return
        assert job.made is not None
        assert job.matched is not None
        assert job.pixels is not None
        with job.timed("warp"):
            warped = to_plate(job.made, job.matched, job.pixels, placed, job.window)
        with job.timed("blend"):
            made = self.compositor.compose(frame, ground, warped, placed, job.user)
        job.warnings += made.warnings
        job.box = made.box
        header: dict[str, str | float] = {
            headers.SYNTHETIC: "face_replacement",
            headers.GAIN: placed.gain,
            headers.BOX: window_json(made.box),
        }
        with job.timed("write"):
            self._save(job, frame, ground, rgb=made.rgb, extra=made.layers, header=header)
            if self.outputs.aligned:
                images = {
                    "": job.matched,
                    "face_raw": job.made.face,
                    "plate": job.made.plate,
                    "mask_face": job.made.matte_face,
                    "mask_hull": job.made.matte_hull,
                }
                path = self.outputs.aligned.path(job.number)
                write_aligned(path, job.number, images, self._own_header(job, self.compositor.colour.working))
        self._done(job, FrameStatus.DONE)

    def _pass_through(self, job: Job, frame: Frame, ground: layers.Ground) -> None:
        """A frame with nothing to swap (promise 2)."""
        header = {
            headers.SYNTHETIC: "none",
            headers.BOX: window_json(Window(frame.data.x, frame.data.y, 0, 0)),
        }
        with job.timed("write"):
            source, target = self.settings.plate.template.path(job.number), self.outputs.comp.path(job.number)
            untouched = ground.space == self.compositor.space and frame.maximum == 1.0
            if not self.settings.layers and (self.settings.dpx or untouched):
                copy(source, target)
            else:
                empty = layers.empty(frame.data, user=self.settings.user_matte is not None)
                self._save(job, frame, ground, rgb=ground.planes, extra=empty, header=header)
        self._done(job, FrameStatus.NO_FACE)

    def _save(
        self,
        job: Job,
        frame: Frame,
        ground: layers.Ground,
        *,
        rgb: Mapping[str, Array],
        extra: Mapping[str, Array],
        header: Mapping[str, str | float],
    ) -> None:
        """Write the finished frame and its layers: in one EXR, or a DPX and an EXR beside it."""
        said = {**self._own_header(job, ground.space), **header}
        comp = self.outputs.comp.path(job.number)
        if not self.settings.dpx:
            planes = layers.arranged(frame, rgb, extra if self.settings.layers else {})
            plate.write(layers.as_exr(frame).with_planes(planes, **said), comp)
            return
        if self.outputs.layers:
            plate.write(layers.as_exr(frame).with_planes(extra, **said), self.outputs.layers.path(job.number))
        inside = extra["mask_blend.A"] > 0
        if not inside.any():
            copy(self.settings.plate.template.path(job.number), comp)
            return
        codes, held = layers.encoded(frame, rgb, inside, self.compositor.space, self.compositor.colour)
        if held:
            job.warnings.append(
                f"{held} values under the matte are beyond the DPX's codes and were held at the end"
            )
        plate.write(frame.with_planes({**frame.planes, **codes}), comp)

    def _own_header(self, job: Job, space: str) -> dict[str, str | float]:
        template = self.settings.plate.template
        return {
            **self.header,
            headers.COLOUR: space,
            headers.PLATE_FRAME: template.path(job.number).name,
            headers.DIGEST: job.digest,
        }

    def _done(self, job: Job, status: FrameStatus) -> None:
        paths = self.outputs.paths(job.number, face=job.placed is not None)
        found = {
            "plate": job.plate_digest,
            "digest": job.digest,
            **digests(paths, self.outputs.comp.directory),
        }
        job.end(status, outputs=paths, digests=found)

    def _note(self, job: Job, report: FrameReport) -> None:
        """The frame's record for the manifest; a frame that was left alone keeps the one it has."""
        if report.status is FrameStatus.SKIPPED and self.manifest.record(job.number):
            return
        outputs = {name: value for name, value in report.digests.items() if name not in ("plate", "digest")}
        if report.status is FrameStatus.SKIPPED:
            outputs = digests(report.outputs, self.outputs.comp.directory)
        record = {
            "status": report.status.value,
            "faces": report.faces,
            "confidence": report.confidence,
            "reason": report.reason,
            "message": report.message,
            "warnings": list(report.warnings),
            "plate": {"name": self.settings.plate.template.path(job.number).name, "sha256": job.plate_digest},
            "digest": job.digest,
            "box": [job.box.x, job.box.y, job.box.width, job.box.height],
            "outputs": outputs,
        }
        self.manifest.put(job.number, record)
