"""What becomes of a frame: its files, in every view, and its record in the manifest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from understudy.core import plate
from understudy.core.colour import ColourConfig
from understudy.core.frames import Array, Frame, Window
from understudy.core.located import listed
from understudy.core.merge import headers, layers
from understudy.core.merge.analysis import Placed
from understudy.core.merge.job import Job, View
from understudy.core.merge.manifest import Manifest
from understudy.core.merge.mattes import sized
from understudy.core.merge.outputs import Outputs, copy, window_json, write_aligned
from understudy.core.merge.settings import MergeSettings
from understudy.core.pipeline import share
from understudy.core.plate.views import MONO, put
from understudy.core.reports import FrameReport, FrameStatus


@dataclass(frozen=True, kw_only=True)
class Finish:
    """Where the frames of one merge go.

    Attributes:
        layers: those that every finished frame has.
        header: what every output frame says about itself.
        space: the plate's colour space.
        maximum: of the swap curve.
    """

    settings: MergeSettings
    outputs: Outputs
    manifest: Manifest
    layers: tuple[str, ...]
    header: Mapping[str, str | float]
    colour: ColourConfig
    space: str
    maximum: float

    def is_done(self, job: Job) -> bool:
        return self.outputs.done(job.number, job.digest, self.manifest, job.faces)

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
            for view in job.views:
                self._save_aligned(job, view)
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
        """What the manifest says of one view; the first view's stands for the frame too."""
        source = self.settings.plate.template.of_view(view.file).path(job.number)
        entry: dict[str, Any] = {
            "plate": {"name": source.name, "sha256": job.plates.get(view.file, "")},
            "box": [view.box.x, view.box.y, view.box.width, view.box.height],
            "nonfinite": listed(view.nonfinite),
        }
        if view.placed:
            entry |= {"gain": view.placed.gain, "brightest": self._brightest(view.placed)}
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
        if view.finished is None or view.box.empty:
            return False
        inside = view.finished.layers["mask_blend.A"] > 0
        codes, held = layers.encoded(frame, view.finished.rgb, inside, self.space, self.colour)
        if held:
            text = f"{held} values under the matte are beyond the DPX's codes and were held at the end"
            job.warnings.append(view.saying(text))
        finished = frame.with_planes({**frame.planes, **codes})
        plate.write(finished, self.outputs.comp.of_view(view.file).path(job.number))
        return True

    def _save_aligned(self, job: Job, view: View) -> None:
        path = self.outputs.aligned_path(view.name, job.number)
        if path is None or view.made is None or view.matched is None:
            return
        images = {
            "": view.matched,
            "face_raw": view.made.face,
            "plate": view.made.plate,
            "mask": sized(view.made.mask, len(view.made.face)),
            **{f"mask_{n}": sized(m, len(view.made.face)) for n, m in sorted(view.made.mattes.items())},
        }
        write_aligned(path, job.number, images, self._made_from(job, view.file, self.colour.working))

    def _is_plates_own(self, view: View) -> bool:
        """Whether the picture goes out as the plate stores it."""
        assert view.frame is not None
        assert view.ground is not None
        return view.finished is None and view.ground.space == self.space and view.frame.maximum == 1.0

    def _rgb(self, view: View) -> Mapping[str, Array]:
        if view.finished:
            return view.finished.rgb
        assert view.ground is not None
        return {} if self._is_plates_own(view) else view.ground.planes

    def _layers(self, view: View) -> Mapping[str, Array]:
        if view.finished:
            return view.finished.layers
        assert view.frame is not None
        return layers.empty(view.frame.data, self.layers)

    def _said(self, job: Job, file: str, views: list[View]) -> dict[str, str | float]:
        """Our header entries of one file. They are the file's, not a view's: hosts look at its first part only."""
        assert views[0].ground is not None
        asked = [view for view in views if view.asked]
        swapped = next((view.placed for view in asked if view.placed), None)
        parts = (job.files[file], *job.files[file].others)
        before = any(part.metadata.get(headers.SYNTHETIC) == headers.REPLACED for part in parts)
        said = {
            **self._made_from(job, file, views[0].ground.space),
            # once synthetic, always: an earlier pass may have put another person's face on
            headers.SYNTHETIC: headers.REPLACED if swapped or before else "none",
        }
        if self.layers:
            said[headers.LAYERS] = ",".join(self.layers)
        if swapped:
            said |= {headers.GAIN: swapped.gain, headers.BRIGHTEST: self._brightest(swapped)}
        for view in asked:
            assert view.frame is not None
            nothing = Window(view.frame.data.x, view.frame.data.y, 0, 0)
            key = headers.box_key(view.name, [other.name for other in asked])
            said[key] = window_json(view.box if view.finished else nothing)
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

    def _brightest(self, placed: Placed) -> float:
        return self.maximum / placed.gain
