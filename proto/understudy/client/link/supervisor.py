"""The link: one thread that owns the calls and the bridge. Everybody else hands it work, and never waits."""

from __future__ import annotations

import atexit
import heapq
import itertools
import json
import os
import queue
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any, Callable

from .callbacks import Callbacks, Work, guarded
from .errors import (
    BridgeFault,
    BridgeMissing,
    Cancelled,
    Closed,
    Refused,
    TimedOut,
    UnderstudyError,
    Unreachable,
    error_of,
)
from .process import LINE_BYTES, Process, command_of
from .requests import Call, Json, Request, Stream, Unary, pauses

PROTOCOL = 1
CALL_S = 60.0  # deadline of a call
GRACE_S = 1.0  # the bridge ends a call at its deadline; one that does not is given up so much later
HELLO_S = 60.0  # how long a bridge may take to start, from a network disk say
PING_S, HUNG_S = 10.0, 30.0  # a bridge that is silent for so long is asked while it has calls, then killed
SILENCE_S = 60.0  # a stream that resumes has heartbeats; one silent for so long is taken up anew
TICK_S = 1.0


class Link:
    """A connection to the daemon by way of a bridge, which is started when it is first needed. For any thread.

    Args:
        command: of the bridge: the path of `understudy`, or of a Python that has it, or a list. Default:
            `$UNDERSTUDY_BRIDGE`, else `understudy` on the PATH.
        endpoint, state, start: which daemon, as `understudy bridge --help` says.
        environ: the environment of the bridge. Default: the host's.
        patience_s: how long a stream tries to be taken up again after it has broken off; infinity never gives up.
        deliver: runs what calls back; `nuke.executeInMainThread`, or the `put` of a queue that a timer empties.
            Default: a thread of the link, one call back after the other.
        log: gets every line of the bridge's log; from a thread of the link.
    """

    def __init__(
        self,
        command: str | Sequence[str] | None = None,
        *,
        endpoint: str = "",
        state: str = "",
        start: str = "",
        environ: Mapping[str, str] | None = None,
        patience_s: float = 60.0,
        deliver: Callable[[Work], object] | None = None,
        log: Callable[[str], object] | None = None,
    ) -> None:
        self._given = command
        named = {"--endpoint": endpoint, "--state": state, "--start": start}
        self._options = [part for name, value in named.items() if value for part in (name, value)]
        self._environ: Mapping[str, str] = os.environ if environ is None else environ
        self._patience_s = patience_s
        self._deliver_to, self._callbacks = deliver, Callbacks()
        self._log_to = log
        self.hello: Json | None = None  # what the bridge last said of itself
        self._facts: Json = {}  # of the contract's methods, as it says
        self._bridge: Process | None = None
        self._ready = self._met = False  # the bridge has said hello; a daemon has answered
        self._asked_at = float("-inf")  # when a bridge was last asked whether it lives
        self._restarts, self._not_before = pauses(), 0.0
        self._requests: dict[str, Request] = {}
        self._ids = itertools.count(1)
        self._inbox: queue.SimpleQueue[Work] = queue.SimpleQueue()
        self._timers: list[tuple[float, int, Work]] = []
        self._lock = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="understudy-link", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    def __enter__(self) -> Link:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # What hosts call

    def call(
        self,
        method: str,
        request: Json | None = None,
        *,
        deadline_s: float = CALL_S,
        done: Callable[[Call], object] | None = None,
    ) -> Call:
        """Ask for one reply; returns at once.

        Args:
            method: `JobService/GetJob`.
            request: the message by the protobuf JSON mapping.
            deadline_s: seconds for all of it, what is tried again included.
            done: called back with the future when it is done.
        """
        future = Call()
        self._begin(Unary(future, done, self, method, request, deadline_s))
        return future

    def stream(
        self,
        method: str,
        request: Json | None = None,
        *,
        on_event: Callable[[Json], object] | None = None,
        on_end: Callable[[UnderstudyError | None], object] | None = None,
    ) -> Stream:
        """Ask for many replies; returns at once.

        Args:
            on_event: called back with each event; else iterate over what this gives.
            on_end: called back once, with the error or None.
        """
        stream = Stream(on_event, on_end, self, method, request)
        self._begin(stream)
        return stream

    def close(self, wait_s: float = 2.0) -> None:
        """End everything: calls have the error Closed, the bridge ends in its own time.

        Args:
            wait_s: how long to wait for the link's thread; 0 in a user interface.
        """
        atexit.unregister(self.close)
        self.post(self._close)
        if threading.current_thread() is not self._thread:
            self._thread.join(wait_s)

    # What requests call

    def post(self, work: Work) -> bool:
        """Have the link's thread do it; False when there is none any more."""
        with self._lock:
            if not self._closed:
                self._inbox.put(work)
            return not self._closed

    def deliver(self, work: Work) -> None:
        """Call back."""
        (self._deliver_to or self._callbacks.put)(lambda: guarded(work, self._log))

    def end(self, request: Request, error: UnderstudyError | None, reply: Json | None = None) -> None:
        """The end of a request, once. On the link's thread."""
        if request.ended:
            return
        request.ended = True
        self._requests.pop(request.id, None)
        if request.sent and isinstance(error, (Cancelled, TimedOut)):
            self.write({"cancel": request.id})
        request.finish(reply, error)

    def write(self, line: Json) -> None:
        """To the bridge, if there is one."""
        if self._bridge is not None and self._ready:
            self._bridge.say(json.dumps(line).encode("ascii") + b"\n")

    # The link's thread

    def _run(self) -> None:
        self._later(TICK_S, self._tick)
        while not self._closed:
            try:
                work: Work = self._inbox.get(timeout=max(0.0, self._timers[0][0] - time.monotonic()))
            except queue.Empty:
                pass
            else:
                guarded(work, self._log)
            while not self._closed and self._timers[0][0] <= time.monotonic():
                guarded(heapq.heappop(self._timers)[2], self._log)

    def _later(self, seconds: float, work: Work) -> None:
        heapq.heappush(self._timers, (time.monotonic() + seconds, next(self._ids), work))

    def _begin(self, request: Request) -> None:
        if request.wrong is not None:
            request.finish(None, request.wrong)
        elif not self.post(lambda: self._push(request)):
            request.finish(None, Closed("the link is closed"))

    def _push(self, request: Request) -> None:
        """Send a request, now or when there is a bridge. Every attempt has an id of its own."""
        if request.ended:
            return
        first = not request.id
        self._requests.pop(request.id, None)
        request.id, request.sent = str(next(self._ids)), False
        self._requests[request.id] = request
        if first and request.until is not None:
            self._later(request.until - time.monotonic() + GRACE_S, lambda: self._overdue(request))
        if not self._ready:
            self._need_bridge()
            return
        line = request.line(self._facts.get(request.method, {}))
        size = len(json.dumps(line))
        if size > LINE_BYTES:
            self.end(request, Refused(f"the request has {size} bytes; {LINE_BYTES} is the most"))
            return
        self.write(line)
        request.sent = True

    def _overdue(self, request: Request) -> None:
        why = f"; {request.cause.message}" if request.cause is not None else ""
        self.end(request, TimedOut(f"{request.method} had no answer within its deadline{why}"))

    def _again(self, request: Request, error: UnderstudyError) -> None:
        """Try again after a pause what may be, while there is time; else that is its end."""
        now, pause = time.monotonic(), next(request.pauses)
        limit = request.heard + self._patience_s if isinstance(request, Stream) else request.until or now
        may = not request.sent or not error.sent or request.repeatable(self._facts.get(request.method, {}))
        if not may or not self._met or now + pause > limit:
            self.end(request, error)
            return
        request.cause, request.sent = error, False
        self._requests.pop(request.id, None)
        request.id = f"waiting {next(self._ids)}"  # nobody answers to that
        self._requests[request.id] = request
        self._later(pause, lambda: self._push(request))

    # The bridge

    def _need_bridge(self) -> None:
        if self._bridge is not None or self._closed:
            return
        wait = self._not_before - time.monotonic()
        if wait > 0:
            self._later(wait, self._need_bridge)
            return
        command: list[str] = []
        try:
            command = command_of(self._given, self._environ) + self._options
            self._bridge = Process(
                command,
                self._environ,
                heard=lambda bridge, said: _ignored(self.post(lambda: self._hear(bridge, said))),
                gone=lambda bridge: _ignored(self.post(lambda: self._lost(bridge))),
                log=self._log,
            )
        except BridgeMissing as error:
            self._fail_all(error)
        except (OSError, ValueError) as error:
            self._fail_all(
                BridgeMissing("the bridge cannot be started: {}: {}".format(" ".join(command), error))
            )

    def _fail_all(self, error: UnderstudyError) -> None:
        """No bridge can be had: calls are told at once, streams that were under way wait as long as they may."""
        self._not_before = time.monotonic() + next(self._restarts)
        for request in list(self._requests.values()):
            if isinstance(request, Stream) and request.resumes:
                self._again(request, error)
            else:
                self.end(request, error)

    def _lost(self, bridge: Process) -> None:
        """It has ended, by itself or by us."""
        if bridge is not self._bridge:
            return
        was_ready, self._bridge, self._ready = self._ready, None, False
        words = "{} ended with {}".format(" ".join(bridge.command), bridge.last_words())
        self._log(words)
        if not was_ready:
            self._fail_all(BridgeFault(words))
            return
        self._not_before = time.monotonic() + next(self._restarts)
        for request in list(self._requests.values()):
            if request.sent:
                self._again(request, Unreachable(words))
        if self._requests:
            self._need_bridge()

    def _tick(self) -> None:
        """Looks after what has fallen silent."""
        self._later(TICK_S, self._tick)
        now, bridge = time.monotonic(), self._bridge
        if bridge is None or not self._requests:
            return
        silent = now - bridge.heard_at
        asked = self._ready and self._asked_at > bridge.heard_at  # one that had nothing to say was not
        hung = now - self._asked_at > HUNG_S - PING_S if asked else not self._ready and silent > HELLO_S
        if hung:
            self._log(f"the bridge has been silent for {silent:.0f} s; it is started again")
            bridge.kill()
        elif silent > PING_S and not asked:
            self.write({"ping": int(now)})
            self._asked_at = now
        for request in list(self._requests.values()):
            if isinstance(request, Stream) and request.silent(now, SILENCE_S):
                self.write({"cancel": request.id})
                self._again(request, Unreachable(f"{request.method} fell silent"))

    # Lines of the bridge

    def _hear(self, bridge: Process, said: Json | None) -> None:
        if bridge is not self._bridge:
            return
        if not self._ready:
            self._greet(bridge, said)
            return
        if said is None:
            self._log("the bridge said what is no line of JSON")
            return
        request = self._requests.get(str(said.get("id")))
        if request is None:  # a pong, or about a call that was given up
            return
        if "error" in said:
            self._failed(request, error_of(said["error"]))
            return
        self._met, self._restarts = True, pauses()
        if "event" in said and isinstance(request, Stream):
            request.event(said)
        elif "reply" in said or "end" in said:
            self.end(request, None, said.get("reply"))

    def _greet(self, bridge: Process, said: Json | None) -> None:
        """The first line must be a bridge's hello."""
        hello = (said or {}).get("hello")
        if not isinstance(hello, dict) or hello.get("protocol") != PROTOCOL:
            told = (
                "something else"
                if not isinstance(hello, dict)
                else "protocol {}".format(hello.get("protocol"))
            )
            self._bridge = None
            bridge.kill()
            self._fail_all(
                BridgeFault(
                    "{} says {}, where a bridge that speaks protocol {} should be; bring it and the host's add-on to "
                    "the same release".format(" ".join(bridge.command), told, PROTOCOL)
                )
            )
            return
        self.hello, self._ready = hello, True
        self._facts = dict(hello.get("methods") or {})
        for request in list(self._requests.values()):
            if not request.id.startswith("waiting"):
                self._push(request)

    def _failed(self, request: Request, error: UnderstudyError) -> None:
        if isinstance(error, Unreachable):
            self._again(request, error)
            return
        self._met, self._restarts = True, pauses()
        self.end(request, error)

    def _close(self) -> None:
        for request in list(self._requests.values()):
            self.end(request, Closed("the link is closed"))
        if self._bridge is not None:
            self._bridge.close()
        with self._lock:
            self._closed = True
        while not self._inbox.empty():  # calls that came meanwhile
            guarded(self._inbox.get(), self._log)
        for request in list(self._requests.values()):
            self.end(request, Closed("the link is closed"))
        self._callbacks.close()

    def _log(self, line: str) -> None:
        if self._log_to is not None:
            self._log_to(line)


def _ignored(_: Any) -> None:
    return None
