"""One run of a job, as its worker tells it."""

from __future__ import annotations

import logging
import time

from understudy.core.reports import TrainReport
from understudy.daemon import decode, encode, updates
from understudy.daemon.meter import Meter
from understudy.daemon.metrics import Metrics
from understudy.daemon.process import WorkerProcess
from understudy.daemon.store import Store
from understudy.daemon.worker import Done, Ended, FromWorker, Logged, Reported, Stopping, Told
from understudy.v1 import job_pb2

REACTION_SECONDS = 30.0  # within which a worker must see a Stop; it may be between two frames
CLOSING_SECONDS = 300.0  # and then end: a checkpoint of a large model on slow storage takes its time


class Attempt:
    """One run of a job: what came from the worker and is not in the store yet, and how it ended."""

    def __init__(self, job: str, kind: str, metrics: Metrics) -> None:
        self.job, self.kind = job, kind
        self._metrics = metrics
        self.meter = Meter()
        self.pending: list[job_pb2.JobEvent] = []
        self.told: dict[int, job_pb2.TrainingUpdate] = {}  # that the worker has not done
        self.done: list[int] = []  # that the store does not know to be done
        self.ended: Ended | None = None
        self.death = ""  # how the worker died, where it did
        self.saved = 0  # iterations that are on the disk, where it is a training
        self.asked: float | None = None  # when it was told to stop
        self.room_for = ""  # the job that it makes room for, where that is why
        self.patience = REACTION_SECONDS

    def take(self, message: FromWorker) -> None:
        """Sort a message in."""
        match message:
            case Reported(report):
                self.meter.take(report)
                if isinstance(report, TrainReport) and report.checkpoint:
                    self.saved = report.iteration
                self._metrics.reported(self.kind, report)
                self.pending.extend(encode.events(report))
            case Logged(name, level, text):
                logging.getLogger(name).log(level, "job=%s %s", self.job, text)
            case Stopping():
                self.patience = CLOSING_SECONDS
            case Done(number):
                self.pending.append(job_pb2.JobEvent(training_update=self.told.pop(number)))
                self.done.append(number)
            case Ended():
                self.ended = message
                self._metrics.loaded(message.hits, message.misses)

    def flush(self, store: Store, *, last: bool = False) -> None:
        """Write what is pending; the caller clears it once it is committed."""
        if self.meter.due() or (last and self.meter.dirty):
            self.pending.append(self.meter.tell())
        if self.pending:
            with store.transaction():
                store.record(self.job, self.pending)
                updates.forget(store, self.done)

    def tell(self, store: Store, worker: WorkerProcess) -> None:
        """Pass on what the training was told, a few orders at a time, so that neither end of the pipe ever waits."""
        if self.told:
            return
        for number, update in updates.waiting(store, self.job, updates.AT_ONCE).items():
            worker.send(Told(number, decode.commands(update)))
            self.told[number] = update

    @property
    def overdue(self) -> bool:
        return self.asked is not None and time.monotonic() - self.asked > self.patience
