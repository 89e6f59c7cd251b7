"""Where a host's own code is called back."""

from __future__ import annotations

import queue
import threading
import traceback
from typing import Callable

Work = Callable[[], object]


class Callbacks:
    """A thread that calls back, started by the first one."""

    def __init__(self) -> None:
        self._work: queue.SimpleQueue[Work | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._closed = False

    def put(self, work: Work) -> None:
        if self._closed:  # that it is closed is told all the same
            threading.Thread(target=work, name="understudy-callback", daemon=True).start()
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="understudy-callbacks", daemon=True)
            self._thread.start()
        self._work.put(work)

    def close(self) -> None:
        self._closed = True
        self._work.put(None)

    def _run(self) -> None:
        for work in iter(self._work.get, None):
            work()


def guarded(work: Work, log: Callable[[str], None]) -> None:
    """A fault of one must not end the thread of all."""
    try:
        work()
    except Exception:  # noqa: BLE001 - whatever a host's own code raises
        log(traceback.format_exc())
