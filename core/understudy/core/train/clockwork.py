"""What every training does around its iterations: count, report, keep, show; go back where the loss is no number."""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import torch
from torch import Tensor

from understudy.core import pages
from understudy.core.checkpoints import State
from understudy.core.errors import ModelInvalid
from understudy.core.reports import Artifact, Report, Started, TrainReport, Warned
from understudy.core.train import precision
from understudy.core.train.history import History
from understudy.core.train.settings import SessionSettings
from understudy.core.train.threads import Threads

_REPORT_SECONDS = 1.0
_RETRIES = 3  # times that a training that ran off is taken back before it is given up

S = TypeVar("S", bound=State)
Made = TypeVar("Made")


class Learner(Protocol):
    """A trainer, as far as the clockwork knows it."""

    seed: int

    def sound(self) -> bool:
        """Whether every weight is finite."""


def progress(settings: SessionSettings, state: State) -> float:
    """Share of the target that is done; 0 where there is none."""
    done = [0.0]
    if settings.target_iterations is not None:
        done.append(state.iteration / settings.target_iterations)
    if settings.target_seconds is not None:
        done.append(state.seconds / settings.target_seconds)
    return max(done)


def started(settings: SessionSettings, state: State) -> Started:
    """The first report of a training that begins at `state`."""
    return Started(
        total=settings.target_iterations or 0,
        unit="iteration",
        seconds=settings.target_seconds or 0.0,
        skipped=state.iteration,
    )


def standing(state: State) -> TrainReport:
    """The report of a training that has nothing to do."""
    return TrainReport(iteration=state.iteration, seconds=state.seconds, losses={}, rate=0.0, checkpoint=True)


def last(
    work: Generator[Report | Made | None, None, None], kind: type[Made]
) -> Generator[Report | None, None, Made]:
    """Pass on what `work` yields; gives the one of that kind, its last."""
    for made in work:
        if isinstance(made, kind):
            return made
        yield made  # type: ignore[misc]  # what is left is a report
    raise AssertionError(f"it ends with {kind.__name__}")


def versions() -> dict[str, str]:
    """Of the software that trains, for a state."""
    return {"understudy": version("understudy"), "torch": torch.__version__}


