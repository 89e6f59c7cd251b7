"""Training of a segmenter as a generator of reports: labels in, a network out, resumable at any instant."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from understudy.core import _plugins
from understudy.core.colour import ColourConfig, SwapCurve
from understudy.core.errors import InvalidInput, NotFound
from understudy.core.faceset import Faceset
from understudy.core.model.device import pick
from understudy.core.reports import Artifact, Report, Warned
from understudy.core.segment import holdout, samples, store
from understudy.core.segment.config import DEFAULT, PRESETS, SegmenterConfig, preset
from understudy.core.segment.plan import plan
from understudy.core.segment.samples import Samples, prepare
from understudy.core.segment.settings import SegmentTrainSettings
from understudy.core.segment.trainer import Trainer
from understudy.core.train import clockwork, preview

PATIENCE = 150, 0.3  # iterations, and share of those so far, that the score may stay where it is: the greater
GAIN = 0.002, 0.02  # what counts as better: of the IoU; of the loss, as a share of it
_DISAGREES = 0.6, 0.85  # IoU of a label with the matte, where the median label's is above
_NAMED = 10  # of the labels that disagree
_JUDGED = 100  # of the labels: thousands would be minutes in which nobody hears of us


def run(settings: SegmentTrainSettings, *, colour: ColourConfig) -> Iterator[Report]:
    """Train a segmenter until it has its target, counted over all sessions, or has converged.

    Yields `Started`, a `TrainReport` every second or so (also while faces are made ready), whose `scores` have the
    `iou` on the held-out labels where it was measured, `Warned`, and an `Artifact` for each preview and at the end for
    the segmenter. Closing the generator writes a checkpoint first. Killed, the segmenter stays as its last checkpoint
    has it and goes on from there, with the samples it would have had.

    Raises:
        InvalidInput: the segmenter there, or the one to start from, has another configuration; facesets in several
            colour spaces, or in another one than the segmenter's.
        NoFace: no face has a label.
        NotFound: a faceset or what to start from is not there.
        FrameUnreadable: a pack is broken, or more than a tenth of the faces cannot be read.
        WeightsCorrupt: the published weights to start from are of another network.
        ModelInvalid: a file of the segmenter is broken, or training keeps running off to infinity.
        WriteFailed, DiskFull: a checkpoint could not be written; the one before still holds.
    """
    facesets = [Faceset.open(path) for path in settings.facesets]
    there = store.exists(settings.segmenter)
    name, config = _chosen(settings)
    start = None if there or settings.start_from is None else _start(settings.start_from, config)
    store.create(settings.segmenter, config)
    state = store.read_state(settings.segmenter) if there else store.State()
    yield clockwork.started(settings, state)
    yield from _unheeded(settings, state, there=there)
    if clockwork.progress(settings, state) >= 1:
        yield from _unlearnt(settings, facesets, state, config)
        yield clockwork.standing(state)
    else:
        session = _Session(settings, colour, state, name, config)
        if (yield from session.prepare(facesets, start)):
            yield from session.train()
            return
        yield clockwork.standing(state)
    yield Artifact(kind=_Session.kind, path=settings.segmenter)


def _chosen(settings: SegmentTrainSettings) -> tuple[str, SegmenterConfig]:
    """The preset's name, and the configuration."""
    if settings.preset:
        return settings.preset, preset(settings.preset)
    if not store.exists(settings.segmenter):
        return DEFAULT, preset(DEFAULT)
    config = store.read_config(settings.segmenter)
    same = [name for name, other in PRESETS.items() if other == config]
    return store.read_state(settings.segmenter).preset or (same or [""])[0], config


def _unheeded(settings: SegmentTrainSettings, state: store.State, *, there: bool) -> Iterator[Warned]:
    """That a segmenter which is there does not begin with another's weights, unless it did: then it is the same
    command again. Of published weights, and of a segmenter that has gone, nobody knows.
    """
    given = settings.start_from
    if there and given and store.exists(given) and store.read_state(given).digest != state.start_from:
        yield Warned(
            reason="START_FROM",
            message=f"{settings.segmenter}: is there, and goes on with its own weights; only a new one starts from "
            f"{given}",
        )


def _unlearnt(
    settings: SegmentTrainSettings, facesets: Sequence[Faceset], state: store.State, config: SegmenterConfig
) -> Iterator[Warned]:
    """That what a segmenter which has reached its target would learn from is other than what it knows."""
    curve = SwapCurve.from_dict({"gain": 1.0, **state.curve})
    if samples.digest(facesets, config, curve, self_label=settings.self_label) != state.samples:
        yield Warned(
            reason="LABELS_NEW",
            message=f"{settings.segmenter}: the faces or their labels have changed since, but it has had its "
            f"{state.iteration} iterations, {state.seconds / 60:.0f} minutes: nothing of that is learnt; ask for more "
            "in all, or train until it has converged",
        )


