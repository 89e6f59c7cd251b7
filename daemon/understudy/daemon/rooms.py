"""Whether a job fits where it would run: what is free, less what running jobs were promised and have yet to take."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress

from understudy.core.errors import NotFound
from understudy.daemon import memory, slots
from understudy.daemon.memory import MACHINE, Memory
from understudy.daemon.queueing import Candidate
from understudy.daemon.slots import Slot
from understudy.daemon.states import State
from understudy.daemon.store import Store

AGAIN_SECONDS = 30.0  # how often a job that waits is told how much is free by now
Probe = Callable[[], Mapping[str, Memory]]
Place = tuple[Slot, ...]


class Rooms:
    """The memories as they are while one decision is made. Nobody is asked before a job comes that says what it needs.

    Args:
        busy: slot → the job that has it.
        pids: slot → its worker, of those that have one.

    Attributes:
        lacking: job → what it lacks, for a person: those that found free slots and too little memory.
        idle: slots whose idle workers leave, for what they keep in memory is wanted.
    """

    def __init__(self, probe: Probe, busy: Mapping[Slot, Candidate], pids: Mapping[Slot, int]) -> None:
        self._probe, self._busy, self._pids = probe, busy, pids
        self._found: Mapping[str, Memory] | None = None
        self._free: dict[str, int] = {}
        self.lacking: dict[str, str] = {}
        self.idle: set[Slot] = set()

    def choose(self, candidate: Candidate, places: Sequence[Place]) -> Place | None:
        """The first of some free places that a job fits into; None where there is none."""
        if not candidate.memory or not places:
            return next(iter(places), None)
        found = self._look()
        for place in places:
            pools = [p for p in slots.pools(candidate.need, place, found) if p in found]
            if all(self._free[pool] >= candidate.memory for pool in pools):
                for pool in pools:
                    self._free[pool] -= candidate.memory
                return place
        self._note(candidate, places, found)
        return None

    def relief(self, candidate: Candidate) -> frozenset[str]:
        """The running jobs of least priority, below that of one which lacks memory, whose end would give it enough.

        None where that is not ours to give.
        """
        if candidate.job not in self.lacking:
            return frozenset()
        found, room, leave = self._look(), self._free[MACHINE], set[str]()
        running = {each.job: (each, place) for place, each in self._busy.items() if each.memory}
        for each, slot in sorted(running.values(), key=lambda pair: pair[0].priority):
            if each.priority >= candidate.priority or room >= candidate.memory:
                break
            if MACHINE in slots.pools(each.need, (slot,), found):
                room += each.memory
                leave.add(each.job)
        return frozenset(leave) if room >= candidate.memory else frozenset()

    def _look(self) -> Mapping[str, Memory]:
        if self._found is None:
            self._found = self._probe()
            self._free = {pool: there.free for pool, there in self._found.items()}
            first = {each.job: (slot, each) for slot, each in reversed([*self._busy.items()])}
            for slot, each in first.values():
                if MACHINE in slots.pools(each.need, (slot,), self._found):
                    taken = memory.resident(self._pids[slot]) if slot in self._pids else 0
                    self._free[MACHINE] -= max(0, each.memory - taken)
        return self._found

    def _note(self, candidate: Candidate, places: Sequence[Place], found: Mapping[str, Memory]) -> None:
        wanted = [slots.pools(candidate.need, place, found) for place in places]
        pools = {pool for each in wanted for pool in each if pool in found}
        keeping = self._pids.keys() - self._busy.keys()
        idle = {s for s in keeping if pools.intersection(slots.pools(candidate.need, (s,), found))}
        self.idle |= idle
        most = max(pools, key=lambda pool: self._free[pool])
        whose = "the machine's" if most == MACHINE else f"{most}'s"
        free, total = memory.text(max(0, self._free[most])), memory.text(found[most].total)
        self.lacking[candidate.job] = (
            f"{memory.text(candidate.memory)} of {whose} memory: {free} of {total} are free"
        )


class Notes:
    """Tells jobs in the store what memory they wait for."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._told: dict[str, float] = {}  # job → when

    def tell(self, lacking: Mapping[str, str], begun: Iterable[str]) -> None:
        """`lacking` as in `Rooms`; `begun` have begun since, and have no notes any more."""
        for job in begun:
            self._told.pop(job, None)
        now = time.monotonic()
        for job, text in lacking.items():
            if now - self._told.get(job, float("-inf")) >= AGAIN_SECONDS:
                self._store.set_note(job, text)
                self._told[job] = now
        for job in self._told.keys() - lacking.keys():
            del self._told[job]
            with suppress(NotFound):  # ended and forgotten since
                if self._store.state(job) is State.QUEUED:
                    self._store.set_note(job, "")
