"""Calls over a transport: with a deadline each, again after a drop, and with our errors.

A daemon may go while it is needed: it is restarted, or it was another command's embedded one. Accepted jobs
are kept, and every call of the contract may be repeated, so a drop is answered by connecting again and
asking again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

from understudy.client.endpoint import Stub, Transport
from understudy.client.errors import Unreachable, translated

CALL_S = 60.0  # deadline of a call; reads of a big faceset on a slow disk take a while
SILENCE_S = 60.0  # a stream brings a heartbeat every few seconds; one silent for so long is dead
_PAUSE_S = 0.2


class Wire:
    """One connection at a time; not for use by several threads at once.

    Args:
        transport: opens channels.
        patience: seconds to try to get a daemon back after a drop. The first connection has no patience: a
            wrong endpoint is told at once.
    """

    def __init__(self, transport: Transport, patience: float = 60.0) -> None:
        self.transport = transport
        self.patience = patience
        self._channel = transport.connect()

    def call(self, stub: Stub, method: str, request: object, *, timeout: float = CALL_S) -> Any:
        """One request, one reply.

        Raises:
            UnderstudyError: as `errors.translate` says; Unreachable when no daemon came back in time.
        """
        deadline: float | None = None
        while True:
            try:
                with translated():
                    return getattr(stub(self._channel), method)(request, timeout=timeout)
            except Unreachable as error:  # noqa: PERF203 - a call takes longer than a try
                deadline = self.reconnect(error, deadline)

    def stream(self, stub: Stub, method: str, request: object) -> Iterator[Any]:
        """One request, many replies, until the daemon ends the stream.

        Raises:
            Unreachable: the stream dropped, or was silent for too long. `reconnect`, then ask again.
            UnderstudyError: as `errors.translate` says.
        """
        call = getattr(stub(self._channel), method)(request)
        watchdog = _Watchdog(call)
        try:
            with translated():
                for reply in call:
                    watchdog.heard()
                    yield reply
        finally:
            watchdog.close()
            call.cancel()

    def reconnect(self, error: Unreachable, deadline: float | None = None) -> float:
        """Connect again after a drop, trying until `deadline` (None: the patience from now), and return it.

        Raises:
            Unreachable: no daemon answers; `error` when time is up although one does.
        """
        deadline = time.monotonic() + self.patience if deadline is None else deadline
        while True:
            if time.monotonic() >= deadline:
                raise error
            time.sleep(_PAUSE_S)
            try:
                self._channel = self.transport.connect()
            except Unreachable as unreachable:
                error = unreachable
            else:
                return deadline

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
