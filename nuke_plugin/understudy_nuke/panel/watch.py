"""One job followed: its events as they come, read on the link's thread, handed over in batches."""

from __future__ import annotations

import threading
from typing import Any, Callable, Dict, List, Tuple

from understudy_nuke.daemon import UnderstudyError

from .way import Way

Json = Dict[str, Any]
Told = Tuple[str, Any]  # kind, and what it says

KINDS = {"stateChange": "state", "training": "training", "warning": "warning", "artifact": "artifact"}


class Watch:
    """Follows one job until `close`, through whatever breaks: `go_on` when the daemon is there again.

    Args:
        take: gets what was told, oldest first, on the main thread: `state`, `training`, `warning`, `artifact`, `frame`
            (one that failed) with the event's own JSON, which has its `time`.

    Attributes:
        job: its id.
        last: sequence number of the last event that was taken.
    """

    def __init__(self, way: Way, job: str, take: Callable[[List[Told]], object]) -> None:
        self.job, self.last = job, 0
        self._way, self._take = way, take
        self._lock = threading.Lock()
        self._batch: List[Told] = []
        self._stream: Any = None
        self._follows = False  # there is a stream that has not ended; it may end before we have it
        self._over = False  # all was told that there is
        self.go_on()

    def go_on(self, *, more: bool = False) -> None:
        """Take it up where it broke off, if it did; `more`: also where it had ended, for a job that runs again."""
        if not self._follows and (more or not self._over):
            link = self._way.link()
            self._over, self._follows = False, True
            request = {"id": self.job, "afterSequence": self.last}
            self._stream = link.stream(
                "JobService/WatchJob", request, on_event=self._event, on_end=self._ended
            )

    def close(self) -> None:
        stream, self._stream, self._over = self._stream, None, True
        self._take = lambda _: None
        if stream is not None:
            stream.cancel()

    # On the link's thread

    def _event(self, message: Json) -> None:
        event = message.get("event")
        if not event:
            return
        self.last = int(event.get("sequence", self.last))
        told = _told(event)
        if told is None:
            return
        with self._lock:
            self._batch.append(told)
            first = len(self._batch) == 1
        if first:
            self._way.hop(self._flush)

    def _ended(self, error: UnderstudyError | None) -> None:
        self._over, self._follows = error is None, False

    # On the main thread

    def _flush(self) -> None:
        with self._lock:
            batch, self._batch = self._batch, []
        self._take(batch)


def _told(event: Json) -> Told | None:
    for field, kind in KINDS.items():
        if field in event:
            return kind, dict(event[field], time=event.get("time", ""))
    frame = event.get("frame") or {}
    if frame.get("state") == "FRAME_STATE_FAILED":
        return "frame", dict(frame, time=event.get("time", ""))
    return None
