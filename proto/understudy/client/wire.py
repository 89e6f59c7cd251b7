"""Calls over a transport: with a deadline each, again after a drop, and with our errors.

A daemon may go while it is needed: it is restarted, or it was another command's embedded one. Accepted jobs
are kept, so a drop is answered by connecting again, with pauses that grow. What the contract lets be repeated is then
asked again. The few calls that may not be are asked once, of a daemon that has just answered.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import grpc.aio

from understudy.client import contract
from understudy.client.aside import aside
from understudy.client.backoff import Patience
from understudy.client.endpoint import Stub, Transport, alive
from understudy.client.errors import TimedOut, Unreachable, translated

CALL_S = 60.0  # deadline of a call; reads of a big faceset on a slow disk take a while
FOREVER_S = 10 * 365 * 86400.0  # a stream may last as long as its job
SILENCE_S = 60.0  # a stream brings a heartbeat every few seconds; one silent for so long is dead
_LIMIT: ContextVar[float | None] = ContextVar("understudy_deadline", default=None)  # monotonic seconds


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """All calls in the block end within so many seconds, what is tried again included."""
    given, outer = time.monotonic() + seconds, _LIMIT.get()
    token = _LIMIT.set(given if outer is None else min(given, outer))
    try:
        yield
    finally:
        _LIMIT.reset(token)


class Ending:
    """Lets who waits for a thread end the stream that the thread waits for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._call: Any = None
        self._ended = False

    @contextmanager
    def held(self) -> Iterator[None]:
        """Streams that are begun in the block, in threads that it hands work to as well, can be ended."""
        token = _ENDING.set(self)
        try:
            yield
        finally:
            _ENDING.reset(token)

    def take(self, call: Any) -> None:
        """A stream has begun.

        Raises:
            TimedOut: nobody waits for it any more.
        """
        with self._lock:
            self._call = call
            if self._ended:
                call.cancel()
            self.check()

    def check(self) -> None:
        """Raises TimedOut: nobody waits for it any more."""
        if self._ended:
            raise TimedOut("nobody waits for it any more")

    def end(self) -> None:
        """From any thread, now or before the stream begins."""
        with self._lock:
            self._ended = True
            if self._call is not None:
                self._call.cancel()


_ENDING: ContextVar[Ending | None] = ContextVar("understudy_ending", default=None)


def awaited() -> None:
    """Raises TimedOut where nobody waits any more for what this thread does."""
    if (ending := _ENDING.get()) is not None:
        ending.check()


def _left(usual: float) -> float:
    """Seconds that may still be spent: `usual`, if a deadline leaves so many.

    Raises:
        TimedOut: none is left.
    """
    limit = _LIMIT.get()
    if limit is None:
        return usual
    left = limit - time.monotonic()
    if left <= 0:
        raise TimedOut("the deadline has passed; what was asked for may have been done all the same")
    return min(left, usual)


class Wire:
    """One connection at a time, for any number of threads.

    Args:
        transport: opens channels.
        patience: seconds to try to get a daemon back after a drop. The first connection has no patience: a
            wrong endpoint is told at once.
    """

    def __init__(self, transport: Transport, patience: float = 60.0) -> None:
        self.transport = transport
        self.patience = patience
        self._lock = threading.Lock()
        self._channel = transport.connect()

    def call(self, stub: Stub, method: str, request: object, *, timeout: float = CALL_S) -> Any:
        """One request, one reply.

        Raises:
            UnderstudyError: as `errors.translate` says; Unreachable when no daemon came back in time, or when the
                connection broke in a call that may not be repeated.
        """
        repeatable = contract.find(stub, method).repeatable
        patience: Patience | None = None
        if not repeatable:
            self.connect()
        while True:
            try:
                return self._ask(stub, method, request, timeout)
            except Unreachable as error:  # noqa: PERF203 - a call takes longer than a try
                if not repeatable:
                    raise
                patience = self.reconnect(error, patience)

    def _ask(self, stub: Stub, method: str, request: object, timeout: float) -> Any:
        channel = self._channel
        try:
            with translated():
                ask, left = getattr(stub(channel), method), _left(timeout)
                return aside(lambda: ask(request, timeout=left))
        except (
            ValueError
        ) as error:  # as gRPC says that another thread has closed the channel to open a new one
            if channel is self._channel:
                raise
            raise Unreachable("the connection was closed to open a new one") from error

    def stream(self, stub: Stub, method: str, request: object) -> Iterator[Any]:
        """One request, many replies, until the daemon ends the stream.

        Raises:
            Unreachable: the stream dropped, or was silent for too long. `reconnect`, then ask again.
            UnderstudyError: as `errors.translate` says.
        """
        call = self._ask(stub, method, request, FOREVER_S)
        if (ending := _ENDING.get()) is not None:
            ending.take(call)
        watchdog = _Watchdog(call)
        try:
            with translated():
                while (reply := aside(lambda: next(call, None))) is not None:
                    watchdog.heard()
                    yield reply
        finally:
            watchdog.close()
            call.cancel()

    def reconnect(self, error: Unreachable, patience: Patience | None = None) -> Patience:
        """Connect again after a drop, with growing pauses, and return the patience that is left (None: all of it).

        Raises:
            Unreachable: no daemon answers; `error` when time is up although one does.
        """
        patience = patience or Patience(_left(self.patience))
        while True:
            time.sleep(patience.next(error))
            try:
                with self._lock:
                    if not self._answers():
                        self._channel = self.transport.connect()
            except Unreachable as unreachable:
                error = unreachable
            else:
                return patience

    def _answers(self) -> bool:
        """Whether the channel works, because another thread or gRPC itself has connected it again."""
        try:
            return alive(self._channel)
        except ValueError:  # closed
            return False

    def connect(self) -> None:
        """See to it that a daemon is there, before it is asked what may be asked only once.

        Raises:
            Unreachable: none came back in time.
        """
        if not self._answers():
            self.reconnect(Unreachable("no daemon answers"))

    def open_aio(self) -> grpc.aio.Channel:
        """A channel for asyncio to the same daemon; whoever asks for it closes it."""
        return self.transport.open_aio()

    def close(self) -> None:
        self.transport.close()


class _Watchdog:
    """Cancels a stream that has gone silent: a daemon that hangs keeps its socket open."""

    def __init__(self, call: Any) -> None:
        self._call = call
        self._heard = threading.Event()
        self._closed = False
        threading.Thread(target=self._watch, name="understudy-watchdog", daemon=True).start()

    def heard(self) -> None:
        self._heard.set()

    def close(self) -> None:
        self._closed = True
        self._heard.set()

    def _watch(self) -> None:
        while self._heard.wait(SILENCE_S):
            self._heard.clear()
            if self._closed:
                return
        self._call.cancel()
