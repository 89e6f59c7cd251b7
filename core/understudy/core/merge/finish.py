"""What becomes of a frame: its files, in every view, and its record in the manifest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from understudy.core import plate
from understudy.core.colour import ColourConfig
from understudy.core.enhance.lanczos import Lanczos
from understudy.core.frames import Array, Frame, Window
from understudy.core.located import listed
from understudy.core.merge import headers, layers
from understudy.core.merge.job import NOWHERE, Job, Swap, View
from understudy.core.merge.manifest import Manifest
from understudy.core.merge.mattes import sized
from understudy.core.merge.outputs import Outputs, copy, window_json, write_aligned
from understudy.core.merge.performer import Performer
from understudy.core.merge.settings import MergeSettings
from understudy.core.pipeline import share
from understudy.core.plate.views import MONO, put
from understudy.core.reports import FrameReport, FrameStatus


@dataclass(frozen=True, kw_only=True)
class Finish:
    """Where the frames of one merge go.

    Attributes:
        performers: whose faces there may be.
        header: what every output frame says about itself.
        space: the plate's colour space.
    """

    settings: MergeSettings
    outputs: Outputs
    manifest: Manifest
    performers: Sequence[Performer]
    header: Mapping[str, str | float]
    colour: ColourConfig
    space: str

    @property
    def layers(self) -> tuple[str, ...]:
        """Those that every finished frame has, as files name them."""
        return tuple(each.prefix + name for each in self.performers for name in each.layers)

    @cached_property
    def channels(self) -> tuple[str, ...]:
        """Those of these layers."""
        return tuple(each.prefix + name for each in self.performers for name in layers.channels(each.layers))

    def is_done(self, job: Job) -> bool:
        return not self.settings.again and self.outputs.done(job.number, job.digest, self.manifest, job.faces)

    def save(self, job: Job) -> None:
        """Write a frame whose views are finished, or have nothing to swap (promise 2).

        Raises:
            InvalidInput: the format cannot hold it.
            DiskFull, WriteFailed: naming the file; with `field`, what came back from it otherwise.
        """
        with job.timed("write"):
            for file in job.files:
                views = [view for view in job.views if view.file == file]
                self._save(job, file, views)
            for view, swap in job.swaps:
                self._save_aligned(job, view, swap)
            paths = self.outputs.paths(job.number, job.faces)
            job.written = self.outputs.digests(paths)
        digests = {"plate": next(iter(job.plates.values())), "digest": job.digest, **job.written}
        status = FrameStatus.DONE if job.faces else FrameStatus.NO_FACE
        job.end(status, outputs=paths, digests=digests)

    def note(self, job: Job, report: FrameReport) -> None:
        """The frame's record for the manifest; a frame that was left alone keeps the one it has."""
        written = job.written
        if report.status is FrameStatus.SKIPPED:
            if self.manifest.record(job.number):
                return
            written = self.outputs.digests(report.outputs)
        asked = [view for view in job.views if view.asked]
        entries = {view.name: self._entry(job, view) for view in asked}
        record = {
            "status": report.status.value,
            "faces": report.faces,
            "confidence": report.confidence,
            "reason": report.reason,
            "message": report.message,
            "warnings": list(report.warnings),
            "digest": job.digest,
            "outputs": written,
            **entries[asked[0].name],
            **({"views": entries} if len(entries) > 1 else {}),
        }
        self.manifest.put(job.number, record)

    def _entry(self, job: Job, view: View) -> dict[str, Any]:
        """What the manifest says of one view; the first view's stands for the frame too. Of several people, each is
        under their name.
        """
        source = self.settings.plate.template.of_view(view.file).path(job.number)
        entry: dict[str, Any] = {"plate": {"name": source.name, "sha256": job.plates.get(view.file, "")}}
        faces = {each.person.name: self._face(each, view.swap_of(each.index)) for each in self.performers}
        return entry | ({"people": faces} if self.settings.several else next(iter(faces.values())))

    def _face(self, performer: Performer, swap: Swap | None) -> dict[str, Any]:
        """What the manifest says of one person in a view."""
        box = swap.box if swap else NOWHERE
        entry: dict[str, Any] = {
            "box": [box.x, box.y, box.width, box.height],
            "nonfinite": listed(swap.nonfinite if swap else {}),
        }
        if swap:
            entry |= {"gain": swap.placed.gain, "brightest": performer.brightest(swap.placed)}
        return entry

    def _save(self, job: Job, file: str, views: list[View]) -> None:
        """Write one file with all its views, or copy it where that is the same."""
        frame = job.files[file]
        source = self.settings.plate.template.of_view(file).path(job.number)
        target = self.outputs.comp.of_view(file).path(job.number)
        said = self._said(job, file, views)
        if self.settings.dpx:
            if self._save_dpx(job, frame, views[0], said):
                return
        elif self.layers or not all(map(self._is_plates_own, views)):
            plate.write(self._put_together(frame, views, said), target, threads=share())
            return
        copy(source, target)

    def _put_together(self, frame: Frame, views: list[View], said: Mapping[str, Any]) -> Frame:
        """The file with every view's picture and layers in their place."""
        made = layers.as_exr(frame)
        for view in views:
            extra = self._layers(view) if view.asked and self.layers else {}
            made = put(made, view.within, {**self._rgb(view), **extra})
        return replace(made, metadata={**headers.fresh(made.metadata), **said})

    def _save_dpx(self, job: Job, frame: Frame, view: View, said: Mapping[str, Any]) -> bool:
        """Write an EXR for the layers, where they are wanted, and the DPX; False where it is the plate's own."""
        if self.outputs.layers:
            beside = self.outputs.layers.of_view(view.file).path(job.number)
            made = replace(layers.as_exr(frame), planes=self._layers(view))
            made = replace(made, metadata={**headers.fresh(made.metadata), **said})
            plate.write(made, beside, threads=share())
        if all(swap.box.empty for swap in view.swaps):
            return False
        assert view.ground is not None
        inside = view.inside(frame.data)
        codes, held = layers.encoded(frame, view.ground.planes, inside, self.space, self.colour)
        if held:
            text = f"{held} values under the matte are beyond the DPX's codes and were held at the end"
            job.warnings.append(view.saying(text))
        finished = frame.with_planes({**frame.planes, **codes})
        plate.write(finished, self.outputs.comp.of_view(view.file).path(job.number))
        return True

    def _save_aligned(self, job: Job, view: View, swap: Swap) -> None:
        path = self.outputs.aligned_path(view.name, job.number, swap.person)
        if path is None or swap.made is None or swap.face is None:
            return
        side = len(swap.face)  # super-resolution makes it larger: who paints on it wants all at one size
        images = {
            "": swap.face,
            "face_raw": Lanczos().enlarge(swap.made.face, side),
            "plate": Lanczos().enlarge(swap.made.plate, side),
            "mask": sized(swap.made.mask, side),
            **{f"mask_{n}": sized(m, side) for n, m in sorted(swap.made.mattes.items())},
        }
        write_aligned(path, job.number, images, self._made_from(job, view.file, self.colour.working))

    def put_together(self, job: Job) -> Frame:
        """The first view's file as it would be written, of a frame whose views are finished."""
        file = job.views[0].file
        views = [view for view in job.views if view.file == file]
        return self._put_together(job.files[file], views, self._said(job, file, views))

    def _is_plates_own(self, view: View) -> bool:
        """Whether the picture goes out as the plate stores it."""
        assert view.frame is not None
        assert view.ground is not None
        return not view.finished and view.ground.space == self.space and view.frame.maximum == 1.0

    def _rgb(self, view: View) -> Mapping[str, Array]:
        assert view.ground is not None
        return {} if self._is_plates_own(view) else view.ground.planes

    def _layers(self, view: View) -> Mapping[str, Array]:
        """Those of all people; empty ones, which share their planes, of who has no face here."""
        assert view.frame is not None
        absent = [each for each in self.performers if view.swap_of(each.index) is None]
        blank = (
            layers.empty(view.frame.data, {name for each in absent for name in each.layers}) if absent else {}
        )
        return view.layers | {
            each.prefix + name: blank[name] for each in absent for name in layers.channels(each.layers)
        }

    def _said(self, job: Job, file: str, views: list[View]) -> dict[str, str | float]:
        """Our header entries of one file. They are the file's, not a view's: hosts look at its first part only."""
        assert views[0].ground is not None
        asked = [view for view in views if view.asked]
        parts = (job.files[file], *job.files[file].others)
        before = any(part.metadata.get(headers.SYNTHETIC) == headers.REPLACED for part in parts)
        swapped = any(view.swaps for view in asked)
        said = {
            **self._made_from(job, file, views[0].ground.space),
            # once synthetic, always: an earlier pass may have put another person's face on
            headers.SYNTHETIC: headers.REPLACED if swapped or before else "none",
        }
        if self.layers:
            said[headers.LAYERS] = ",".join(self.layers)
        for each in self.performers:
            said |= _of_one(each, asked)
        return said

    def _made_from(self, job: Job, file: str, space: str) -> dict[str, str | float]:
        template = self.settings.plate.template.of_view(file)
        views = {headers.VIEWS: ",".join(self.outputs.views)} if self.outputs.views != (MONO,) else {}
        return {
            **self.header,
            **views,
            headers.COLOUR: space,
            headers.PLATE_FRAME: template.path(job.number).name,
            headers.DIGEST: job.digest,
        }


def _of_one(performer: Performer, asked: Sequence[View]) -> dict[str, str | float]:
    """What the header of a file says of one person's faces in its views."""
    said: dict[str, str | float] = {}
    swaps = {view.name: view.swap_of(performer.index) for view in asked}
    if swap := next((swap for swap in swaps.values() if swap), None):
        brightest = performer.brightest(swap.placed)
        entries = {headers.GAIN: swap.placed.gain, headers.BRIGHTEST: brightest}
        said |= {headers.of_person(performer.index, key): value for key, value in entries.items()}
    for view in asked:
        assert view.frame is not None
        mine, nothing = swaps[view.name], Window(view.frame.data.x, view.frame.data.y, 0, 0)
        key = headers.box_key(view.name, list(swaps), performer.index)
        said[key] = window_json(mine.box if mine else nothing)
    return said
