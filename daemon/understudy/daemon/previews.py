"""The server's end of previews: who waits for one, and the worker that is to make it.

That is the one whose training has the model, else one that has no job, else any. An ask goes to it from the thread of
its call, so that a training finds it before its next iteration. A few are sent at a time, and each is answered, so
that a worker's pipe never fills.
"""

from __future__ import annotations

import itertools
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future, InvalidStateError
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace

from understudy.core.errors import UnderstudyError
from understudy.daemon.asks import Ask, Drop, Frame, Grid, Refused, Shown
from understudy.daemon.errors import Late, LimitReached, Stopping, Superseded, WorkerDied
from understudy.daemon.process import Gone, WorkerProcess
from understudy.daemon.worker import FromWorker, Logged

SEATS = 8  # calls that may wait, each of which holds a thread
AT_ONCE = 16  # asks that the worker has not answered
TRIES = 2  # workers that may die under an ask
POLL_SECONDS = 0.1  # how long a job or a stop may wait for an idle worker's answer
_Watch = Callable[[Callable[[], None]], bool]
log = logging.getLogger(__name__)


class Answered(UnderstudyError):
    """An error of the worker's, by its own reason."""

    def __init__(self, refused: Refused) -> None:
        super().__init__(refused.message)
        self.reason, self._details = refused.reason, refused.details  # type: ignore[misc]
        self.field = refused.details.get("field")

    def details(self) -> dict[str, str]:
        return dict(self._details)


@dataclass(eq=False)
class _Waiting:
    ask: Ask
    asker: tuple[str, str]
    tries: int = 0
    desk: _Desk | None = None  # that it was sent to
    answer: Future[Shown] = field(default_factory=Future)

    @property
    def models(self) -> set[str]:
        """Real paths of those that it shows."""
        what = self.ask.what
        shown = [what.model] if isinstance(what, Grid) else [person.model for person in what.merge.people]
        return {os.path.realpath(model) for model in shown}


@dataclass(eq=False)
class _Desk:
    """A worker, as far as previews go.

    Attributes:
        worker: where somebody reads its answers now.
        pid: of the last one.
        trains: real path of the model that it trains.
        idle: it has no job.
        unanswered: the asks that it has.
    """

    worker: WorkerProcess | None = None
    pid: int | None = None
    trains: str | None = None
    idle: bool = False
    unanswered: set[int] = field(default_factory=set)


