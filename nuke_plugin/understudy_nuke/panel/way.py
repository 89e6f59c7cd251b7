"""The panel's way to the daemon: whether there is one, what it says of itself, and its jobs, again and again."""

from __future__ import annotations

import contextlib
from typing import Any, Callable, Dict, List

from understudy_nuke import daemon
from understudy_nuke.daemon import Link, UnderstudyError, Unreachable
from understudy_nuke.qt import QtCore
from understudy_nuke.version import VERSION

from . import advice
from .advice import Trouble
from .hop import Hop

Json = Dict[str, Any]

POLL_MS = 2000
ANSWER_S = 15.0  # of a daemon that was there just now
FIRST_S = 30.0  # a bridge that has to be started first included
PAGE = 100  # jobs that the table shows
CONTRACT = "understudy.v1"


class Way(QtCore.QObject):
    """Asks while it is `awake`.

    Nothing starts a daemon but `start`, or what the node's buttons do: until then the panel only looks for one.

    Attributes:
        state: `asking`, `on`, `off` (none runs, or none was found) or `old` (it does not understand this plug-in).
        info: what the daemon last said of itself.
        trouble: why it is not `on`.
        hop: to the main thread.
    """

    changed = QtCore.Signal()
    jobs = QtCore.Signal(object)

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self.state, self.info = "asking", {}  # type: str, Json
        self.trouble: Trouble | None = None
        self.hop = Hop(self)
        self._own: Link | None = None  # looks for a daemon, and starts none
        self._asked: Link | None = None  # the link that a poll is under way on
        self._awake = False
        self._timer = QtCore.QTimer(self)
        self._timer.timeout.connect(self._poll)

    # What the panel does

    def wake(self) -> None:
        self._awake = True
        self._timer.start(POLL_MS)
        self._poll()

    def sleep(self) -> None:
        """Nobody looks: nothing is asked."""
        self._awake = False
        self._timer.stop()

    def close(self) -> None:
        """For good; nothing of Qt's is touched, which may be gone by now."""
        own, self._own = self._own, None
        if own is not None:
            own.close(wait_s=0)

    def link(self) -> Link:
        """The one of all this Nuke where there is one; else one that starts no daemon."""
        made = daemon.made()
        if made is not None:
            own, self._own = self._own, None
            if own is not None:
                own.close(wait_s=0)
            return made
        if self._own is None:
            self._own = Link(start="never")
        return self._own

    def start(self) -> None:
        """Start a daemon where none runs, and use it."""
        daemon.link()
        self._begin_anew()

    def reconnect(self, bridge: str = "") -> None:
        """Begin anew, with another bridge or the usual one; calls under way end, jobs do not."""
        old = daemon.made()
        daemon.use(Link(bridge, start="detached") if bridge else None)
        if old is not None:
            old.close(wait_s=0)
        own, self._own = self._own, None
        if own is not None:
            own.close(wait_s=0)
        self._begin_anew()

    def ask(
        self,
        method: str,
        request: Json | None = None,
        *,
        then: Callable[[Json], object] | None = None,
        failed: Callable[[Trouble], object] | None = None,
        deadline_s: float = 60.0,
    ) -> None:
        """Ask once; `then` or `failed` is called on the main thread."""

        def told(call: Any) -> None:
            error = call.exception()
            if error is None:
                reply = call.result()
                if then is not None:
                    self.hop(lambda: then(reply))
            elif failed is not None:
                trouble = advice.of(error)
                self.hop(lambda: failed(trouble))

        self.link().call(method, request, deadline_s=deadline_s, done=told)

    def choices(self, family: str) -> List[str]:
        """Names of a family of plug-ins, as the daemon has them."""
        found = [f for f in self.info.get("families", []) if f.get("name") == family]
        return list(found[0].get("choices", [])) if found else []

    # Polling

    def _begin_anew(self) -> None:
        self._asked = None
        self._set("asking", None)
        self._poll()

    def _poll(self) -> None:
        if self._asked is not None or not self._awake:
            return
        link = self._asked = self.link()
        if self.state in ("on", "old"):
            link.call("JobService/ListJobs", {"pageSize": PAGE}, deadline_s=ANSWER_S, done=self._heard(link))
        else:
            link.call("SystemService/GetInfo", deadline_s=FIRST_S, done=self._heard(link))

    def _heard(self, link: Link) -> Callable[[Any], None]:
        """An answer of a link that is no longer used is nobody's."""

        def told(call: Any) -> None:
            self.hop(lambda: self._answered(link, call))

        return told

    def _answered(self, link: Link, call: Any) -> None:
        self._asked = None if link is self._asked else self._asked
        if link not in (daemon.made(), self._own):
            return
        try:
            reply = call.result()
        except UnderstudyError as error:
            self._failed(error)
            return
        if "jobs" in reply:
            self.jobs.emit(reply["jobs"])
        else:
            self.info = reply
            older = _older(reply)
            self._set("old" if older is not None else "on", older)
            self._poll()

    def _failed(self, error: UnderstudyError) -> None:
        trouble = advice.of(error)
        if type(error) is Unreachable and daemon.made() is None:
            trouble = trouble._replace(step=advice.START)
        self._set("off", trouble)

    def _set(self, state: str, trouble: Trouble | None) -> None:
        if (state, trouble) != (self.state, self.trouble):
            self.state, self.trouble = state, trouble
            self.changed.emit()


def _older(info: Json) -> Trouble | None:
    """Why this daemon and this plug-in do not understand each other; None where they do."""
    version, least = str(info.get("version", "")), str(info.get("minClient", ""))
    if CONTRACT not in info.get("apiVersions", []):
        said = "The daemon is release {}, which does not speak {}.".format(version or "unknown", CONTRACT)
        return Trouble(said, advice.OLDER)
    if _numbers(VERSION) and _numbers(VERSION) < _numbers(least):
        said = "The daemon is release {} and understands plug-ins from {} on; this one is {}.".format(
            version, least, VERSION
        )
        return Trouble(said, "Run 'understudy nuke install' with the daemon's release, and start Nuke again.")
    return None


def _numbers(version: str) -> List[int]:
    """`0.2.1` as numbers; empty for a checkout."""
    numbers: List[int] = []
    with contextlib.suppress(ValueError):
        numbers = [int(part) for part in version.partition("+")[0].split(".")]
    return numbers
