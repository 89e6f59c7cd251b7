"""What the worker runs for each kind of job. Core's heavy modules, torch among them, are imported when needed."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from understudy.core import confine, contact, review
from understudy.core.colour import ColourConfig
from understudy.core.enhancer.settings import EnhancerTrainSettings
from understudy.core.errors import FrameMissing, FrameUnreadable, InvalidInput, ModelInvalid, NotFound
from understudy.core.extract import ExtractSettings
from understudy.core.kept import Kept
from understudy.core.reports import Advanced, Artifact, FrameReport, FrameStatus, Report, Started, Warned
from understudy.core.review import ReviewSettings
from understudy.core.train.control import Control
from understudy.core.train.settings import SessionSettings, TrainSettings
from understudy.core.weights import WeightsReport
from understudy.daemon import decode, leftovers, locks
from understudy.daemon.decode import CheckPlate, Ingest, Merge, PlotHistory, Pull, Torture, Verify
from understudy.daemon.site import Site
from understudy.v1 import job_pb2

if TYPE_CHECKING:
    from understudy.core.merge.preview import Previewer
    from understudy.core.merge.settings import Person

CONTACT_SHEET = "contact_sheet.png"  # beside the frames
_SEGMENT = ("label_faces", "train_segmenter", "apply_segmenter", "preview_segmentation")
_MODEL = ("export_model", "import_model", "combine_models", "restore_model")


class Tasks:
    """The generators of core, for one site.

    Args:
        kept: networks that stay loaded from job to job; a training finds the memory empty.
    """

    def __init__(self, site: Site, kept: Kept) -> None:
        self._site, self._kept = site, kept

    @cached_property
    def _colour(self) -> ColourConfig:
        return ColourConfig.open(self._site.colour_config)

    def reports(self, spec: bytes, control: Control, user: str = "") -> Generator[Report | WeightsReport]:
        """Decode a spec, all of whose inputs must be there now, and do its work; the errors are those of both.

        A training takes from `control` what it is told while it runs. Nobody else, of this daemon or another, writes
        the outputs meanwhile. It writes where the user whose job it is may.

        Raises:
            OutputLocked: somebody does now.
        """
        asked = job_pb2.JobSpec.FromString(spec)
        site = self._site.of(user)
        work = decode.work(asked, site=site, colour=self._colour)
        if isinstance(work.settings, SessionSettings):
            self._kept.clear()
        with confine.adding(site.roots.written), locks.held(work.outputs, site.roots.written):
            leftovers.sweep(work.outputs)
            yield from self._work(asked, work.settings, control)

    def _work(
        self, asked: job_pb2.JobSpec, settings: Any, control: Control
    ) -> Iterator[Report | WeightsReport]:
        match settings:
            case Ingest() as s:
                yield from _ingest(s, self._colour)
            case ExtractSettings() as s:
                from understudy.core import extract

                yield from extract.run(s, store=self._site.weights(), colour=self._colour, kept=self._kept)
            case TrainSettings() as s:
                from understudy.core.train import loop

                yield from loop.run(s, colour=self._colour, weights=self._site.weights(), control=control)
            case Merge() as s:
                yield from self._merge(s)
            case Verify() as s:
                from understudy.core import verify

                yield from verify.run(s.output.template, s.output.frames, colour=self._colour, plate=s.plate)
            case Pull() as s:
                yield from self._site.weights().pull(s.names)
            case CheckPlate() as s:
                from understudy.core.plate import check

                yield from check.run(s.plate)
            case Torture() as s:
                from understudy.core.plate import torture

                yield from torture.run(s.folder)
            case PlotHistory() as s:
                yield from _plot(s)
            case ReviewSettings() as s:
                yield from review.run(s, colour=self._colour)
            case EnhancerTrainSettings() as s:
                from understudy.core.enhancer import loop as enhancing

                yield from enhancing.run(s, colour=self._colour)
            case s:
                kind = asked.WhichOneof("kind") or ""
                rooms = dict.fromkeys(_SEGMENT, self._segment) | dict.fromkeys(_MODEL, self._model)
                yield from rooms.get(kind, self._faceset)(kind, s)

    def previewer(self) -> Previewer:
        """What shows single frames."""
        from understudy.core.merge.preview import Previewer

        return Previewer(self._colour, self._site.weights(), self._kept)

    def _faceset(self, kind: str, settings: Any) -> Iterator[Report]:
        """What is done with facesets, by the kind of the spec."""
        match kind:
            case "measure_faceset":
                from understudy.core.faceset import measures

                yield from measures.run(settings, store=self._site.weights(), colour=self._colour)
            case "faceset_sheet":
                from understudy.core.faceset import sheet

                yield from sheet.run(settings, colour=self._colour)
            case "faceset_coverage":
                from understudy.core.faceset import coverage

                yield from coverage.run(settings)
            case "pack_faceset" | "unpack_faceset":
                from understudy.core.faceset import pack

                yield from (pack.pack if kind == "pack_faceset" else pack.unpack)(settings)
            case "resize_faceset":
                from understudy.core.faceset import resize

                yield from resize.run(settings, store=self._site.weights())
            case "import_faceset":
                from understudy.core.faceset import dfl

                yield from dfl.import_(settings, colour=self._colour)
            case "export_faceset":
                from understudy.core.faceset import dfl

                yield from dfl.export(settings, colour=self._colour)
            case "join_facesets":
                from understudy.core.faceset import join

                yield from join.run(settings)
            case _:
                raise AssertionError(f"no task for {kind}")

    def _segment(self, kind: str, settings: Any) -> Iterator[Report]:
        """What is done with labels, segmenters and mattes, by the kind of the spec."""
        match kind:
            case "label_faces":
                from understudy.core.segment import label

                yield from label.run(settings)
            case "train_segmenter":
                from understudy.core.segment import loop

                yield from loop.run(settings, colour=self._colour)
            case "apply_segmenter":
                from understudy.core.segment import apply

                yield from apply.run(settings, kept=self._kept)
            case "preview_segmentation":
                from understudy.core.segment import preview

                yield from preview.run(settings, colour=self._colour)
            case _:
                raise AssertionError(f"no task for {kind}")

    def _model(self, kind: str, settings: Any) -> Iterator[Report]:
        """What is done with models beside training, by the kind of the spec."""
        match kind:
            case "export_model":
                from understudy.core.model.exchange import job

                yield from job.export(settings, colour=self._colour)
            case "import_model":
                from understudy.core.model.exchange import job

                yield from job.import_(settings)
            case "combine_models":
                from understudy.core.model import combine

                yield from combine.combine(settings)
            case "restore_model":
                from understudy.core.model import backups

                yield from backups.restore(settings)
            case _:
                raise AssertionError(f"no task for {kind}")

    def _merge(self, work: Merge) -> Iterator[Report]:
        """The merge, and a contact sheet of each person where a frame was made or there is none yet."""
        from understudy.core.merge import shot
        from understudy.core.merge.manifest import folder_of

        first = folder_of(work.core.out) / CONTACT_SHEET
        made = there = False
        weights = self._site.weights()
        running = shot.run(work.core, colour=self._colour, store=weights, kept=self._kept)
        with closing(running) as reports:
            for report in reports:
                if isinstance(report, FrameReport):
                    made |= report.status is FrameStatus.DONE
                    there |= report.status in (FrameStatus.DONE, FrameStatus.SKIPPED, FrameStatus.NO_FACE)
                yield report
        for index, person in enumerate(work.core.people if work.contact_sheet else ()):
            name = person.name if index else ""
            sheet = first.with_stem(f"{first.stem}_{name}") if name else first
            if made or (there and not sheet.exists()):
                yield self._contact_sheet(work, person, name, sheet)

    def _contact_sheet(self, work: Merge, person: Person, name: str, path: Path) -> Report:
        """The sheet of a person; it shows what others left among the frames too, and what is wrong with that fails
        no merge whose frames are made.
        """
        from understudy.core.model import store as models

        src = Path(models.read_state(person.model).src_folder)
        try:
            contact.sheet(
                work.core.out,
                path,
                colour=self._colour,
                plate=work.core.plate.template,  # a header might name one outside the roots
                src=src if src.is_dir() else None,
                person=name,
                title=f"{Path(work.core.out.hashes).name} {person.name}".rstrip(),
            )
        except (FrameMissing, FrameUnreadable, InvalidInput, NotFound) as error:
            return Warned(
                reason="NO_CONTACT_SHEET", message=f"the contact sheet was not made: {error.message}"
            )
        return Artifact(kind="contact_sheet", path=path)


def _ingest(work: Ingest, colour: ColourConfig) -> Iterator[Report]:
    from understudy.core.plate.ingest import ingest

    yield from ingest(
        work.video,
        work.template,
        first=work.first,
        frames=work.frames,
        colour_space=work.colour_space,
        colour=colour,
    )


def _plot(work: PlotHistory) -> Iterator[Report]:
    """A picture of a model's losses, with its phases, changes and resumptions; a segmenter's has none of these."""
    from understudy.core.model import store as models
    from understudy.core.train import plots

    yield Started(total=1, unit="step")
    try:
        state = models.read_state(work.model)
    except (ModelInvalid, NotFound):
        state = models.State()
    marks = plots.marks((*state.changes, *state.begun), state.resumed)
    plots.write(work.model, work.out, marks=marks)
    yield Advanced(done=1)
    yield Artifact(kind="history", path=work.out)
