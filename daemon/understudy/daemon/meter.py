"""How far a job is, out of the reports that its worker sends: done, rate, time left."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from understudy.core.reports import Advanced, Artifact, FrameReport, FrameStatus, Report, Started, TrainReport
from understudy.core.weights import WeightsReport
from understudy.v1 import job_pb2

WINDOW_SECONDS = 20.0  # what "lately" means for the rate
INTERVAL_SECONDS = 0.25  # progress is told this often at most


class Meter:
    """Counts the reports of one attempt. `clock` gives seconds that only grow."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._progress = job_pb2.Progress(unit="frame")
        self._frames: set[int] = set()
        self._made: deque[tuple[float, float]] = deque()  # when, and how many units had been made by then
        self._skipped = 0
        self._limit = self._spent = 0.0  # of a training, seconds over the model's life
        self._told = float("-inf")
        self.dirty = False

    def take(self, report: Report | WeightsReport) -> None:
        """Count a report."""
        before = self._progress.SerializeToString()
        match report:
            case Started():
                self._progress = job_pb2.Progress(unit=report.unit, total=report.total, done=report.skipped)
                self._frames.clear()
                self._made.clear()
                self._skipped, self._limit = report.skipped, report.seconds
                self._mark(0)
            case FrameReport():
                self._take_frame(report)
            case Advanced(done=done):
                self._progress.done = done
                self._mark(max(0, done - self._skipped))
            case TrainReport():
                self._progress.done, self._spent = report.iteration, report.seconds
                self._progress.rate = report.rate
            case Artifact(kind=kind) if kind == self._progress.unit:
                self._progress.done += 1
                self._mark(self._progress.done)
            case WeightsReport():
                self._progress.unit = "byte"
                self._progress.done, self._progress.total = report.done, report.total
                self._mark(report.done)
            case _:
                return
        self._estimate()
        self.dirty |= self._progress.SerializeToString() != before

    def due(self) -> bool:
        """Whether progress should be told now: it changed, and was not told a moment ago."""
        return self.dirty and self._clock() - self._told >= INTERVAL_SECONDS

    def tell(self) -> job_pb2.JobEvent:
        """The progress as an event of its own."""
        self._told, self.dirty = self._clock(), False
        return job_pb2.JobEvent(progress=self._progress)

    def _take_frame(self, report: FrameReport) -> None:
        if report.frame in self._frames:
            return
        self._frames.add(report.frame)
        if report.status is not FrameStatus.SKIPPED:
            self._mark((self._made[-1][1] if self._made else 0) + 1)
        # Work counts the frames it skips in Started, or reports each of them, or both.
        made = int(self._made[-1][1]) if self._made else 0
        self._progress.done = max(len(self._frames), self._skipped + made)

    def _mark(self, made: float) -> None:
        now = self._clock()
        self._made.append((now, made))
        while now - self._made[0][0] > WINDOW_SECONDS and len(self._made) > 2:
            self._made.popleft()
        (t0, n0), (t1, n1) = self._made[0], self._made[-1]
        self._progress.rate = (n1 - n0) / (t1 - t0) if t1 > t0 else 0.0

    def _estimate(self) -> None:
        told = self._progress
        by_count = told.done / told.total if told.total else 0.0
        by_time = self._spent / self._limit if self._limit else 0.0
        told.fraction = min(1.0, max(by_count, by_time))
        left = []
        if told.total and told.rate > 0:
            left.append((told.total - told.done) / told.rate)
        if self._limit and self._spent:
            left.append(self._limit - self._spent)
        told.ClearField("remaining")
        if left:
            told.remaining.FromMilliseconds(round(max(0.0, min(left)) * 1000))
