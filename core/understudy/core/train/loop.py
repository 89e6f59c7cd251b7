"""Training as a generator of reports: facesets in, a model folder out, resumable at any instant."""

from __future__ import annotations

import math
import time
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date
from importlib.metadata import version

import torch
from torch import Tensor

from understudy.core import release
from understudy.core.colour import ColourConfig, SwapCurve
from understudy.core.errors import InvalidInput, ModelInvalid
from understudy.core.faceset import Faceset, attach_release
from understudy.core.model import store
from understudy.core.model.device import pick
from understudy.core.model.presets import preset
from understudy.core.release import Release
from understudy.core.reports import Artifact, Report, Started, TrainReport, Warned
from understudy.core.train import precision, preview
from understudy.core.train.data import Crops, prepare
from understudy.core.train.history import History
from understudy.core.train.plan import plan
from understudy.core.train.settings import TrainSettings
from understudy.core.train.threads import Threads
from understudy.core.train.trainer import Trainer

_REPORT_SECONDS = 1.0
_RETRIES = 3  # times that a training that ran off is taken back before it is given up


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
    yield Started(
        total=settings.target_iterations or 0,
        unit="iteration",
        seconds=settings.target_seconds or 0.0,
        skipped=state.iteration,
    )
    if _progress(settings, state) >= 1:
        yield TrainReport(
            iteration=state.iteration, seconds=state.seconds, losses={}, rate=0.0, checkpoint=True
        )
        yield Artifact(kind="model", path=settings.model)
        return
    session = _Session(settings, colour, state)
    yield from session.prepare(src, dst, granted)
    yield from session.train()


def _progress(settings: TrainSettings, state: store.State) -> float:
    """Share of the target that is done; 0 where there is none."""
    done = [0.0]
    if settings.target_iterations is not None:
        done.append(state.iteration / settings.target_iterations)
    if settings.target_seconds is not None:
        done.append(state.seconds / settings.target_seconds)
    return max(done)


