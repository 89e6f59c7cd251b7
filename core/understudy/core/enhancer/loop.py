"""Training of an enhancer as a generator of reports: large faces in, a network out, resumable at any instant."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date

import torch
from torch import Tensor

from understudy.core import release
from understudy.core.colour import ColourConfig, SwapCurve
from understudy.core.enhancer import store
from understudy.core.enhancer.config import DEFAULT, PRESETS, EnhancerConfig, preset
from understudy.core.enhancer.samples import Samples, prepare
from understudy.core.enhancer.settings import EnhancerTrainSettings
from understudy.core.enhancer.trainer import Trainer
from understudy.core.errors import InvalidInput
from understudy.core.faceset import Faceset
from understudy.core.model.device import pick
from understudy.core.release import Release
from understudy.core.reports import Artifact, Report, Warned
from understudy.core.train import clockwork, preview

_JUDGE_EVERY = 200  # iterations
_BATCH = 16  # samples per iteration


def run(settings: EnhancerTrainSettings, *, colour: ColourConfig) -> Iterator[Report]:
    """Train an enhancer until it has its target, counted over all sessions.

    Yields `Started`, a `TrainReport` every second or so (also while faces are made ready), whose `scores` have `psnr`
    and `plain`, that of cubic enlargement, on the faces held out where they were measured, `Warned`, and an `Artifact`
    for each preview and at the end for the enhancer. Closing the generator writes a checkpoint first. Killed, the
    enhancer stays as its last checkpoint has it and goes on from there, with the samples it would have had.

    Raises:
        InvalidInput: the enhancer there has another configuration; facesets in several colour spaces, or in another
            one than the enhancer's.
        NoFace: no face is large enough.
        NotFound: a faceset is not there.
        ReleaseMissing, ReleaseInvalid: a faceset has no release that holds today.
        FrameUnreadable: a pack is broken, or more than a tenth of the faces cannot be read.
        ModelInvalid: a file of the enhancer is broken, or training keeps running off to infinity.
        WriteFailed, DiskFull: a checkpoint could not be written; the one before still holds.
    """
    facesets = [Faceset.open(path) for path in settings.facesets]
    releases = [granted(faceset) for faceset in facesets]
    name, config = _chosen(settings)
    store.create(settings.enhancer, config)
    there = store.exists(settings.enhancer)
    state = store.read_state(settings.enhancer) if there else store.State()
    yield clockwork.started(settings, state)
    if clockwork.progress(settings, state) >= 1:
        yield clockwork.standing(state)
        yield Artifact(kind=_Session.kind, path=settings.enhancer)
        return
    session = _Session(settings, colour, state, name, config)
    yield from session.prepare(facesets, releases)
    yield from session.train()


def granted(faceset: Faceset) -> Release:
    """A faceset's release, which holds today; raises ReleaseMissing or ReleaseInvalid."""
    record = faceset.release()
    release.check(record, date.today(), f"train an enhancer on {faceset.path}")
    assert record is not None, "the check refuses none"
    return record


def _chosen(settings: EnhancerTrainSettings) -> tuple[str, EnhancerConfig]:
    """The preset's name, and the configuration."""
    if settings.preset or not store.exists(settings.enhancer):
        name = settings.preset or DEFAULT
        return name, preset(name)
    config = store.read_config(settings.enhancer)
    return next((name for name, other in PRESETS.items() if other == config), ""), config


class _Session(clockwork.Session[store.State]):
    trainer: Trainer
    kind = "enhancer"
    advice = "begin anew in another folder"

    def __init__(
        self,
        settings: EnhancerTrainSettings,
        colour: ColourConfig,
        state: store.State,
        name: str,
        config: EnhancerConfig,
    ) -> None:
        super().__init__(settings.enhancer, settings, state)
        self.settings, self.colour, self.name, self.config = settings, colour, name, config
        self.curve = SwapCurve.from_dict({"gain": 1.0, **state.curve})

    def prepare(self, facesets: Sequence[Faceset], releases: Sequence[Release]) -> Iterator[Report]:
        """Everything up to the first iteration."""
        for faceset in facesets:
            for message in (*faceset.warnings, *faceset.broken):
                yield Warned(reason="FACESET", message=message)
        device = pick(self.settings.device)
        self._note(facesets, releases)
        work = prepare(facesets, self.folder / "cache", self.settings.resolution, self.curve)
        bfloat16, self.samples = yield from self.prepared(device, clockwork.last(work, Samples))
        self.state = replace(self.state, resolution=self.samples.resolution)
        self.trainer = Trainer(
            self.config,
            device,
            batch_size=self.settings.batch_size or _BATCH,
            seed=self.settings.seed,
            bfloat16=bfloat16,
        )
        if store.exists(self.folder):
            self.go_back()
        else:
            self.save()

    def step(self, done: float) -> dict[str, Tensor]:
        loss = self.trainer.step(self.samples, self.state.iteration, done)
        if (self.state.iteration + 1) % _JUDGE_EVERY == 0:
            self._judge()
        return {"detail": loss}

    def write(self) -> store.State:
        return store.save(self.folder, self.state, self.trainer.weights(), self.trainer.moments())

    def go_back(self) -> None:
        self.trainer.restore(store.load(self.folder)[1], store.load_optimizer(self.folder))

    def finish(self) -> None:
        if self.state.iteration % _JUDGE_EVERY:
            self._judge()

    def preview(self) -> Artifact:
        rows = self.samples.held if len(self.samples.held) else self.samples.learnt
        shown = list(self.trainer.look(self.samples, rows[: preview.COLUMNS // 2]))
        pictures = [torch.cat(parts) for parts in zip(*shown, strict=True)]
        path = self.folder / "previews" / f"{self.state.iteration:08d}.png"
        preview.write(path, pictures, self.curve, self.colour, mattes=0)
        return Artifact(kind="preview", path=path)

    def _judge(self) -> None:
        if len(self.samples.held):
            ours, plain = self.trainer.judge(self.samples)
            self.score(psnr=ours, plain=plain)
            self.state = replace(self.state, psnr=ours, plain=plain)

    def _note(self, facesets: Sequence[Faceset], releases: Sequence[Release]) -> None:
        """Write into the state what this session trains on; refuse what the enhancer can not mean."""
        for faceset in facesets:
            spaces = faceset.columns.texts["colour"].used()
            if self.state.working_space and spaces and spaces[0] != self.state.working_space:
                raise InvalidInput(
                    f"enhance train: the faces of {faceset.path} are in {spaces[0]!r}, but the enhancer works in "
                    f"{self.state.working_space!r}; extract them again with its colour config",
                    field="facesets",
                    value=spaces[0],
                )
        used = [faceset for faceset in facesets if len(faceset.columns)]
        records = {record.id: record for record in (*self.state.releases, *releases)}  # the newest of an id
        self.state = replace(
            self.state,
            preset=self.name,
            releases=tuple(records.values()),
            facesets={str(faceset.path): faceset.digest() for faceset in facesets},
            curve={"knee": self.curve.knee, "maximum": self.curve.maximum},
            working_space=used[0].records[0].colour if used else "",
            colour=used[0].records[0].config if used else "",
            versions=clockwork.versions(),
        )