def _start(path: Path, config: SegmenterConfig) -> tuple[store.State, dict[str, Tensor]]:
    """The state and the weights, perhaps a part of them, to begin with."""
    if path.is_file():
        weights: dict[str, Tensor] = _plugins.load("segmenter", config.network).published(path, config)
        return store.State(), weights
    if not path.is_dir():
        raise NotFound(f"{path}: there is nothing to start from", path=path, field="start_from", value=path)
    theirs = store.read_config(path).to_dict()
    for name, wanted in config.to_dict().items():
        if theirs[name] != wanted:
            raise InvalidInput(
                f"start_from: {path} has {name} {theirs[name]!r}, but the new segmenter {wanted!r}; take the same "
                "preset for both",
                path=path,
                field="start_from",
                value=path,
            )
    return store.load(path)


class _Session(clockwork.Session[store.State]):
    trainer: Trainer
    kind = "segmenter"
    advice = "look at the labels"

    def __init__(
        self,
        settings: SegmentTrainSettings,
        colour: ColourConfig,
        state: store.State,
        name: str,
        config: SegmenterConfig,
    ) -> None:
        super().__init__(settings.segmenter, settings, state)
        self.settings, self.colour, self.config = settings, colour, config
        self.plan = plan(name, self_label=settings.self_label)
        if settings.batch_size is not None:
            self.plan = replace(self.plan, batch_size=settings.batch_size)
        self.name = name

    def prepare(
        self, facesets: Sequence[Faceset], start: tuple[store.State, dict[str, Tensor]] | None
    ) -> Generator[Report, None, bool]:
        """Everything up to the first iteration; gives whether there is anything to do."""
        device = pick(self.settings.device)
        if start is not None:
            began = start[0]
            self.state = replace(
                self.state,
                start_from=began.digest,
                working_space=began.working_space,
                curve=began.curve,
                trained=began.trained,
                held_out=began.held_out,
            )
        self.curve = SwapCurve.from_dict({"gain": 1.0, **self.state.curve})
        for faceset in facesets:
            for message in (*faceset.warnings, *faceset.broken):
                yield Warned(reason="FACESET", message=message)
        own = self.settings.self_label
        work = prepare(facesets, self.folder / "cache", self.config, self.curve, self_label=own)
        bfloat16, self.samples = yield from self.prepared(device, clockwork.last(work, Samples))
        before = self.state.samples, self.state.judged
        self.held = holdout.choose(self.samples, self.state, all_labels=self.settings.all_labels)
        self._note(facesets)
        yield from self._remarks()
        same = before == (self.state.samples, self.state.judged)
        if self.settings.until_converged and self.state.converged and same:
            return False
        self.trainer = Trainer(self.config, self.plan, device, seed=self.settings.seed, bfloat16=bfloat16)
        if store.exists(self.folder):
            self.go_back()
        elif start is not None:
            self.trainer.begin(start[1])
        if not same:  # other labels, or other judges: what the weights were worth before says nothing
            self._forget()
        if not store.exists(self.folder):
            self.save()
        return True

    def step(self, done: float) -> dict[str, Tensor]:
        if self.settings.until_converged:  # the rate falls when there is little hope of more
            done = max(done, 2 * self._stale() - 1)
        loss = self.trainer.step(self.samples, self.held.groups, self.state.iteration, done)
        if (self.state.iteration + 1) % self.plan.judge_every == 0:
            self._judge(self.state.iteration + 1)
        return {"matte": loss}

    def write(self) -> store.State:
        return store.save(self.folder, self.state, self.trainer.weights(), self.trainer.moments())

    def go_back(self) -> None:
        self.trainer.restore(store.load(self.folder)[1], store.load_optimizer(self.folder))
        if not len(self.held.judges):
            self.trainer.best = None

    def progress(self) -> float:
        if self.settings.until_converged and self.state.converged:
            return 1.0
        return super().progress()

    def finish(self) -> None:
        if self.state.iteration % self.plan.judge_every:
            self._judge(self.state.iteration)

    def preview(self) -> Artifact:
        rows = holdout.shown(self.held, preview.COLUMNS)
        looks = list(self.trainer.look(self.samples, rows))
        seen, matte = (torch.cat(parts) for parts in zip(*looks, strict=True))
        face, label = seen[:, :3], seen[:, 3:]
        path = self.folder / "previews" / f"{self.state.iteration:08d}.png"
        grey = torch.full_like(face, 0.18)
        pictures = [face, torch.lerp(grey, face, matte), label.expand_as(face), matte.expand_as(face)]
        preview.write(path, pictures, self.curve, self.colour, mattes=2)
        return Artifact(kind="preview", path=path)

    def last_words(self) -> Iterator[Report]:
        """Labels that do not fit the others: what was learnt from all says something else."""
        rows = self.held.labelled
        self.trainer.settle()
        rows = rows[np.unique(np.linspace(0, len(rows) - 1, min(len(rows), _JUDGED)).astype(np.int64))]
        scores = np.array(self.trainer.judge(self.samples, rows))
        low, usual = _DISAGREES
        if len(rows) < 4 or np.median(scores) <= usual:
            return
        odd = [place for place in np.argsort(scores) if scores[place] < low]
        for place in odd[:_NAMED]:
            row = self.samples.rows[rows[place]]
            yield Warned(
                reason="LABEL_DISAGREES",
                message=f"{row.faceset}: the label of {row.name} has little in common with what was learnt from all "
                f"(IoU {scores[place]:.2f}, the median {np.median(scores):.2f}): is it drawn as the others are?",
            )
        if odd[_NAMED:]:
            more = f"{self.folder}: {len(odd)} labels in all have little in common with what was learnt"
            yield Warned(reason="LABEL_DISAGREES", message=more)

    def _note(self, facesets: Sequence[Faceset]) -> None:
        """Write into the state what this session trains on; refuse what the segmenter can not mean."""
        used = [faceset for faceset in facesets if len(faceset.columns)]
        space = used[0].records[0].colour
        if space != (self.state.working_space or space):
            raise InvalidInput(
                f"segment train: the faces of {used[0].path} are in {space!r}, but the segmenter works in "
                f"{self.state.working_space!r}; extract them again with its colour config",
                field="facesets",
                value=space,
            )
        self.state = replace(
            self.state,
            preset=self.name,
            trained=tuple(dict.fromkeys((*self.state.trained, *self.held.trained))),
            held_out=self.held.names,
            judged=len(self.held.judges),
            samples=self.samples.digest,
            facesets={str(faceset.path): faceset.digest() for faceset in facesets},
            self_labelled=len(self.samples.hulls),
            curve={"knee": self.curve.knee, "maximum": self.curve.maximum},
            working_space=space,
            colour=used[0].records[0].config,
            versions=clockwork.versions(),
        )

    def _remarks(self) -> Iterator[Warned]:
        """What a person should know about the labels before they wait."""
        labelled, hulls = len(self.samples.labelled), len(self.samples.hulls)
        if labelled and not len(self.held.judges) and not self.settings.all_labels:
            yield Warned(
                reason="LABELS_FEW",
                message=f"{self.folder}: {labelled} label{'s' * (labelled > 1)} to learn from, and none to judge the "
                "result by; label two faces more that look different",
            )
        if labelled and hulls:
            yield Warned(
                reason="SELF_LABELLED",
                message=f"{self.folder}: {hulls} faces without a label are taken for faces that nothing covers; where "
                "something does, label them, or train without labels of our own making",
            )

    def _forget(self) -> None:
        """Judge the weights to keep by the labels of now, and begin to wait for better ones anew."""
        self.state = replace(self.state, iou=None, converged=False, mark=None, beaten=self.state.iteration)
        self.trainer.best = None
        if len(self.held.judges):
            self._judge(self.state.iteration)

    def _judge(self, iteration: int) -> None:
        """Look at the held-out labels; keep the weights if none were better, and say for how long none were.

        As good counts as better: of few judges the last digit is chance, and longer training is not.
        """
        state, (of_iou, of_loss) = self.state, GAIN
        if len(self.held.judges):
            iou = float(np.mean(self.trainer.judge(self.samples, self.held.judges)))
            self.score(iou=iou)
            if state.mark is None or iou >= state.mark - of_iou:
                state = replace(state, iou=iou)
                self.trainer.keep()
            value, gain = iou, of_iou
        else:
            value, gain = -math.log(max(float(self.trainer.loss), 1e-9)), of_loss
        if state.mark is None or value > state.mark + gain:
            state = replace(state, mark=value, beaten=iteration)
        self.state = state
        self.state = replace(state, converged=self._stale(iteration) >= 1)

    def _stale(self, iteration: int | None = None) -> float:
        """For how much of the time that is allowed the score has not got better; 1 is converged."""
        now = self.state.iteration if iteration is None else iteration
        least, share = PATIENCE
        return (now - self.state.beaten) / max(least, share * now) if now >= 2 * least else 0.0
