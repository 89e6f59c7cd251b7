"""Gives queued jobs to workers: one lane for each slot, one thread that decides which job goes where."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from pathlib import Path

from understudy.core.errors import WriteFailed
from understudy.daemon import errors, memory, process, pruning, queueing, shares, slots
from understudy.daemon.lane import RETRY_SECONDS, Halt, Lane, Task
from understudy.daemon.metrics import Metrics
from understudy.daemon.outputs import Output
from understudy.daemon.previews import Previews
from understudy.daemon.process import LEAVE_SECONDS
from understudy.daemon.queueing import Candidate
from understudy.daemon.rooms import Notes, Probe, Rooms
from understudy.daemon.settings import Queue, Retention
from understudy.daemon.site import Site
from understudy.daemon.slots import Slot, Workers
from understudy.daemon.states import State
from understudy.daemon.store import Store
from understudy.daemon.worker import Setup

LOOK_SECONDS = 1.0  # how often it looks though nothing has moved
LOCKED_SECONDS, LOCKED_MOST = 5.0, 60.0  # before a job is tried again whose output another daemon writes
PRUNE_SECONDS = 3600.0
FORGET_SECONDS = 3600.0  # after which such a job is as new
log = logging.getLogger(__name__)


class Scheduler:
    """Runs jobs until it is stopped.

    Args:
        folder: the state folder; holds the lock of its workers.
        on_fault: called when a thread ends by a fault of ours: a daemon that runs no jobs must not live on.
        probe: how much memory there is.
    """

    def __init__(
        self,
        store: Store,
        site: Site,
        folder: Path,
        on_fault: Callable[[], None],
        *,
        metrics: Metrics,
        workers: Workers = Workers(),  # noqa: B008 - frozen
        queue: Queue = Queue(),  # noqa: B008 - frozen
        keep: Retention = Retention(),  # noqa: B008 - frozen
        probe: Probe = memory.found,
        verbose: bool = False,
    ) -> None:
        self._store, self._metrics, self._on_fault = store, metrics, on_fault
        self._setup = Setup(site, folder, verbose, keep=workers.keep_mib << 20)
        self._lock = folder / "worker.lock"
        self._slots = workers.slots()
        self.previews = Previews(store.turn, anywhere=bool(workers.devices or workers.cpu))
        self._probe, self._notes = probe, Notes(store)
        self._half_life = queue.half_life_hours * 3600
        self._keep = keep
        self._pruned = float("-inf")  # when that was done last
        self._halt = Halt()
        self._lanes: dict[Slot, Lane] = {}
        self._busy: dict[Slot, Candidate] = {}
        self._locked: dict[str, tuple[float, float]] = {}  # job → when it is tried again, and after how long
        self._mutex = threading.Lock()  # of _busy and _locked
        self._thread = threading.Thread(target=self._main, name="scheduler")

    def start(self) -> None:
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether jobs are run."""
        return self._thread.is_alive() and all(lane.alive for lane in tuple(self._lanes.values()))

    @property
    def slots(self) -> tuple[Slot, ...]:
        return self._slots

    def stop(self, seconds: float) -> None:
        """Close the running jobs, which are queued again, and end the workers, with a kill where it takes longer."""
        self._halt.until = time.monotonic() + seconds
        self._halt.asked.set()
        self.previews.close()
        self._store.turn()
        self._thread.join()

    def pids(self) -> dict[str, int]:
        """Slot → process id of its worker, of those that have one."""
        found = {slot.name: lane.pid for slot, lane in tuple(self._lanes.items())}
        return {name: pid for name, pid in found.items() if pid is not None}

    def _main(self) -> None:
        try:
            self._await_orphans()
            for slot in self._slots:
                self._lanes[slot] = self._lane(slot)
            self._loop()
        finally:
            fault = not self._halt.asked.is_set()
            if fault:
                self._halt.until = time.monotonic() + LEAVE_SECONDS
            self._halt.asked.set()
            self.previews.close()
            for lane in self._lanes.values():
                lane.join()
            if fault:
                self._on_fault()

    def _lane(self, slot: Slot) -> Lane:
        return Lane(
            self._store,
            self._setup,
            self._lock,
            previews=self.previews,
            halt=self._halt,
            metrics=self._metrics,
            half_life=self._half_life,
            ended=self._freed,
            on_fault=self._on_fault,
            slot=slot,
        )

    def _await_orphans(self) -> None:
        while not process.alone(self._lock) and not self._halt.asked.wait(0.1):
            pass

    def _loop(self) -> None:
        while not self._halt.asked.is_set():
            seen = self._store.moves
            try:
                self._fail_doomed()
                self._assign()
                self._show()
                self._prune()
            except WriteFailed as error:
                log.error("store unusable, will try again: %s", error.message)
                self._halt.asked.wait(RETRY_SECONDS)
                continue
            self._store.wait(LOOK_SECONDS, seen)

    def _prune(self) -> None:
        """Forget old jobs, once in a while."""
        if time.monotonic() - self._pruned > PRUNE_SECONDS:
            if count := pruning.prune(self._store, self._keep, time.time()):
                log.info("forgot %d jobs that ended long ago", count)
            self._pruned = time.monotonic()

    def _fail_doomed(self) -> None:
        """Those fail that wait for a job which will never succeed."""
        for job, needs in queueing.doomed(self._store):
            state = self._store.state(needs).name
            error = errors.DependencyFailed(f"job {needs}, which this one waited for, is {state}", job=needs)
            with self._store.transaction():
                if self._store.state(job) is State.QUEUED:  # nobody has cancelled it since
                    self._store.move(job, State.FAILED, errors.message(error))
            log.info("job=%s state=FAILED reason=DEPENDENCY_FAILED needs=%s", job, needs)

    def _assign(self) -> None:
        """Give free lanes what is next in the queue, and see who must make room for somebody who waits."""
        served = shares.served(self._store, time.time(), self._half_life)
        with self._mutex:
            busy = dict(self._busy)
        pids = {slot: pid for slot, lane in self._lanes.items() if (pid := lane.pid) is not None}
        rooms = Rooms(self._probe, busy, pids)
        plan = self._plan(served, rooms)
        self._notes.tell(rooms.lacking, [candidate.job for candidate, _ in plan])
        for candidate, place in plan:
            if not self._store.take(candidate.job):
                continue  # somebody has paused or cancelled it since
            with self._mutex:
                self._busy.update(dict.fromkeys(place, candidate))
            first, *others = (self._lanes[slot] for slot in place)
            first.run(Task(candidate.job, place, tuple(lane.vacate() for lane in others)))
        for slot in rooms.idle - {slot for _, place in plan for slot in place}:
            self._lanes[slot].vacate()
        self._make_room(served, rooms)

    def _plan(self, served: Mapping[str, float], rooms: Rooms) -> list[tuple[Candidate, tuple[Slot, ...]]]:
        """Which jobs can begin now, and where.

        A job that waits for its output, or for one of several devices, is not overtaken by a later one that wants the
        same output or device. One that waits for memory is overtaken by who needs less.
        """
        free, waiting = self._free()
        wanted = {need for need in queueing.needs(self._store) if self._may_begin(need, free)}
        plan: list[tuple[Candidate, tuple[Slot, ...]]] = []
        if not wanted:
            return plan
        with self._store.reading() as db:
            held = queueing.holders(db)
            before: list[tuple[str, Output]] = []  # of those who wait for an output
            for candidate in queueing.ordered(self._store, served, wanted):
                outputs = queueing.outputs(db, candidate.job)
                others = held if candidate.holds else chain(held, before)  # who holds waits for nobody's turn
                if candidate.job in waiting or queueing.holder(outputs, others, candidate.job):
                    before += [(candidate.job, output) for output in outputs]
                    continue
                places = slots.places(candidate.need, self._slots, free)
                place = rooms.choose(candidate, places)
                if place is not None:
                    plan.append((candidate, place))
                    held += [(candidate.job, output) for output in outputs]
                    free -= set(place)
                elif not places:
                    free -= set(slots.named(candidate.need, self._slots))
                if not any(self._may_begin(need, free) for need in wanted):
                    break
        return plan

    def _free(self) -> tuple[set[Slot], set[str]]:
        """Slots with nothing to do, and jobs that are not to be tried yet."""
        now = time.monotonic()
        with self._mutex:
            for job in [job for job, (until, _) in self._locked.items() if until < now - FORGET_SECONDS]:
                del self._locked[job]
            return set(self._slots) - self._busy.keys(), {j for j, (t, _) in self._locked.items() if t > now}

    def _may_begin(self, need: str, free: set[Slot]) -> bool:
        return any(free.intersection(place) for place in slots.choices(need, self._slots))

    def _make_room(self, served: Mapping[str, float], rooms: Rooms) -> None:
        """Let running jobs stop for interactive ones of a higher priority that have no place."""
        with self._mutex:
            busy = dict(self._busy)
        _, waiting = self._free()
        if not busy:
            return
        with self._store.reading() as db:
            held = queueing.holders(db)
            needs = queueing.needs(self._store)
            asking = [
                candidate
                for candidate in queueing.ordered(self._store, served, needs, interactive=True)
                if candidate.job not in waiting
                and not queueing.holder(queueing.outputs(db, candidate.job), held, candidate.job)
            ]
        leaving = {attempt.room_for for lane in self._lanes.values() if (attempt := lane.attempt)}
        for candidate in asking:
            if candidate.job not in leaving:
                places = slots.choices(candidate.need, self._slots)
                for job in rooms.relief(candidate) or _least(candidate, places, busy):
                    self._stop_for(job, candidate.job)
                    busy = {slot: each for slot, each in busy.items() if each.job != job}

    def _show(self) -> None:
        """Have a free worker make the previews that nobody has in hand; without one they crowd in between reports."""
        if self.previews.unsent:
            free, _ = self._free()
            places = slots.places(slots.ANY, self._slots, free)
            if not places:
                self.previews.crowd()
            else:
                self._lanes[places[0][0]].show()

    def _stop_for(self, job: str, other: str) -> None:
        for lane in self._lanes.values():
            if (attempt := lane.attempt) is not None and attempt.job == job:
                lane.make_room(other)

    def _freed(self, task: Task, locked: bool) -> None:
        """A lane is done with a task, whose job may run elsewhere by now; `locked`: another daemon has its output."""
        with self._mutex:
            for slot in task.place:
                del self._busy[slot]
            _, before = self._locked.pop(task.job, (0.0, 0.0))
            if locked:
                pause = min(LOCKED_MOST, 2 * before or LOCKED_SECONDS)
                self._locked[task.job] = (time.monotonic() + pause, pause)
        self._store.turn()


def _least(
    candidate: Candidate, places: Sequence[tuple[Slot, ...]], busy: Mapping[Slot, Candidate]
) -> frozenset[str]:
    """The jobs to stop so that the candidate finds a place: of those that may be, the ones of least priority.

    None where a place is free already, for it will be taken, and where every place has a job of its priority or more.
    """
    found: list[tuple[int, frozenset[str]]] = []
    for place in places:
        there = [busy[slot] for slot in place if slot in busy]
        if not there:
            return frozenset()
        if (highest := max(each.priority for each in there)) < candidate.priority:
            found.append((highest, frozenset(each.job for each in there)))
    return min(found, key=lambda each: each[0])[1] if found else frozenset()
