"""Calls that no signal breaks off."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextvars import copy_context
from queue import Empty, SimpleQueue
from typing import TypeVar

T = TypeVar("T")
_LOOK_S = 0.2  # a signal may come to another thread, which wakes nobody here


def aside(call: Callable[[], T]) -> T:
    """The result of a call that another thread makes, where this is the main thread.

    What a signal raises, Ctrl-C or SIGTERM, comes up in the main thread wherever that is just then. Among gRPC's
    locks and counters it leaves them halfway, and the next call, or closing the channel, may then wait for ever. Here
    it meets a queue instead; the call ends by itself, and nobody hears of it.
    """
    if threading.current_thread() is not threading.main_thread():
        return call()
    results: SimpleQueue[tuple[T] | BaseException] = SimpleQueue()

    def run() -> None:
        try:
            results.put((call(),))
        except BaseException as error:  # noqa: BLE001 - for who waits
            results.put(error)

    threading.Thread(target=copy_context().run, args=(run,), daemon=True).start()
    while True:
        try:
            result = results.get(timeout=_LOOK_S)
        except Empty:
            continue
        if isinstance(result, BaseException):
            raise result
        return result[0]