class Session(ABC, Generic[S]):
    """One run of a training loop. `state` runs ahead of the disk between checkpoints.

    Who inherits sets `trainer` before `train` is called.
    """

    trainer: Learner
    kind = "model"  # of the artifact at the end
    advice = "restore a backup"  # to who meets a training that keeps running off
    keeps = True  # what it frees, for the next iteration

    def __init__(self, folder: Path, settings: SessionSettings, state: S) -> None:
        self.folder, self.targets, self.state = folder, settings, state
        self.saved = self._known_good = self._reported = state
        self.retries = 0
        self.threads = Threads(torch.get_num_threads())
        now = time.monotonic()
        self._resumed = now  # when the clock of training last began to run
        self._last = dict.fromkeys(("report", "save", "preview", "backup"), now)
        self._scores: dict[str, float] = {}
        self.losses: dict[str, float] = {}  # of the last report that had some

    @abstractmethod
    def step(self, done: float) -> dict[str, Tensor]:
        """One iteration, at that share of the target; its losses by name, left on the device."""

    @abstractmethod
    def write(self) -> S:
        """Write a checkpoint of `state`; gives it with its digest."""

    @abstractmethod
    def go_back(self) -> None:
        """To the last checkpoint's weights; `state` is back there already, with what the session noted."""

    @abstractmethod
    def preview(self) -> Artifact:
        """Write a picture of where the training stands."""

    def previews(self) -> Iterator[Artifact]:
        """All pictures that are made at a time."""
        yield self.preview()

    def progress(self) -> float:
        """Share of the work that is done; the session ends at 1."""
        return progress(self.targets, self.state)

    def asked(self) -> Iterator[Report]:
        """Before each iteration: do what was asked for meanwhile, and say so."""
        yield from ()

    def ended(self) -> bool:
        """After each iteration: whether to end here, short of the target."""
        return False

    def finish(self) -> None:
        """After the last iteration, before its checkpoint."""

    def kept(self) -> None:
        """After each report whose losses are numbers."""

    def last_words(self) -> Iterator[Report]:
        """After the last checkpoint and preview."""
        yield from ()

    def prepared(
        self, device: torch.device, work: Generator[Report | None, None, Made]
    ) -> Generator[Report, None, tuple[bool, Made]]:
        """Do `work` while the probe for bfloat16, which takes seconds, runs aside; gives both results.

        What `work` yields is passed on; None is a moment to say that we live.
        """
        with ThreadPoolExecutor(1) as aside, closing(work):
            before = self.state.precision
            bfloat16 = aside.submit(precision.bfloat16, self.targets.precision, device, before)
            while True:
                try:
                    report = next(work)
                except StopIteration as end:
                    made: Made = end.value
                    break
                if report is not None:
                    yield report
                yield from self._heartbeat()
            while not bfloat16.done():
                time.sleep(0.05)
                yield from self._heartbeat()
        chosen = bfloat16.result()
        if self.targets.precision == "auto":
            self.state = replace(self.state, precision=precision.named(device, chosen))
        return chosen, made

    def train(self) -> Iterator[Report]:
        """Iterate to the target; when closed, write a checkpoint and end."""
        with pages.kept(self.keeps), History(self.folder / "history", self.state.iteration) as history:
            try:
                for report in self._iterate():
                    if isinstance(report, TrainReport):
                        history.write(report)
                    yield report
                    self._resumed = time.monotonic()  # what the listener took is not training
            except GeneratorExit:
                if self.state != self.saved and self.trainer.sound():
                    self.save()
                raise
            finally:
                self.threads.close()

    def save(self) -> None:
        self.state = self.write()
        self.saved = self._known_good = self.state
        self.retries = 0

    def due(self, what: str, seconds: float) -> bool:
        """Whether `what` was last due so long ago; it then is anew."""
        now = time.monotonic()
        if now - self._last[what] < seconds:
            return False
        self._last[what] = now
        return True

    def score(self, **scores: float) -> None:
        """Have something that was measured in the next report."""
        self._scores |= scores

    def _iterate(self) -> Iterator[Report]:
        losses: list[dict[str, Tensor]] = []
        self._known_good = self.state  # the weights are those on disk, but what is trained on was noted since
        self._resumed = time.monotonic()
        done = self.progress() >= 1
        while not done:
            yield from self.asked()
            with self.threads.step():
                losses.append(self.step(self.progress()))
            self._tick(1)
            if done := self.progress() >= 1 or self.ended():
                self.finish()
            if not (self.due("report", _REPORT_SECONDS) or done):
                continue
            means, losses = _means(losses), []
            save = self.due("save", self.targets.save_seconds) or done
            if not all(map(math.isfinite, means.values())) or (save and not self.trainer.sound()):
                yield self.recover()
                done = self.progress() >= 1
                continue
            self.losses = means
            if save:
                self.save()
            yield self.report(means, checkpoint=save)
            self.kept()
            if self.due("preview", self.targets.preview_seconds) or done:
                yield from self.previews()
        yield from self.last_words()
        yield Artifact(kind=self.kind, path=self.folder)

    def _heartbeat(self) -> Iterator[Report]:
        if self.due("report", _REPORT_SECONDS):
            yield TrainReport(iteration=self.state.iteration, seconds=self.state.seconds, losses={}, rate=0.0)

    def _tick(self, iterations: int = 0) -> None:
        now = time.monotonic()
        seconds = self.state.seconds + now - self._resumed
        changed: dict[str, Any] = {"iteration": self.state.iteration + iterations, "seconds": seconds}
        self.state = replace(self.state, **changed)
        self._resumed = now

    def report(self, losses: dict[str, float], *, checkpoint: bool) -> TrainReport:
        """Where the training stands, and how fast it went since the last."""
        before, self._reported = self._reported, self.state
        scores, self._scores = self._scores, {}
        iterations = self.state.iteration - before.iteration
        seconds = self.state.seconds - before.seconds
        return TrainReport(
            iteration=self.state.iteration,
            seconds=self.state.seconds,
            losses=losses,
            rate=iterations / seconds if seconds > 0 else 0.0,
            checkpoint=checkpoint,
            scores=scores,
        )

    def recover(self) -> Warned:
        """The loss or a weight is no number: take the last checkpoint back and go on with other samples."""
        self.retries += 1
        lost = self.state.iteration - self._known_good.iteration
        if self.retries > _RETRIES:
            raise ModelInvalid(
                f"{self.folder}: training ran off to infinity {self.retries} times in a row after iteration "
                f"{self._known_good.iteration}; {self.advice}, look at the facesets for broken faces, or use "
                "precision float32",
                path=self.folder,
                field="precision",
                value=self.targets.precision,
            )
        self.state = replace(self._known_good, seconds=self.state.seconds)
        self.go_back()
        self._scores = {}
        self.trainer.seed += 1
        return Warned(
            reason="DIVERGED",
            message=f"{self.folder}: the loss is no longer a number; went {lost} iterations back to "
            f"{self._known_good.iteration} and on with other samples",
        )


def _means(losses: list[dict[str, Tensor]]) -> dict[str, float]:
    """Of several iterations by name, each over those that have it: which there are may change on the way."""
    names = dict.fromkeys(name for each in losses for name in each)
    return {n: float(torch.stack([each[n] for each in losses if n in each]).mean()) for n in names}
