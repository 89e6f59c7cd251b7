"""Gives queued jobs to the one worker, keeps what it reports, and decides what each end means."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from understudy.core.errors import WriteFailed
from understudy.daemon import decode, encode, errors, updates
from understudy.daemon.meter import Meter
from understudy.daemon.metrics import Metrics
from understudy.daemon.previews import Previews
from understudy.daemon.process import Gone, WorkerProcess
from understudy.daemon.site import Site
from understudy.daemon.states import State
from understudy.daemon.store import Store
from understudy.daemon.worker import (
    Done,
    Ended,
    FromWorker,
    Logged,
    Reported,
    Run,
    Setup,
    Stop,
    Stopping,
    Told,
)
from understudy.v1 import job_pb2

TICK_SECONDS = 0.1  # how long a cancel may wait to be seen, and how often reports are committed
IDLE_SECONDS = 600.0  # a worker without work leaves after this long and frees its device
REACTION_SECONDS = 30.0  # within which a worker must see a Stop; it may be between two frames
CLOSING_SECONDS = 300.0  # and then end: a checkpoint of a large model on slow storage takes its time
RETRY_SECONDS = 2.0  # before the store is tried again when the disk was full
DEATHS = 3  # of workers under one job, until it has failed
log = logging.getLogger(__name__)


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
        self.asked: float | None = None  # when it was told to stop
        self.patience = REACTION_SECONDS

    def take(self, message: FromWorker) -> None:
        """Sort a message in."""
        match message:
            case Reported(report):
                self.meter.take(report)
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


class Scheduler:
    """A thread that runs jobs until it is stopped.

    Args:
        folder: the state folder; holds the lock of its one worker.
        on_fault: called when the thread ends by a fault of ours: a daemon that runs no jobs must not live on.
    """

    def __init__(
        self,
        store: Store,
        site: Site,
        folder: Path,
        on_fault: Callable[[], None],
        *,
        metrics: Metrics,
        verbose: bool = False,
    ) -> None:
        self._store = store
        self._on_fault = on_fault
        self._metrics = metrics
        self._until = float("inf")  # when a worker that has not stopped is killed
        self._setup = Setup(site, folder / "worker.lock", verbose)
        self._stopping = threading.Event()
        self.previews = Previews(store.nudge)
        self._worker: WorkerProcess | None = None
        self._thread = threading.Thread(target=self._main, name="scheduler")

    def start(self) -> None:
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether jobs are run."""
        return self._thread.is_alive()

    def stop(self, seconds: float) -> None:
        """Close the running job, which is queued again, and end the worker, with a kill where it takes longer."""
        self._until = time.monotonic() + seconds
        self._stopping.set()
        self._store.nudge()
        self._thread.join()

    @property
    def worker_pid(self) -> int | None:
        return self._worker.pid if self._worker else None

    def _main(self) -> None:
        try:
            self._loop()
        finally:
            self._dismiss()
            self.previews.close()
            if not self._stopping.is_set():
                self._on_fault()

    def _loop(self) -> None:
        idle_since, lost = time.monotonic(), False
        while not self._stopping.is_set():
            seen = self._store.version
            try:
                if lost:
                    self._store.recover()
                lost, job = False, self._next()
                if job is not None:
                    self._run(job)
                    idle_since = time.monotonic()
                    continue
                if self.previews.waiting:
                    self._preview()
                    idle_since = time.monotonic()
                    continue
            except WriteFailed as error:
                log.error("store unusable, will try again: %s", error.message)
                self._dismiss()  # its job may be under way; it goes on once the store can be read
                lost = True
                self._stopping.wait(RETRY_SECONDS)
                continue
            if self._worker and time.monotonic() - idle_since > IDLE_SECONDS:
                self._dismiss()
            if not self._stopping.is_set():
                self._store.wait(1.0, seen)

    def _next(self) -> str | None:
        """The next job that can run; on the way those fail that never will."""
        for job, needs in self._store.doomed():
            state = self._store.state(needs).name
            error = errors.DependencyFailed(f"job {needs}, which this one waited for, is {state}", job=needs)
            with self._store.transaction():
                if self._store.state(job) is State.QUEUED:  # nobody has cancelled it since
                    self._store.move(job, State.FAILED, errors.message(error))
            log.info("job=%s state=FAILED reason=DEPENDENCY_FAILED needs=%s", job, needs)
        return self._store.next_ready()

    def _run(self, job: str) -> None:
        if not self._claim(job):
            return
        spec = self._store.job(job).spec
        attempt = Attempt(job, spec.WhichOneof("kind") or "", self._metrics)
        try:
            worker = self._hire()
            worker.send(Run(job, spec.SerializeToString()))
            with self.previews.served_by(worker):
                while attempt.ended is None:
                    for message in worker.receive(TICK_SECONDS):
                        if not self.previews.take(message):
                            attempt.take(message)
                    if not self._keep(attempt):
                        return
                    self._steer(attempt, worker)
        except Gone as gone:
            attempt.death = str(gone)
        except OSError as error:  # no process could be started
            attempt.death = f"no worker could be started: {error}"
        if attempt.ended is None or attempt.ended.trace:
            self._dismiss()
        while not self._finish(attempt):
            if self._stopping.wait(RETRY_SECONDS):
                return  # the next start finds the job RUNNING and queues it

    def _preview(self) -> None:
        """Have a worker without a job show what is asked for, until there is a job."""
        try:
            self.previews.serve(
                self._hire(),
                wanted=lambda: self._stopping.is_set() or self._store.next_ready() is not None,
            )
        except Gone as gone:
            log.error("previews: %s", gone)
            self._metrics.died()
            self._dismiss()
        except OSError as error:  # no process could be started
            log.error("previews: no worker could be started: %s", error)
            self._stopping.wait(RETRY_SECONDS)

    def _claim(self, job: str) -> bool:
        """QUEUED → RUNNING, unless somebody has paused or cancelled it since."""
        with self._store.transaction():
            if self._store.state(job) is not State.QUEUED:
                return False
            self._store.move(job, State.RUNNING)
        log.info("job=%s state=RUNNING", job)
        return True

    def _keep(self, attempt: Attempt) -> bool:
        """Store what came. While that fails nothing more is read, so the worker waits and nothing is lost."""
        while True:
            try:
                attempt.flush(self._store)
                attempt.pending, attempt.done = [], []
                return True
            except WriteFailed as error:
                log.error("job=%s its worker waits: %s", attempt.job, error.message)
            if self._stopping.wait(RETRY_SECONDS):
                self._dismiss()
                return False

    def _steer(self, attempt: Attempt, worker: WorkerProcess) -> None:
        """Pass on that the job is to stop, once, and end a worker that does not; pass on what else it is told."""
        if attempt.asked is None and attempt.ended is None:
            cancelling = self._store.state(attempt.job) is State.CANCELLING
            if cancelling or self._stopping.is_set() or self._store.pausing(attempt.job):
                worker.send(Stop())
                attempt.asked = time.monotonic()
            else:
                attempt.tell(self._store, worker)
        elif attempt.asked is not None and (attempt.overdue or time.monotonic() > self._until):
            took = time.monotonic() - attempt.asked
            log.warning("job=%s worker=%d killed: no stop within %.0f s", attempt.job, worker.pid, took)
            worker.kill()

    def _finish(self, attempt: Attempt) -> bool:
        """Store the last events and the state that the end means; False where the store cannot be written."""
        try:
            with self._store.transaction():
                attempt.flush(self._store, last=True)
                to, error = self._verdict(attempt)
                if to.ended:
                    self._store.record(attempt.job, _late(updates.waiting(self._store, attempt.job)))
                self._store.move(attempt.job, to, error)
        except WriteFailed as error_:
            log.error("job=%s its end cannot be stored, will try again: %s", attempt.job, error_.message)
            return False
        self._metrics.moved(attempt.kind, to)
        if attempt.death:
            self._metrics.died()
        log.info("job=%s state=%s %s", attempt.job, to.name, f"reason={error.reason}" if error else "")
        if attempt.ended and attempt.ended.trace:
            log.error("job=%s\n%s", attempt.job, attempt.ended.trace)
        return True

    def _verdict(self, attempt: Attempt) -> tuple[State, job_pb2.Error | None]:
        """Where the job goes, and why."""
        job, ended = attempt.job, attempt.ended
        error = job_pb2.Error.FromString(ended.error) if ended and ended.error else None
        if self._store.state(job) is State.CANCELLING:
            return State.CANCELLED, error
        on_hold = State.PAUSED if self._store.pausing(job) else State.QUEUED
        if ended is None and attempt.asked is None:
            deaths = self._store.count_death(job)
            died = errors.WorkerDied(f"{attempt.death} while job {job} ran ({deaths} of {DEATHS})", job=job)
            return (State.FAILED if deaths >= DEATHS else on_hold), errors.message(died)
        if ended is None or ended.stopped:  # stopped, or killed because it did not
            return on_hold, None
        if error:
            return State.FAILED, error
        return self._judge_frames(job)

    def _judge_frames(self, job: str) -> tuple[State, job_pb2.Error | None]:
        """Single frames may fail in a job that succeeds; where none was made it has failed."""
        good = [job_pb2.FRAME_STATE_DONE, job_pb2.FRAME_STATE_SKIPPED, job_pb2.FRAME_STATE_NO_FACE]
        made, _ = self._store.frames(job, good, None, 1)
        failed, _ = self._store.frames(job, [job_pb2.FRAME_STATE_FAILED], None, 1)
        if made or not failed:
            return State.SUCCEEDED, None
        first = failed[0]
        text = f"no frame came out well; frame {first.frame}: {first.error.message}"
        return State.FAILED, errors.message(errors.FramesFailed(text, job=job))

    def _hire(self) -> WorkerProcess:
        if self._worker is not None and not self._worker.alive:
            self._dismiss()
        if self._worker is None:
            self._worker = WorkerProcess(self._setup)
            self._metrics.hired()
        return self._worker

    def _dismiss(self) -> None:
        if self._worker is not None:
            self._worker.close()
            self._worker = None


def _late(left: Mapping[int, job_pb2.TrainingUpdate]) -> list[job_pb2.JobEvent]:
    """Warnings of a training that ended before it had done all that it was told."""
    texts = [f"the training ended before it could do this: {updates.told(each)}" for each in left.values()]
    return [job_pb2.JobEvent(warning=job_pb2.Error(reason="JOB_STATE", message=text)) for text in texts]
