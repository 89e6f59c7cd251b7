"""A thread that runs job after job on a worker of its own, keeps what it reports, and decides what an end means."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue

from understudy.core.errors import WriteFailed
from understudy.daemon import errors, shares, slots, updates
from understudy.daemon.attempt import Attempt
from understudy.daemon.metrics import Metrics
from understudy.daemon.previews import Previews
from understudy.daemon.process import LEAVE_SECONDS, Gone, WorkerProcess
from understudy.daemon.slots import Slot
from understudy.daemon.states import State
from understudy.daemon.store import GOOD, Store
from understudy.daemon.worker import Run, Setup, Stop
from understudy.v1 import job_pb2

TICK_SECONDS = 0.1  # how long a cancel may wait to be seen, and how often reports are committed
IDLE_SECONDS = 600.0  # a worker without work leaves after this long and frees its device
RETRY_SECONDS = 2.0  # before the store is tried again when the disk was full
SERVED_SECONDS = 10.0  # how often what a job was served is counted
DEATHS = 3  # of workers under one job that has come no further in between, until it has failed
log = logging.getLogger(__name__)


class _Show:
    """To a lane that has nothing to do: previews wait."""


@dataclass(frozen=True)
class Task:
    """A job that is RUNNING now, and where.

    Attributes:
        place: the slots that it holds; the first one is the lane's own.
        before: set when the other slots' workers have left.
    """

    job: str
    place: tuple[Slot, ...]
    before: tuple[threading.Event, ...] = ()


class Halt:
    """What all lanes of a scheduler look at: whether to stop, and until when running work may take its time."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.until = float("inf")