class Previews:
    """All asks of a daemon.

    Args:
        nudge: wakes who has workers make them (`unsent`).
        anywhere: workers have devices of their own, so an ask for one is not passed on.
    """

    def __init__(self, nudge: Callable[[], None], *, anywhere: bool = False) -> None:
        self._nudge, self._anywhere = nudge, anywhere
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._asks: dict[int, _Waiting] = {}  # that somebody waits for
        self._desks: dict[str, _Desk] = {}
        self._closed = False

    @property
    def unsent(self) -> bool:
        """Whether anybody waits for what no worker has in hand."""
        with self._lock:
            return any(waiting.desk is None for waiting in self._asks.values())

    def ask(self, what: Frame | Grid, who: tuple[str, str], seconds: float, watch: _Watch) -> Shown:
        """Have something shown, and wait for it.

        Args:
            who: a user, and a name for who asks; with a name, an earlier ask of the same one ends.
            seconds: that the caller waits.
            watch: takes what is to be called when the caller has gone; False where they are gone already.

        Raises:
            Superseded, Late, LimitReached, WorkerDied, Stopping: of the waiting.
            CancelledError: the caller has gone.
            Answered: what the worker says.
        """
        if self._anywhere and isinstance(what, Frame):
            what = replace(what, merge=replace(what.merge, device="auto"))
        until = time.monotonic() + seconds
        waiting = self._take(Ask(next(self._numbers), what, until), who)

        def gone() -> None:
            waiting.answer.cancel()

        try:
            if not watch(gone):
                raise CancelledError
            self._nudge()
            return waiting.answer.result(max(0.0, seconds))
        except FutureTimeout as error:
            raise Late(
                f"the preview was not made within {seconds:.1f} s; ask again, or give it longer"
            ) from error
        finally:
            self._let_go(waiting)

    @contextmanager
    def served_by(
        self, name: str, worker: WorkerProcess, *, trains: str | None = None, idle: bool = False
    ) -> Iterator[None]:
        """Have asks sent to a worker, while the block reads what it answers (`take`).

        Args:
            name: of its slot.
            trains: real path of the model that it trains.
            idle: it has no job.
        """
        with self._lock:
            desk = self._desks.setdefault(name, _Desk())
            if worker.pid != desk.pid:  # what the one before had not answered, somebody else may
                self._take_back(desk)
                desk.pid = worker.pid
            desk.worker, desk.trains, desk.idle = worker, trains, idle
            self._send()
        try:
            yield
        except Gone:
            self._lost(desk)
            raise
        finally:
            with self._lock:
                desk.worker = None

    def serve(self, name: str, worker: WorkerProcess, wanted: Callable[[], bool]) -> None:
        """Have an idle worker answer, while it is not `wanted` for anything else.

        Raises:
            Gone: it died.
        """
        with self.served_by(name, worker, idle=True):
            while self._desks[name].unanswered and not wanted():
                for message in worker.receive(POLL_SECONDS):
                    if isinstance(message, Logged):
                        logging.getLogger(message.name).log(message.level, "%s", message.text)
                    self.take(message)

    def crowd(self) -> None:
        """No worker is free: what waits is sent to those that have a job."""
        with self._lock:
            self._send(busy=True)

    def left(self, name: str) -> None:
        """The worker of a slot was let go."""
        with self._lock:
            if desk := self._desks.pop(name, None):
                self._take_back(desk)
        self._nudge()

    def take(self, message: FromWorker) -> bool:
        """Hand an answer to who waits for it; False where the message is none."""
        if not isinstance(message, Shown | Refused):
            return False
        with self._lock:
            for desk in self._desks.values():
                desk.unanswered.discard(message.number)
            waiting = self._asks.get(message.number)
            self._send()
        if waiting is not None:
            if isinstance(message, Shown):
                _end(waiting, message)
            else:
                _end(waiting, Answered(message))
        return True

    def close(self) -> None:
        """End all waiting: the daemon stops."""
        with self._lock:
            self._closed = True
            left = list(self._asks.values())
        for waiting in left:
            _end(waiting, Stopping("the daemon is stopping; ask again in a moment"))

    def _take(self, ask: Ask, who: tuple[str, str]) -> _Waiting:
        waiting = _Waiting(ask, who)
        with self._lock:
            if self._closed:
                raise Stopping("the daemon is stopping; ask again in a moment")
            before = [each for each in self._asks.values() if who[1] and each.asker == who]
            if len(self._asks) - len(before) >= SEATS:
                raise LimitReached(
                    f"{SEATS} previews are waited for, and no more are taken; ask again in a moment"
                )
            self._asks[ask.number] = waiting
            for each in before:
                self._forget(each)
            self._send()
        for each in before:
            _end(each, Superseded("another preview was asked for since", field="asker", value=who[1]))
        return waiting

    def _let_go(self, waiting: _Waiting) -> None:
        with self._lock:
            self._forget(waiting)

    def _forget(self, waiting: _Waiting) -> None:
        """Nobody waits for it: the worker need not make it."""
        number, desk = waiting.ask.number, waiting.desk
        if self._asks.pop(number, None) and desk and number in desk.unanswered and desk.worker is not None:
            self._tell(desk.worker, Drop(number))

    def _send(self, *, busy: bool = False) -> None:
        """Pass on what waits, oldest first; `busy`: also to workers at another job."""
        for number, waiting in self._asks.items():
            if waiting.desk is None and (desk := self._desk(waiting, busy)) is not None:
                waiting.desk = desk
                desk.unanswered.add(number)
                assert desk.worker is not None
                self._tell(desk.worker, waiting.ask)

    def _desk(self, waiting: _Waiting, busy: bool) -> _Desk | None:
        """Who is to make it."""
        there = [each for each in self._desks.values() if each.worker and len(each.unanswered) < AT_ONCE]
        live = [each for each in there if each.trains in waiting.models]
        idle = [each for each in there if each.idle]
        return min(
            live or idle or (there if busy else []), key=lambda each: len(each.unanswered), default=None
        )

    def _take_back(self, desk: _Desk) -> None:
        """What a worker has not answered waits again."""
        desk.unanswered.clear()
        for waiting in self._asks.values():
            if waiting.desk is desk:
                waiting.desk = None

    def _tell(self, worker: WorkerProcess, message: Ask | Drop) -> None:
        try:
            worker.send(message)
        except Gone:  # who reads its answers will find out
            log.info("worker=%d is gone, previews wait for another", worker.pid)

    def _lost(self, desk: _Desk) -> None:
        """The worker died. What it had may be why: that is tried once more."""
        with self._lock:
            had = [each for each in self._asks.values() if each.desk is desk]
            self._take_back(desk)
            for each in had:
                each.tries += 1
        for each in had:
            if each.tries >= TRIES:
                _end(
                    each, WorkerDied("the worker died while it made the preview; the daemon's log says more")
                )


def _end(waiting: _Waiting, how: Shown | Exception) -> None:
    """Wake who waits, unless they have gone."""
    with suppress(InvalidStateError):
        if isinstance(how, Shown):
            waiting.answer.set_result(how)
        else:
            waiting.answer.set_exception(how)