class _Session:
    """One run of the loop. `state` runs ahead of the disk between checkpoints."""

    def __init__(self, settings: TrainSettings, colour: ColourConfig, state: store.State) -> None:
        self.settings, self.colour, self.state = settings, colour, state
        self.config = preset(settings.preset)
        self.curve = SwapCurve.from_dict({"gain": 1.0, **state.curve})
        self.saved = self._reported = state
        self.retries = 0
        self.threads = Threads(torch.get_num_threads())
        now = time.monotonic()
        self._resumed = now  # when the clock of training last began to run
        self._last = dict.fromkeys(("report", "save", "preview", "backup"), now)

    def prepare(self, src: Faceset, dst: Faceset, granted: Release | None) -> Iterator[Report]:
        """Everything up to the first iteration."""
        device = pick(self.settings.device)
        for message in (*src.warnings, *src.broken, *dst.warnings, *dst.broken):
            yield Warned(reason="FACESET", message=message)
        with ThreadPoolExecutor(1) as aside:  # the probe takes seconds; crops are cut meanwhile
            bfloat16 = aside.submit(precision.bfloat16, self.settings.precision, device)
            self.src = yield from self._crops("src", src)
            self.dst = yield from self._crops("dst", dst)
            while not bfloat16.done():
                time.sleep(0.05)
                yield from self._heartbeat()
        self._note(src, dst, granted)
        chosen = plan(self.settings.preset)
        if self.settings.batch_size is not None:
            chosen = replace(chosen, batch_size=self.settings.batch_size)
        self.trainer = Trainer(
            self.config, chosen, device, seed=self.settings.seed, bfloat16=bfloat16.result()
        )
        if store.exists(self.settings.model):
            self._go_back()
        else:
            self._save()

    def train(self) -> Iterator[Report]:
        """Iterate to the target; when closed, write a checkpoint and end."""
        with History(self.settings.model / "history", self.state.iteration) as history:
            try:
                for report in self._iterate():
                    if isinstance(report, TrainReport):
                        history.write(report)
                    yield report
                    self._resumed = time.monotonic()  # what the listener took is not training
            except GeneratorExit:
                if self.state != self.saved and self.trainer.sound():
                    self._save()
                raise
            finally:
                self.threads.close()

    def _iterate(self) -> Iterator[Report]:
        losses: list[dict[str, Tensor]] = []
        self._resumed = time.monotonic()
        while (progress := _progress(self.settings, self.state)) < 1:
            with self.threads.step():
                losses.append(self.trainer.step(self.src, self.dst, self.state.iteration, progress))
            self._tick(1)
            done = _progress(self.settings, self.state) >= 1
            if not (self._due("report", _REPORT_SECONDS) or done):
                continue
            means = {n: float(torch.stack([part[n] for part in losses]).mean()) for n in losses[0]}
            losses = []
            if not all(map(math.isfinite, means.values())):
                yield self._recover()
                continue
            if save := self._due("save", self.settings.save_seconds) or done:
                self._save()
            yield self._report(means, checkpoint=save)
            if self._due("backup", self.settings.backup_seconds):
                store.back_up(self.settings.model)
            if self._due("preview", self.settings.preview_seconds) or done:
                yield self._preview()
        yield Artifact(kind="model", path=self.settings.model)

    def _crops(self, side: str, faceset: Faceset) -> Generator[Report, None, Crops]:
        folder = self.settings.model / "cache"
        for crops in prepare(faceset, folder, side, self.config, self.curve):
            if isinstance(crops, Crops):
                return crops
            if crops is not None:
                yield crops
            yield from self._heartbeat()
        raise AssertionError("prepare ends with the crops")

    def _heartbeat(self) -> Iterator[Report]:
        if self._due("report", _REPORT_SECONDS):
            yield TrainReport(iteration=self.state.iteration, seconds=self.state.seconds, losses={}, rate=0.0)

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
            versions={"understudy": version("understudy"), "torch": torch.__version__},
        )

    def _tick(self, iterations: int = 0) -> None:
        now = time.monotonic()
        seconds = self.state.seconds + now - self._resumed
        self.state = replace(self.state, iteration=self.state.iteration + iterations, seconds=seconds)
        self._resumed = now

    def _due(self, what: str, seconds: float) -> bool:
        now = time.monotonic()
        if now - self._last[what] < seconds:
            return False
        self._last[what] = now
        return True

    def _report(self, losses: dict[str, float], *, checkpoint: bool) -> TrainReport:
        before, self._reported = self._reported, self.state
        iterations, seconds = (
            self.state.iteration - before.iteration,
            self.state.seconds - before.seconds,
        )
        return TrainReport(
            iteration=self.state.iteration,
            seconds=self.state.seconds,
            losses=losses,
            rate=iterations / seconds if seconds > 0 else 0.0,
            checkpoint=checkpoint,
        )

    def _save(self) -> None:
        self.state = store.save(
            self.settings.model, self.state, self.trainer.weights(), self.trainer.moments()
        )
        self.saved, self.retries = self.state, 0

    def _go_back(self) -> None:
        """To the last checkpoint's weights; what the session noted stays."""
        model = self.settings.model
        self.trainer.restore(store.load(model)[1], store.load_optimizer(model))

    def _recover(self) -> Warned:
        """The loss is no number: take the last checkpoint back and go on with other samples."""
        self.retries += 1
        lost = self.state.iteration - self.saved.iteration
        if self.retries > _RETRIES:
            raise ModelInvalid(
                f"{self.settings.model}: training ran off to infinity {self.retries} times in a row after iteration "
                f"{self.saved.iteration}; restore a backup, look at the facesets for broken faces, or use "
                "precision float32",
                path=self.settings.model,
                field="precision",
                value=self.settings.precision,
            )
        self._go_back()
        self.state = replace(self.saved, seconds=self.state.seconds)
        self.trainer.seed = self.settings.seed + self.retries
        return Warned(
            reason="DIVERGED",
            message=f"{self.settings.model}: the loss is no longer a number; went {lost} iterations back to "
            f"{self.saved.iteration} and on with other samples",
        )

    def _preview(self) -> Artifact:
        rows = self.trainer.look(*(c.gather(preview.choose(len(c))) for c in (self.src, self.dst)))
        path = self.settings.model / "previews" / f"{self.state.iteration:08d}.png"
        preview.write(path, rows, self.curve, self.colour)
        return Artifact(kind="preview", path=path)