class Lane:
    """The thread of a slot and its worker. Only `attempt` and `pid` may be looked at by other threads.

    Args:
        ended: called when the slots of a task are free again; says whether another daemon holds its output.
        on_fault: called when the thread ends by a fault of ours.
    """

    def __init__(
        self,
        store: Store,
        setup: Setup,
        lock: Path,
        *,
        previews: Previews,
        halt: Halt,
        metrics: Metrics,
        half_life: float,
        slot: Slot,
        ended: Callable[[Task, bool], None],
        on_fault: Callable[[], None],
    ) -> None:
        self._store, self._setup, self._lock = store, setup, lock
        self._slot, self._previews = slot, previews
        self._halt, self._metrics, self._half_life = halt, metrics, half_life
        self._ended, self._on_fault = ended, on_fault
        self._orders: SimpleQueue[Task | threading.Event | _Show | None] = SimpleQueue()
        self._worker: WorkerProcess | None = None
        self.attempt: Attempt | None = None
        self._settled = False  # whether the end of the task's job is in the store
        self._thread = threading.Thread(target=self._main, name=f"lane {slot.name}")
        self._thread.start()

    def run(self, task: Task) -> None:
        """Take a task; the lane must be free."""
        self._orders.put(task)

    def show(self) -> None:
        """Have the worker of a free lane make previews until there is a task."""
        self._orders.put(_Show())

    def vacate(self) -> threading.Event:
        """Let the worker of a free lane leave; the event is set when it has."""
        left = threading.Event()
        self._orders.put(left)
        return left

    def make_room(self, job: str) -> None:
        """Let what runs stop at its next report, for that job; it is queued again."""
        if (attempt := self.attempt) is not None:
            attempt.room_for = job

    def join(self) -> None:
        """Wait for the end, once the halt was asked for."""
        self._orders.put(None)
        self._thread.join()

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    @property
    def pid(self) -> int | None:
        """Of the worker, where there is one."""
        worker = self._worker
        return worker.pid if worker else None

    def _main(self) -> None:
        try:
            self._loop()
        finally:
            self._dismiss()
            if not self._halt.asked.is_set():
                self._on_fault()

    def _loop(self) -> None:
        while True:
            try:
                order = self._orders.get(timeout=IDLE_SECONDS)
            except Empty:
                self._dismiss()
                continue
            match order:
                case None:
                    return
                case threading.Event():
                    self._dismiss()
                    order.set()
                case _Show():
                    self._show()
                case Task():
                    locked = self._safely(order)
                    self.attempt = None
                    self._ended(order, locked)

    def _show(self) -> None:
        try:
            worker = self._hire((self._slot,))
            self._previews.serve(self._slot.name, worker, lambda: not self._orders.empty())
        except Gone as gone:
            log.error("previews: %s", gone)
            self._metrics.died()
            self._dismiss()
        except OSError as error:  # no process could be started
            log.error("previews: no worker could be started: %s", error)
            self._halt.asked.wait(RETRY_SECONDS)

    def _safely(self, task: Task) -> bool:
        """As `_run`; where the store fails, its job is put back once it can be written."""
        self._settled = False
        try:
            return self._run(task)
        except WriteFailed as error:
            log.error("job=%s the store is unusable, will try again: %s", task.job, error.message)
        self._dismiss()  # it may be at the job still
        while not self._settled and not self._halt.asked.wait(RETRY_SECONDS):
            try:
                self._store.put_back(task.job)
                break
            except WriteFailed as error:
                log.error("job=%s the store is unusable, will try again: %s", task.job, error.message)
        return False

    def _run(self, task: Task) -> bool:
        """From the start of an attempt to its end; gives whether another daemon holds its output."""
        stored = self._store.job(task.job)
        attempt = Attempt(task.job, stored.spec.WhichOneof("kind") or "", self._metrics)
        self.attempt = attempt
        log.info("job=%s state=RUNNING slot=%s", task.job, ",".join(slot.name for slot in task.place))
        counted = time.monotonic()
        try:
            for left in task.before:
                left.wait(2 * LEAVE_SECONDS)
            worker = self._hire(task.place)
            spec = slots.localised(stored.spec, task.place).SerializeToString()
            worker.send(Run(task.job, spec, stored.user))
            with self._previews.served_by(self._slot.name, worker, trains=_trained(stored.spec)):
                while attempt.ended is None:
                    for message in worker.receive(TICK_SECONDS):
                        if not self._previews.take(message):
                            attempt.take(message)
                    if not self._keep(attempt):
                        return False
                    if (now := time.monotonic()) - counted > SERVED_SECONDS:
                        self._count(stored.user, (now - counted) * len(task.place))
                        counted = now
                    self._steer(attempt, worker)
        except Gone as gone:
            attempt.death = str(gone)
        except OSError as error:  # no process could be started
            attempt.death = f"no worker could be started: {error}"
        if attempt.ended is None or attempt.ended.trace:
            self._dismiss()
        while (locked := self._finish(attempt)) is None:
            if self._halt.asked.wait(RETRY_SECONDS):
                return False  # the next start finds the job RUNNING and queues it
        self._settled = True  # from here on another lane may have the job
        self._count(stored.user, (time.monotonic() - counted) * len(task.place))
        return locked

    def _count(self, user: str, seconds: float) -> None:
        shares.add(self._store, user, seconds, time.time(), self._half_life)

    def _keep(self, attempt: Attempt) -> bool:
        """Store what came. While that fails nothing more is read, so the worker waits and nothing is lost."""
        while True:
            try:
                attempt.flush(self._store)
                attempt.pending, attempt.done = [], []
                return True
            except WriteFailed as error:
                log.error("job=%s its worker waits: %s", attempt.job, error.message)
            if self._halt.asked.wait(RETRY_SECONDS):
                self._dismiss()
                return False

    def _steer(self, attempt: Attempt, worker: WorkerProcess) -> None:
        """Pass on that the job is to stop, once, and end a worker that does not; pass on what else it is told."""
        if attempt.asked is None and attempt.ended is None:
            cancelling = self._store.state(attempt.job) is State.CANCELLING
            asked = cancelling or self._halt.asked.is_set() or attempt.room_for
            if asked or self._store.pausing(attempt.job):
                worker.send(Stop())
                attempt.asked = time.monotonic()
                log.info("job=%s worker=%d told to stop", attempt.job, worker.pid)
            else:
                attempt.tell(self._store, worker)
        elif attempt.asked is not None and (attempt.overdue or time.monotonic() > self._halt.until):
            took = time.monotonic() - attempt.asked
            log.warning("job=%s worker=%d killed: no stop within %.0f s", attempt.job, worker.pid, took)
            worker.kill()

    def _finish(self, attempt: Attempt) -> bool | None:
        """Store the last events and the state that the end means.

        Gives whether it is queued again because its output is locked; None where the store cannot be written.
        """
        job = attempt.job
        try:
            with self._store.transaction():
                attempt.flush(self._store, last=True)
                to, error = self._verdict(attempt)
                if to.ended:
                    self._store.record(job, _late(updates.waiting(self._store, job)))
                self._store.move(job, to, error)
                locked = (
                    to is State.QUEUED and error is not None and error.reason == errors.OutputLocked.reason
                )
                if locked and error is not None:
                    self._store.set_note(job, error.message)
        except WriteFailed as error_:
            log.error("job=%s its end cannot be stored, will try again: %s", job, error_.message)
            return None
        self._metrics.moved(attempt.kind, to)
        if attempt.death:
            self._metrics.died()
        log.info("job=%s state=%s %s", job, to.name, f"reason={error.reason}" if error else "")
        if attempt.ended and attempt.ended.trace:
            log.error("job=%s\n%s", job, attempt.ended.trace)
        return locked

    def _verdict(self, attempt: Attempt) -> tuple[State, job_pb2.Error | None]:
        """Where the job goes, and why."""
        job, ended = attempt.job, attempt.ended
        error = job_pb2.Error.FromString(ended.error) if ended and ended.error else None
        if self._store.state(job) is State.CANCELLING:
            return State.CANCELLED, error
        on_hold = State.PAUSED if self._store.pausing(job) else State.QUEUED
        if ended is None and attempt.asked is None:
            deaths = self._store.count_death(job, attempt.saved)
            text = f"{attempt.death} while job {job} ran ({deaths} of {DEATHS} in a row)"
            died = errors.WorkerDied(text, job=job)
            return (State.FAILED if deaths >= DEATHS else on_hold), errors.message(died)
        if ended is None or ended.stopped:  # stopped, or killed because it did not
            return on_hold, _preempted(attempt) if on_hold is State.QUEUED else None
        if error and error.reason == errors.OutputLocked.reason and not self._store.refuses_locked(job):
            return on_hold, error
        if error:
            return State.FAILED, error
        return self._judge_frames(job)

    def _judge_frames(self, job: str) -> tuple[State, job_pb2.Error | None]:
        """Single frames may fail in a job that succeeds; where none was made it has failed."""
        made, _ = self._store.frames(job, GOOD, None, 1)
        failed, _ = self._store.frames(job, [job_pb2.FRAME_STATE_FAILED], None, 1)
        if made or not failed:
            return State.SUCCEEDED, None
        first = failed[0]
        text = f"no frame came out well; frame {first.frame}: {first.error.message}"
        return State.FAILED, errors.message(errors.FramesFailed(text, job=job))

    def _hire(self, place: tuple[Slot, ...]) -> WorkerProcess:
        if self._worker is not None and not (self._worker.alive and self._worker.place == place):
            self._dismiss()
        if self._worker is None:
            self._worker = WorkerProcess(self._setup, place, self._lock)
            self._metrics.hired()
        return self._worker

    def _dismiss(self) -> None:
        if self._worker is not None:
            self._worker.close()
            self._worker = None
            self._previews.left(self._slot.name)


def _trained(spec: job_pb2.JobSpec) -> str | None:
    """Real path of the model that a job trains."""
    return os.path.realpath(spec.train.model) if spec.WhichOneof("kind") == "train" else None


def _preempted(attempt: Attempt) -> job_pb2.Error | None:
    if not attempt.room_for:
        return None
    text = f"made room for job {attempt.room_for}; it goes on by itself"
    return errors.message(errors.Preempted(text, job=attempt.room_for))


def _late(left: Mapping[int, job_pb2.TrainingUpdate]) -> list[job_pb2.JobEvent]:
    """Warnings of a training that ended before it had done all that it was told."""
    texts = [f"the training ended before it could do this: {updates.told(each)}" for each in left.values()]
    return [job_pb2.JobEvent(warning=job_pb2.Error(reason="JOB_STATE", message=text)) for text in texts]
