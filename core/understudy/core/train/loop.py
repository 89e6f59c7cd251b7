"""Training as a generator of reports: facesets in, a model folder out, resumable at any instant."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import replace
from datetime import date

from torch import Tensor

from understudy.core import release
from understudy.core.colour import ColourConfig, SwapCurve
from understudy.core.errors import InvalidInput
from understudy.core.faceset import Faceset, attach_release
from understudy.core.model import store
from understudy.core.model.device import pick
from understudy.core.model.presets import preset
from understudy.core.release import Release
from understudy.core.reports import Artifact, Report, Warned
from understudy.core.train import clockwork, preview
from understudy.core.train.data import Crops, prepare
from understudy.core.train.plan import plan
from understudy.core.train.settings import TrainSettings
from understudy.core.train.trainer import Trainer


def run(settings: TrainSettings, *, colour: ColourConfig) -> Iterator[Report]:
    """Train a model until it has its target, counted over all sessions; one that has returns at once.

    Yields `Started`, a `TrainReport` every second or so (also while facesets are made ready), an `Artifact` for
    each preview and at the end for the model. Closing the generator writes a checkpoint first. Killed, the model
    stays as its last checkpoint has it and goes on from there, with the samples it would have had.

    Raises:
        InvalidInput: the model there has another configuration; two people's faceset in several colour spaces.
        NoFace: a faceset is empty.
        NotFound: a faceset is not there.
        FrameUnreadable: a pack is broken, or more than a tenth of a faceset's faces cannot be read.
        TrackAmbiguous: a faceset holds several people and no track was chosen.
        ReleaseMissing, ReleaseInvalid: src has no release that holds today.
        ModelInvalid: a file of the model is broken, or training keeps running off to infinity.
        WriteFailed, DiskFull: a checkpoint could not be written; the one before still holds.
    """
    if settings.release is not None:
        attach_release(settings.src, settings.release)
    src = Faceset.open(settings.src).select(settings.src_track)
    dst = Faceset.open(settings.dst).select(settings.dst_track)
    granted = src.release()
    release.check(granted, date.today(), f"train {settings.model.name} on {settings.src}")
    store.create(settings.model, preset(settings.preset))
    state = store.read_state(settings.model) if store.exists(settings.model) else store.State()
    yield clockwork.started(settings, state)
    if clockwork.progress(settings, state) >= 1:
        yield clockwork.standing(state)
        yield Artifact(kind="model", path=settings.model)
        return
    session = _Session(settings, colour, state)
    yield from session.prepare(src, dst, granted)
    yield from session.train()


class _Session(clockwork.Session[store.State]):
    trainer: Trainer

    def __init__(self, settings: TrainSettings, colour: ColourConfig, state: store.State) -> None:
        super().__init__(settings.model, settings, state)
        self.settings, self.colour = settings, colour
        self.config = preset(settings.preset)
        self.curve = SwapCurve.from_dict({"gain": 1.0, **state.curve})

    def prepare(self, src: Faceset, dst: Faceset, granted: Release | None) -> Iterator[Report]:
        """Everything up to the first iteration."""
        device = pick(self.settings.device)
        for message in (*src.warnings, *src.broken, *dst.warnings, *dst.broken):
            yield Warned(reason="FACESET", message=message)
        bfloat16, (self.src, self.dst) = yield from self.prepared(device, self._crops(src, dst))
        self._note(src, dst, granted)
        chosen = plan(self.settings.preset)
        if self.settings.batch_size is not None:
            chosen = replace(chosen, batch_size=self.settings.batch_size)
        self.trainer = Trainer(self.config, chosen, device, seed=self.settings.seed, bfloat16=bfloat16)
        if store.exists(self.settings.model):
            self.go_back()
        else:
            self.save()

    def step(self, done: float) -> dict[str, Tensor]:
        return self.trainer.step(self.src, self.dst, self.state.iteration, done)

    def write(self) -> store.State:
        return store.save(self.folder, self.state, self.trainer.weights(), self.trainer.moments())

    def go_back(self) -> None:
        self.trainer.restore(store.load(self.folder)[1], store.load_optimizer(self.folder))

    def kept(self) -> None:
        if self.due("backup", self.settings.backup_seconds):
            store.back_up(self.folder)

    def preview(self) -> Artifact:
        rows = self.trainer.look(*(c.gather(preview.choose(len(c))) for c in (self.src, self.dst)))
        path = self.folder / "previews" / f"{self.state.iteration:08d}.png"
        preview.write(path, rows, self.curve, self.colour)
        return Artifact(kind="preview", path=path)

    def _crops(self, src: Faceset, dst: Faceset) -> Generator[Report | None, None, tuple[Crops, Crops]]:
        found: list[Crops] = []
        for side, faceset in (("src", src), ("dst", dst)):
            for crops in prepare(faceset, self.folder / "cache", side, self.config, self.curve):
                if isinstance(crops, Crops):
                    found.append(crops)
                else:
                    yield crops
        return found[0], found[1]

    def _note(self, src: Faceset, dst: Faceset, granted: Release | None) -> None:
        """Write into the state what this session trains on; refuse what the model can not mean."""
        space = src.records[0].colour
        for name, found in (("src", space), ("dst", dst.records[0].colour)):
            wanted = self.state.working_space or space
            if found != wanted:
                raise InvalidInput(
                    f"train: the faces of {name} are in {found!r}, but the model works in {wanted!r}; "
                    "extract them again with the model's colour config",
                    field=name,
                    value=found,
                )
        records = {r.id: r for r in (*self.state.releases, granted) if r is not None}  # the newest of an id
        self.state = replace(
            self.state,
            src=src.digest(),
            dst=dst.digest(),
            src_folder=str(self.settings.src),
            releases=tuple(records.values()),
            curve={"knee": self.curve.knee, "maximum": self.curve.maximum},
            working_space=space,
            colour=src.records[0].config,
            versions=clockwork.versions(),
        )
