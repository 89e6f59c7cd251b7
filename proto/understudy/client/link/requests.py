"""Calls and streams, each through all its attempts."""

from __future__ import annotations

import json
import queue
import random
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Callable, Dict

from .errors import Cancelled, Closed, Refused, UnderstudyError

if TYPE_CHECKING:
    from .supervisor import Link

PACKAGE = "understudy.v1."
PAUSE_S, LONGEST_PAUSE_S = 0.1, 5.0
WINDOW = 64  # events that may be on their way to a consumer that is slow

Json = Dict[str, Any]
if TYPE_CHECKING:
    _Future = Future[Json]
else:
    _Future = Future  # Python 3.7 has no Future[…] at run time


def pauses() -> Iterator[float]:
    """Seconds before each next attempt: they double, and no two hosts' are the same."""
    longest = PAUSE_S
    while True:
        yield random.uniform(longest / 2, longest)  # noqa: S311 - not a secret
        longest = min(2 * longest, LONGEST_PAUSE_S)


class Call(_Future):
    """A call under way; a future. `result()` gives the reply or raises an UnderstudyError."""

    _request: Any = None

    def cancel(self) -> bool:
        """Give it up; its error is then Cancelled. What the daemon has begun may be done all the same."""
        if self.done():
            return False
        self._request.give_up(Cancelled("cancelled by the host"))
        return True


class Request:
    """One call or stream, through all its attempts. Only the link's thread changes it.

    Attributes:
        id: of the present attempt; every one has its own, so that late lines of an old one are nobody's.
        sent: its line was written to the bridge that lives.
    """

    def __init__(
        self, link: Link, method: str, request: Json | None, deadline_s: float | None = None
    ) -> None:
        self.link = link
        self.method = method if "." in method else PACKAGE + method
        self.fields: Json = {}
        self.wrong: UnderstudyError | None = None  # what cannot even be sent
        try:  # a copy, so that what the host changes later is its own
            self.fields = json.loads(json.dumps(request or {}, allow_nan=False))
        except (TypeError, ValueError, RecursionError) as error:
            self.wrong = Refused(f"the request cannot be JSON: {error}", field="request")
        self.until = None if deadline_s is None else time.monotonic() + deadline_s
        self.id = ""
        self.sent = self.ended = False
        self.pauses = pauses()
        self.cause: UnderstudyError | None = None  # of the latest attempt that failed

    def give_up(self, error: UnderstudyError) -> None:
        """From any thread."""
        self.link.post(lambda: self.link.end(self, error))

    def repeatable(self, facts: Json) -> bool:
        return bool(facts.get("repeatable"))

    def line(self, facts: Json) -> Json:
        """What to write now, and from now on: the same request id every time."""
        if facts.get("request_id") and not (self.fields.get("requestId") or self.fields.get("request_id")):
            self.fields["requestId"] = str(uuid.uuid4())
        line: Json = {"id": self.id, "method": self.method, "request": self.fields}
        if self.until is not None:
            line["deadline_s"] = max(0.001, self.until - time.monotonic())
        return line

    def finish(self, reply: Json | None, error: UnderstudyError | None) -> None:
        raise NotImplementedError


class Unary(Request):
    def __init__(self, future: Call, done: Callable[[Call], object] | None, *about: Any) -> None:
        super().__init__(*about)
        self.future, self.done = future, done
        future._request = self

    def finish(self, reply: Json | None, error: UnderstudyError | None) -> None:
        future, done = self.future, self.done
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(reply or {})
        if done is not None:
            self.link.deliver(lambda: done(future))


class Stream(Request):
    """A stream of events: iterate over it, unless it calls back. Leaving the loop does not end it; `cancel` does."""

    def __init__(
        self,
        on_event: Callable[[Json], object] | None,
        on_end: Callable[[UnderstudyError | None], object] | None,
        *about: Any,
    ) -> None:
        super().__init__(*about)
        self._on_event, self._on_end = on_event, on_end
        self._events: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.heard = time.monotonic()
        self.resumes, self._last = False, 0
        self._flying = self._owed = (
            0  # events that the host has not taken, and those it has and the bridge must know
        )

    def cancel(self) -> None:
        """End it. The job that it watches goes on."""
        self.give_up(Cancelled("cancelled by the host"))

    def __iter__(self) -> Stream:
        return self

    def __next__(self) -> Json:
        event: Any = self._events.get()
        if not isinstance(event, tuple):
            self._events.put(event)  # for the next step
            if event is None:
                raise StopIteration
            raise event
        self._taken(event[0])
        return dict(event[1])

    def repeatable(self, facts: Json) -> bool:  # noqa: ARG002 - a line has told it already
        return self.resumes

    def line(self, facts: Json) -> Json:
        self.resumes = bool(facts.get("resumes"))
        self.heard = (
            time.monotonic() if self.cause is None else self.heard
        )  # patience counts from the last event
        self._flying = self._owed = 0
        if self.resumes and self._last:
            self.fields["afterSequence"] = self._last
        return dict(super().line(facts), window=WINDOW)

    def event(self, said: Json) -> None:
        """One has come, perhaps for the second time."""
        self.heard, self.pauses, self.cause = time.monotonic(), pauses(), None
        number, id_ = said.get("sequence"), said["id"]
        self._flying += 1
        if number is not None:
            if number <= self._last:
                self._taken(id_)
                return
            self._last = number
        on_event = self._on_event
        if on_event is None:
            self._events.put((id_, said["event"]))
            return

        def tell() -> None:
            try:
                on_event(said["event"])
            finally:
                self._taken(id_)

        self.link.deliver(tell)

    def silent(self, now: float, longest: float) -> bool:
        """Whether nothing has come for so long although the host waits for it."""
        return self.resumes and self.sent and self._flying < WINDOW and now - self.heard > longest

    def _taken(self, id_: str) -> None:
        self.link.post(lambda: self._ack(id_))

    def _ack(self, id_: str) -> None:
        if self.id != id_ or not self.sent:  # of an attempt that is over
            return
        self._flying -= 1
        self._owed += 1
        if self._owed >= WINDOW // 4:
            self.link.write({"ack": id_, "events": self._owed})
            self._owed = 0

    def finish(self, reply: Json | None, error: UnderstudyError | None) -> None:
        self._events.put(None if isinstance(error, Cancelled) and not isinstance(error, Closed) else error)
        assert reply is None
        on_end = self._on_end
        if on_end is not None:
            self.link.deliver(lambda: on_end(error))
