"""The server's end of previews: who waits for one, and the worker that is to make it.

An ask goes to the worker from the thread of its call, so that a training finds it before its next iteration. A few are
sent at a time, and each is answered, so that the worker's pipe never fills.
"""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future, InvalidStateError
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

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
    sent: bool = False
    answer: Future[Shown] = field(default_factory=Future)


class Previews:
    """All asks of a daemon. `nudge` wakes who hires workers."""

    def __init__(self, nudge: Callable[[], None]) -> None:
        self._nudge = nudge
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._asks: dict[int, _Waiting] = {}  # that somebody waits for
        self._unanswered: set[int] = set()  # that the worker has
        self._worker: WorkerProcess | None = None  # who reads its answers now
        self._last: int | None = None  # process id of the worker that has them
        self._closed = False

    @property
    def waiting(self) -> bool:
        """Whether anybody waits."""
        return bool(self._asks)

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
    def served_by(self, worker: WorkerProcess) -> Iterator[None]:
        """Have asks sent to a worker, while the block reads what it answers (`take`)."""
        with self._lock:
            if worker.pid != self._last:  # what the one before had not answered, this one may
                self._last = worker.pid
                self._unanswered.clear()
                for waiting in self._asks.values():
                    waiting.sent = False
            self._worker = worker
            self._send()
        try:
            yield
        except Gone:
            self._lost()
            raise
        finally:
            with self._lock:
                self._worker = None

    def serve(self, worker: WorkerProcess, wanted: Callable[[], bool]) -> None:
        """Have an idle worker answer, while it is not `wanted` for anything else.

        Raises:
            Gone: it died.
        """
        with self.served_by(worker):
            while self.waiting and not wanted():
                for message in worker.receive(POLL_SECONDS):
                    if isinstance(message, Logged):
                        logging.getLogger(message.name).log(message.level, "%s", message.text)
                    self.take(message)

    def take(self, message: FromWorker) -> bool:
        """Hand an answer to who waits for it; False where the message is none."""
        if not isinstance(message, Shown | Refused):
            return False
        with self._lock:
            self._unanswered.discard(message.number)
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
        number = waiting.ask.number
        if self._asks.pop(number, None) and number in self._unanswered and self._worker is not None:
            self._tell(self._worker, Drop(number))

    def _send(self) -> None:
        """Pass on what waits, oldest first."""
        for number, waiting in self._asks.items():
            if self._worker is None or len(self._unanswered) >= AT_ONCE:
                return
            if not waiting.sent:
                waiting.sent = True
                self._unanswered.add(number)
                self._tell(self._worker, waiting.ask)

    def _tell(self, worker: WorkerProcess, message: Ask | Drop) -> None:
        try:
            worker.send(message)
        except Gone:  # who reads its answers will find out
            log.info("worker=%d is gone, previews wait for another", worker.pid)

    def _lost(self) -> None:
        """The worker died. What it had may be why: that is tried once more."""
        with self._lock:
            self._last = None
            had = [each for each in self._asks.values() if each.sent]
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
