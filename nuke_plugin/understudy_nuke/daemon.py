"""The way to the daemon, and the way back to Nuke's main thread.

One link serves the whole of Nuke. Its call backs come on a thread of its own; whatever touches a node is handed to
`on_main`. With a window that is Nuke's own queue; under `nuke -t` nobody serves that, so the one who waits does.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
import traceback
from typing import TYPE_CHECKING, Any, Callable, Dict

import nuke

if TYPE_CHECKING:  # a copy lies beside this file once it is installed
    from understudy.client.link import Link, Refused, TimedOut, UnderstudyError, Unreachable
    from understudy.client.link.naming import at_frame, at_version, has_token
else:
    from .link import Link, Refused, TimedOut, UnderstudyError, Unreachable
    from .link.naming import at_frame, at_version, has_token

__all__ = [
    "Link",
    "Pending",
    "Refused",
    "TimedOut",
    "UnderstudyError",
    "Unreachable",
    "at_frame",
    "at_version",
    "describe",
    "has_token",
    "link",
    "made",
    "on_main",
    "refused",
    "use",
    "wait",
    "words",
]

Json = Dict[str, Any]
INFO_S = 60.0  # a daemon that has to be started first included

_main = threading.get_ident()  # whoever imports this is Nuke's main thread
_work: queue.Queue[Callable[[], object]] = queue.Queue()
_link: Link | None = None
_lock = threading.Lock()


def link() -> Link:
    """The link of this Nuke; made when it is first needed. A daemon that it starts outlives Nuke."""
    global _link  # noqa: PLW0603 - one for the process is what is meant
    with _lock:
        if _link is None:
            _link = Link(start="detached")
        return _link


def made() -> Link | None:
    """The link, where something has asked for it already; nothing is started."""
    with _lock:
        return _link


def use(other: Link | None) -> None:
    """Use this link from now on, with a bridge or an endpoint of your own; None: the usual one again."""
    global _link  # noqa: PLW0603
    with _lock:
        _link = other


def on_main(work: Callable[[], object]) -> None:
    """Have Nuke's main thread do it, when it has time. From any thread; what it raises is printed, not lost."""

    def guarded() -> None:
        try:
            work()
        except Exception:  # noqa: BLE001 - Nuke would drop it
            nuke.tprint("Understudy: " + traceback.format_exc())

    if nuke.GUI:
        nuke.executeInMainThread(guarded)
    else:
        _work.put(guarded)


def wait(ended: threading.Event, seconds: float | None = None) -> bool:
    """Until it is set; whether it is.

    Raises:
        RuntimeError: on the main thread of a Nuke with a window, which would stand still, and wait for itself.
    """
    main = threading.get_ident() == _main
    if nuke.GUI and main:
        raise RuntimeError("wait() would freeze Nuke; give done=… to be called back")
    if not main:
        return ended.wait(seconds)
    until = None if seconds is None else time.monotonic() + seconds
    while not ended.is_set() or not _work.empty():
        if until is not None and time.monotonic() > until:
            return ended.is_set()
        with contextlib.suppress(queue.Empty):
            _work.get(timeout=0.05)()
    return True


class Pending:
    """Something that was asked for and is still to come.

    Args:
        done: called on the main thread with this, when it is there or cannot be.

    Attributes:
        ended: set when all is over.
        value: what came.
        error: why nothing did.
    """

    def __init__(self, done: Callable[[Any], object] | None = None) -> None:
        self.ended = threading.Event()
        self.value: Any = None
        self.error: UnderstudyError | None = None
        self._done = done

    def finish(self, made: Callable[[], Any]) -> None:
        """From any thread: the main one calls `made` for the value; what that raises is the error."""
        on_main(lambda: self._finish(made))

    def fail(self, error: UnderstudyError) -> None:
        """From any thread."""

        def made() -> Any:
            raise error

        self.finish(made)

    def wait(self, seconds: float | None = None) -> Any:
        """The value; for `nuke -t` and for threads, not for a window's main thread.

        Raises:
            UnderstudyError: why nothing came.
            TimeoutError: nothing has come within so many seconds.
        """
        if not wait(self.ended, seconds):
            raise TimeoutError("not ended within {:g} s".format(seconds or 0))
        if self.error is not None:
            raise self.error
        return self.value

    def _finish(self, made: Callable[[], Any]) -> None:
        try:
            try:
                self.value = made()
            except UnderstudyError as error:
                self.error = error
            if self._done is not None:
                self._done(self)
        finally:
            self.ended.set()


def describe() -> Json:
    """What the daemon says of itself: settings, colour spaces, presets. Waits; not for Nuke's window.

    Raises:
        UnderstudyError: no daemon, no bridge.
    """
    return link().call("SystemService/GetInfo", deadline_s=INFO_S).result(INFO_S + 5)


def words(error: UnderstudyError) -> str:
    """For a person: what is wrong, by which knob, and the next step where the message alone does not say it."""
    said = error.message + (" (knob {})".format(error.field) if error.field.startswith("us_") else "")
    if error.code == "UNIMPLEMENTED":
        said += "; the daemon is older than this plug-in: bring both to one release"
    return said


def refused(knob: str, message: str) -> Refused:
    """What cannot be, and the knob that says it."""
    return Refused(message, field=knob, reason="INVALID_INPUT")
